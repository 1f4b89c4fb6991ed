"""Quotas of control groups, as containers and services of both versions see theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees

from runtimes.environment import cpu
from runtimes.environment.cgroup import Throttling, memory_limit_bytes, quota_cores, throttling


@pytest.mark.parametrize(
    ("tree", "quota", "counts"),
    [
        (trees.DOCKER, 1.5, Throttling(40, 2.5)),
        (trees.SERVICE, 3.0, Throttling(2, 1e-4)),
        (trees.KUBERNETES_V1, 0.5, Throttling(7, 3.0)),
        (trees.INTEL_LAPTOP, None, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None, None),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
    ],
)
def test_the_least_quota_on_the_way_up_counts(
    tree: trees.Tree, quota: float | None, counts: Throttling | None, tmp_path: Path
) -> None:
    root = trees.plant(tree, tmp_path)
    assert quota_cores(root) == quota
    assert throttling(root) == counts


def test_cores_are_cut_by_the_quota_but_there_is_always_one(tmp_path: Path) -> None:
    assert cpu.cores_allowed(trees.plant(trees.KUBERNETES_V1, tmp_path / "half")) == 1
    whole = {**trees.DOCKER, "sys/fs/cgroup/cpu.max": "9900000 100000\n"}
    assert cpu.cores_allowed(trees.plant(whole, tmp_path / "whole")) == min(99, len(cpu.allowed()))


@pytest.mark.parametrize(
    ("tree", "limit"),
    [
        ({**trees.DOCKER, "sys/fs/cgroup/memory.max": "4294967296\n"}, 4 << 30),
        ({**trees.DOCKER, "sys/fs/cgroup/memory.max": "max\n"}, None),
        ({**trees.KUBERNETES_V1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 << 20),
        (trees.INTEL_LAPTOP, None),
    ],
)
def test_the_least_limit_of_memory_counts(tmp_path: Path, tree: trees.Tree, limit: int | None) -> None:
    assert memory_limit_bytes(trees.plant(tree, tmp_path)) == limit
