"""What a model's tensors are, from what the person said, what the file says, and what a run gives. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from exporter.source_kind import Given, OutputKind
from runtimes import preprocess
from runtimes.base import Array
from runtimes.bundle import Kind, ModelSpec, TensorSpec
from runtimes.errors import UsageError

# An axis of one of these sizes beside two larger ones is taken for the channels of an image.
CHANNELS = (1, 2, 3, 4)
DTYPES = ("float32", "float16", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")
# Batches that a model is run with to see which axes follow the batch; neither is a size that networks like.
PROBE_BATCHES = (2, 3)

_INPUT = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<sizes>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")


def parse_input(text: str, layout: str = "", dtype: str = "", batch: int | None = None) -> TensorSpec:
    """``[NAME=]3x224x224[:DTYPE]``, without the batch, as a TensorSpec. Raises UsageError."""
    found = _INPUT.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--input {text} cannot be read. Give the sizes of one sample, without the batch: --input 3x224x224, "
            "or --input NAME=3x224x224:float32 for each of several."
        )
    sizes = tuple(int(size) for size in found["sizes"].split("x"))
    if 0 in sizes:
        raise UsageError(f"--input {text} has an axis of size 0.")
    type_ = found["dtype"] or dtype
    if type_ and type_ not in DTYPES:
        raise UsageError(f"--input {text}: there is no dtype {type_!r}. The dtypes are: {', '.join(DTYPES)}.")
    return TensorSpec(found["name"] or "", type_, (batch, *sizes), layout)


def inputs(given: Given, found: Sequence[TensorSpec], usual: str) -> tuple[TensorSpec, ...]:
    """The model's inputs: ``found`` in its file, completed and checked by what the person said.

    Where the file says nothing, ``found`` is empty and the person must. ``usual`` is the layout of images in this
    framework: NCHW, NHWC, or "" when it has none.
    """
    said = given.inputs
    if not found and not said:
        raise UsageError(
            f"{given.source} does not say what goes in. Give the sizes of one sample: --input 3x224x224, and once for "
            "each of several inputs."
        )
    if not found:
        names = [spec.name or ("input" if len(said) == 1 else f"input_{n}") for n, spec in enumerate(said)]
        found = [
            replace(spec, name=name, dtype=spec.dtype or "float32")
            for name, spec in zip(names, said, strict=True)
        ]
    elif said:
        found = _agreed(given, found)
    return tuple(_laid_out(given, _batched(given, spec), usual) for spec in found)


def _batched(given: Given, spec: TensorSpec) -> TensorSpec:
    """The input at the batch that the person fixed. Raises UsageError where the file has fixed another."""
    if given.fixed_batch is None or not spec.shape:
        return spec
    if spec.shape[0] not in (None, given.fixed_batch):
        raise UsageError(
            f"input {spec.name} of {given.source} has the batch {spec.shape[0]}; --fixed-batch says {given.fixed_batch}."
        )
    return replace(spec, shape=(given.fixed_batch, *spec.shape[1:]))


def _agreed(given: Given, found: Sequence[TensorSpec]) -> list[TensorSpec]:
    """The file's inputs with the sizes that the person gave. Raises UsageError where the two differ."""
    if len(given.inputs) != len(found):
        names = ", ".join(spec.name for spec in found)
        raise UsageError(
            f"{given.source} has {len(found)} inputs ({names}); --input gave {len(given.inputs)}."
        )
    by_name = {spec.name: spec for spec in given.inputs if spec.name}
    agreed = []
    for place, own in enumerate(found):
        said = by_name.get(own.name) or given.inputs[place]
        if said.name and said.name != own.name:
            names = ", ".join(spec.name for spec in found)
            raise UsageError(f"--input names {said.name!r}; the inputs of {given.source} are: {names}.")
        fits = not own.shape or (
            len(own.shape) == len(said.shape)
            and all(
                a is None or b is None or a == b for a, b in zip(own.shape[1:], said.shape[1:], strict=True)
            )
        )
        if not fits:
            raise UsageError(
                f"input {own.name} of {given.source} has shape {_text(own.shape)}; --input says {_text(said.shape)}."
            )
        if said.dtype and own.dtype and said.dtype != own.dtype:
            raise UsageError(f"input {own.name} of {given.source} is {own.dtype}; --dtype says {said.dtype}.")
        batch = own.shape[0] if own.shape else said.shape[0]
        agreed.append(
            replace(own, dtype=own.dtype or said.dtype or "float32", shape=(batch, *said.shape[1:]))
        )
    return agreed


def _laid_out(given: Given, spec: TensorSpec, usual: str) -> TensorSpec:
    if not spec.dtype or not spec.shape:
        raise UsageError(
            f"{given.source} does not say what input {spec.name} is: give --input, without the batch."
        )
    open_axes = [axis for axis, size in enumerate(spec.shape) if size is None and axis]
    if open_axes:
        raise UsageError(
            f"input {spec.name} of {given.source} has shape {_text(spec.shape)}: axes beyond the batch are dynamic. "
            "Say which size to export for: --input "
            + "x".join("N" if n is None else str(n) for n in spec.shape[1:])
        )
    layout = given.layout or spec.layout or _guess(given, spec, usual)
    if layout and len(layout) != len(spec.shape):
        raise UsageError(
            f"--layout {layout} names {len(layout)} axes; input {spec.name} has shape {_text(spec.shape)}."
        )
    is_image = sorted(layout) == sorted("NCHW")
    return replace(spec, layout=layout, kind="image" if is_image and spec.dtype != "bool" else "tensor")


def _guess(given: Given, spec: TensorSpec, usual: str) -> str:
    """The layout of an image whose channels can only be in one place, or are in the usual one."""
    if len(spec.shape) != 4:
        return "NC" if len(spec.shape) == 2 else ""
    first, last = spec.shape[1] in CHANNELS, spec.shape[3] in CHANNELS
    if first != last:
        return "NCHW" if first else "NHWC"
    if usual:
        return usual
    raise UsageError(
        f"input {spec.name} of {given.source} has shape {_text(spec.shape)}: the channels may be first or last. "
        "Say which: --layout NCHW or --layout NHWC."
    )


def outputs(
    names: Sequence[str],
    runs: Sequence[Sequence[Array]],
    inputs: Sequence[TensorSpec],
    kind: OutputKind = "",
) -> tuple[TensorSpec, ...]:
    """The outputs, from what the model gave for two batches (or one, where the batch is fixed).

    ``runs[i][j]`` is output j of run i. An axis that differs between the runs follows the batch. Without ``kind``, a
    first output of rank 2 is taken for probabilities when every row is one, else for logits. What comes out of an image
    with four axes is laid out as the image is.
    """
    batch = inputs[0].shape[0]
    images = [spec.layout for spec in inputs if spec.kind == "image"]
    layouts = {2: "NC", 4: images[0] if images else ""}
    specs = []
    for place, name in enumerate(names):
        arrays = [run[place] for run in runs]
        shape = tuple(
            None if batch is None and len(set(sizes)) > 1 else int(sizes[0])
            for sizes in zip(*(array.shape for array in arrays), strict=True)
        )
        what: Kind = "tensor"
        if place == 0 and len(shape) == 2 and arrays[0].dtype.kind == "f":
            what = kind or guess_kind(arrays)
        specs.append(TensorSpec(name, arrays[0].dtype.name, shape, layouts.get(len(shape), ""), what))
    return tuple(specs)


def guess_kind(runs: Sequence[Array]) -> Kind:
    """Whether rows of scores, (n, classes), are probabilities, logits, or something else (a single column)."""
    if runs[0].shape[1] < 2:
        return "tensor"
    for run in runs:
        if run.min() < 0 or not np.allclose(run.astype(np.float64).sum(axis=1), 1, atol=1e-4):
            return "logits"
    return "probabilities"


def probe(specs: Sequence[TensorSpec], batch: int, seed: int = 0) -> list[Array]:
    """Seeded inputs of these shapes, ``batch`` where an axis is dynamic: uniform in [0, 1), small integers or bools."""
    generator = np.random.default_rng(seed)
    made: list[Array] = []
    for spec in specs:
        shape = [batch if size is None else size for size in spec.shape]
        if spec.dtype.startswith("float"):
            made.append(generator.random(shape).astype(spec.dtype))
        else:
            made.append(generator.integers(0, 2, shape).astype(spec.dtype))
    return made


def checked(model: ModelSpec) -> ModelSpec:
    """``model`` with its preprocessing complete. Raises UsageError when its labels or preprocessing do not fit it."""
    first = model.outputs[0]
    if model.labels and first.kind in ("logits", "probabilities") and first.shape[1] != len(model.labels):
        raise UsageError(
            f"--labels names {len(model.labels)} classes; the output {first.name} has {first.shape[1]}."
        )
    if not model.preprocessing:
        return model
    spec = preprocess.image_input(model)
    operations = preprocess.completed(model.preprocessing, spec)
    fault = preprocess.fault(operations, spec)
    if fault:
        raise UsageError(f"the preprocessing does not fit input {spec.name}: {fault}.")
    return replace(model, preprocessing=operations)


def _text(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
