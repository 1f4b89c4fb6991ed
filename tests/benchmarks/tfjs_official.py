"""The official converter over the SavedModels that ``tfjs_fidelity.py make`` wrote: DIR/NAME/official.

Runs in an environment of its own (CONTRIBUTING.md says how to make it), because tensorflowjs 4.22 asks for versions
that this project does not have. What its other commands need is not installed there, so it is left empty here.
"""

import sys
import types
from pathlib import Path

import keras  # noqa: F401 - these three before the empty modules, which they would find
import tensorflow  # noqa: F401
import tf_keras  # noqa: F401


class _Empty(types.ModuleType):
    __path__ = ()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


for name in (
    "tensorflow_decision_forests",
    "tensorflow_hub",
    "jax",
    "jax.experimental",
    "jax.experimental.jax2tf",
):
    sys.modules[name] = _Empty(name)

from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model  # noqa: E402


def main() -> None:
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        out, error = folder / "official", folder / "official.error"
        if (out / "model.json").exists() or error.exists():
            continue
        try:
            convert_tf_saved_model(str(folder / "saved_model" / "1"), str(out), strip_debug_ops=True)
        except Exception as failure:  # any: it is what is recorded
            error.write_text(f"{type(failure).__name__}: {failure}")
        print(folder.name, "failed" if error.exists() else "converted", file=sys.stderr, flush=True)


main()
