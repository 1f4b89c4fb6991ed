"""SavedModels: find the version folder, choose a signature, write one. Runs in a TensorFlow child."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import NotAModelError, UsageError

VERSION = "1"
SERVING = "serving_default"
# TF Serving's own place for files that it does not read.
EXTRA = "assets.extra"


@dataclass(frozen=True)
class Opened:
    """A signature of a SavedModel; ``owner`` holds its variables, which the function itself does weakly."""

    name: str
    function: Any
    owner: Any


def version_folder(path: Path) -> Path:
    """The folder itself, or the latest of the version folders in it, as TF Serving chooses. Raises NotAModelError."""
    if (path / "saved_model.pb").exists():
        return path
    versions = [each for each in path.glob("*") if each.name.isdigit() and (each / "saved_model.pb").exists()]
    if not versions:
        raise NotAModelError(
            f"{path} is no SavedModel: neither it nor a version folder in it has saved_model.pb."
        )
    return max(versions, key=lambda each: int(each.name))


def open_signature(path: Path, name: str = "") -> Opened:
    """The signature called ``name``; without one ``serving_default``, or the only one.

    Raises UsageError that lists the signatures when none can be chosen, NotAModelError when it cannot be loaded.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(version_folder(path)))
        found = dict(loaded.signatures)
    except NotAModelError:
        raise
    except Exception as error:
        raise NotAModelError(f"{path} is no SavedModel that TensorFlow can load: {error}") from error
    if not found:
        raise NotAModelError(
            f"{path} has no signature, so nothing says what goes in and what comes out. "
            "Save it with tf.saved_model.save(..., signatures=...)."
        )
    chosen = name or (SERVING if SERVING in found else next(iter(found)) if len(found) == 1 else "")
    if chosen not in found:
        asked = f"no signature {name!r}" if name else f"several signatures and no {SERVING!r}"
        raise UsageError(f"{path} has {asked}. Choose one with --signature: {', '.join(sorted(found))}.")
    return Opened(chosen, found[chosen], loaded)


def write(function: Any, variables: Iterable[Any], out: Path, spec: ModelSpec) -> None:
    """Write ``out/1`` with ``function``, a tf.function of one signature, as ``serving_default``.

    A Module that holds each variable once: one that held a Keras model would lose its weights on the way to TF Lite.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_ = list(variables)
    # The signature alone: an attribute with the same function would store and load its graph twice.
    tf.saved_model.save(module, str(out / VERSION), signatures={SERVING: function.get_concrete_function()})
    describe(out, spec)


def retraced(src: Path, scratch: Path, spec: ModelSpec) -> Path:
    """A SavedModel whose ``serving_default`` has the sizes of ``spec``: ``src``, or one in ``scratch`` traced anew at them.

    A converter then sees every size as a constant, and leaves out what the graph computes of shapes.
    """
    import tensorflow as tf

    opened = open_signature(src, SERVING)
    _, keywords = opened.function.structured_input_signature
    if all(tensor.shape.is_fully_defined() for tensor in keywords.values()):
        return src
    names = [tensor.name for tensor in spec.inputs]
    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in spec.inputs]
    function = tf.function(
        lambda *tensors: opened.function(**dict(zip(names, tensors, strict=True))), input_signature=signature
    )
    write(function, opened.function.variables, scratch, spec)
    return scratch


def describe(out: Path, spec: ModelSpec) -> None:
    """Write what fwexport knows of the model into the version folder of ``out``."""
    extra = out / VERSION / EXTRA
    extra.mkdir(exist_ok=True)
    (extra / "fwexport.json").write_bytes(msgspec.json.encode(metadata(spec)))
