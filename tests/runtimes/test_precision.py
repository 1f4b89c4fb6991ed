"""Precisions: which runtime has which on which device, and what a GPU's child is told."""

from __future__ import annotations

import pytest

from runtimes import base, pool
from runtimes.environment import gpu
from runtimes.environment.gpu import Gpu


@pytest.mark.parametrize("name", base.names())
def test_every_runtime_computes_in_float32_on_a_cpu_and_none_in_tf32(name: str) -> None:
    runtime = base.runtime(name)
    assert base.lacks_precision(runtime, "cpu", "float32") is None
    assert base.lacks_precision(runtime, "cpu", "tf32")
    assert "not in int3" in str(base.lacks_precision(runtime, "cpu", "int3"))


@pytest.mark.parametrize(("capability", "refused"), [(7.5, True), (8.0, False), (9.0, False), (None, False)])
def test_tf32_needs_a_gpu_that_has_it(
    capability: float | None, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "known", lambda: (Gpu(0, "NVIDIA T4", "GPU-1", compute_capability=capability),))
    why = base.lacks_precision(base.runtime("torchscript"), "cuda", "tf32")
    assert (why is not None) is refused
    assert not refused or "compute capability 8 (Ampere), and it has 7.5" in str(why)


def test_a_gpu_multiplies_in_tf32_only_where_that_is_asked_for() -> None:
    assert pool.environment("torchscript", "cuda")["NVIDIA_TF32_OVERRIDE"] == "0"
    assert pool.environment("torchscript", "cuda", "tf32")["NVIDIA_TF32_OVERRIDE"] is None
    assert pool.environment("keras", "cpu") == {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
