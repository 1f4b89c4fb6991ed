"""Which environment variables are kept beside figures, and which make one doubt them."""

from __future__ import annotations

import pytest

from runtimes.environment.variables import doubtful, recorded


def test_what_shapes_speed_is_recorded_and_nothing_of_other_programs() -> None:
    kept = {
        "OMP_NUM_THREADS": "4",
        "TF_XLA_FLAGS": "",
        "LD_PRELOAD": "/lib/jemalloc.so",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    others = {"TF_VAR_db_password": "x", "TF_TOKEN_app_terraform_io": "x", "HOME": "/root", "AWS_SECRET": "x"}
    assert recorded({**others, **kept}) == kept


@pytest.mark.parametrize(
    ("name", "harmless", "harmful"),
    [
        ("OMP_WAIT_POLICY", "PASSIVE", "active"),
        ("KMP_BLOCKTIME", "0", "200"),
        ("TF_ENABLE_ONEDNN_OPTS", "1", "0"),
        ("CUDA_LAUNCH_BLOCKING", "0", "1"),
        ("ONEDNN_MAX_CPU_ISA", "DEFAULT", "AVX2"),
        ("PYTHONMALLOC", "pymalloc", "debug"),
    ],
)
def test_a_value_that_changes_nothing_is_no_doubt(name: str, harmless: str, harmful: str) -> None:
    assert list(doubtful({name: harmless})) == []
    ((setting, does),) = doubtful({name: harmful})
    assert setting == f"{name}={harmful}"
    assert does


def test_every_doubtful_variable_is_also_recorded() -> None:
    from runtimes.environment import variables

    assert set(recorded(dict.fromkeys(variables._EFFECTS, "1"))) == set(variables._EFFECTS)
