"""Environment variables that shape what runtimes compute or how fast: which are recorded, and which make one doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Names that are recorded. TF_ alone would also take those of Terraform, which hold passwords.
_RECORDED = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "DNNL_", "ONEDNN_", "ATEN_"),
    *("TF_CPP_", "TF_CUDNN_", "TF_DETERMINISTIC", "TF_DISABLE_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_"),
    *(
        "TF_NUM_",
        "TF_ONEDNN_",
        "TF_XLA_",
        "TFJS",
        "XLA_",
        "ORT_",
        "CUDA_",
        "NVIDIA_TF32_",
        "CUBLAS_",
        "CUDNN_",
    ),
    *(
        "PYTORCH_",
        "TORCH_",
        "MALLOC_",
        "GLIBC_TUNABLES",
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "NODE_OPTIONS",
    ),
    *("PYTHONDEVMODE", "PYTHONMALLOC", "PYTHONTRACEMALLOC"),
)


@dataclass(frozen=True)
class _Effect:
    """What a variable does, and the values with which it does nothing."""

    does: str
    harmless: tuple[str, ...] = ()


_SPINS = "idle threads spin and take the cores from what is measured"
_NARROWS = "it keeps libraries from using all instructions of the processor"
_SLOWER = "it makes every run slower"
_OTHER = "it changes which code computes"
_TALKS = "each run also writes a log"
_OFF = ("", "0", "false")

_EFFECTS: Mapping[str, _Effect] = {
    "OMP_WAIT_POLICY": _Effect(_SPINS, ("", "passive")),
    "KMP_BLOCKTIME": _Effect(_SPINS, ("", "0", "1")),
    "OMP_DYNAMIC": _Effect("the number of threads is no longer the one asked for", _OFF),
    "OMP_THREAD_LIMIT": _Effect("the number of threads may be less than the one asked for"),
    "ATEN_CPU_CAPABILITY": _Effect(_NARROWS),
    "DNNL_MAX_CPU_ISA": _Effect(_NARROWS, ("", "all", "default")),
    "ONEDNN_MAX_CPU_ISA": _Effect(_NARROWS, ("", "all", "default")),
    "MKL_ENABLE_INSTRUCTIONS": _Effect(_NARROWS),
    "MKL_CBWR": _Effect(_NARROWS, ("", "auto", "off")),
    "OPENBLAS_CORETYPE": _Effect(_NARROWS),
    "GLIBC_TUNABLES": _Effect(_OTHER),
    "DNNL_VERBOSE": _Effect(_TALKS, _OFF),
    "ONEDNN_VERBOSE": _Effect(_TALKS, _OFF),
    "MKL_VERBOSE": _Effect(_TALKS, _OFF),
    "TF_CPP_MAX_VLOG_LEVEL": _Effect(_TALKS, _OFF),
    "TF_ENABLE_ONEDNN_OPTS": _Effect(_OTHER, ("", "1")),
    "TF_XLA_FLAGS": _Effect(_OTHER),
    "XLA_FLAGS": _Effect(_OTHER),
    "TF_DETERMINISTIC_OPS": _Effect(_SLOWER, _OFF),
    "TF_CUDNN_DETERMINISTIC": _Effect(_SLOWER, _OFF),
    "TF_DISABLE_MKL": _Effect(_OTHER, _OFF),
    "PYTORCH_JIT": _Effect(_OTHER, ("", "1")),
    "PYTORCH_NO_CUDA_MEMORY_CACHING": _Effect(_SLOWER, _OFF),
    "CUDA_LAUNCH_BLOCKING": _Effect(_SLOWER, _OFF),
    "MALLOC_CHECK_": _Effect(_SLOWER, _OFF),
    "MALLOC_PERTURB_": _Effect(_SLOWER, _OFF),
    "LD_PRELOAD": _Effect("the library it names is inside every runtime"),
    "DYLD_INSERT_LIBRARIES": _Effect("the library it names is inside every runtime"),
    "NODE_OPTIONS": _Effect("TF.js in Node runs with these options"),
    "PYTHONDEVMODE": _Effect(_SLOWER, _OFF),
    "PYTHONMALLOC": _Effect(_SLOWER, ("", "default", "pymalloc")),
    "PYTHONTRACEMALLOC": _Effect(_SLOWER, _OFF),
}


def recorded(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of an environment that may shape figures, in the order of their names."""
    return {name: environment[name] for name in sorted(environment) if name.startswith(_RECORDED)}


def doubtful(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """``(NAME=value, what it does)`` for each variable that slows runs or changes their results."""
    for name, effect in _EFFECTS.items():
        value = environment.get(name)
        if value is not None and value.lower() not in effect.harmless:
            yield f"{name}={value}", effect.does
