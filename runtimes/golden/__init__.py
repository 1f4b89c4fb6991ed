"""The folder ``golden/`` of a bundle: a few samples with their expected outputs, and replayers that need no fwexport.

A part of ``reference.npz`` for whoever has no numpy: raw little-endian files, and ``golden.json`` (the dataclasses here)
that says what each holds and by which rule an output is right. ``replay.py`` runs the artifacts in Python,
``replay.mjs`` in Node and ``replay.html`` in a browser; ``golden.js`` is what the last two share.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from runtimes.base import Array
from runtimes.bundle import Artifact, Kind, Manifest, ModelSpec, TensorSpec
from runtimes.files import make_folder, write_atomically, writing_to
from runtimes.preprocess import to_layout
from runtimes.reference import Reference
from runtimes.verdict.parity import MAX_RATIO, MEDIAN_RATIO, margins
from runtimes.verdict.verdicts import feeds

FOLDER = "golden"
INDEX = "golden.json"
REPLAYERS = ("replay.py", "replay.mjs", "replay.html", "golden.js")

SCHEMA = 1
SAMPLES = 8
MAX_BYTES = 8 << 20

FILES = (
    "Each file holds the numbers of all samples, one sample after another, without a header: little-endian, "
    "C order (the last axis varies fastest). shape[0] is the number of samples."
)
RULE = (
    "Give an artifact one sample of each of its inputs at a time (where batch is a number: that many copies of it), "
    "and compare each output (the first of the copies) with the same sample of the output's file.",
    "e is the Euclidean distance between the two over all elements, in double precision. Where compare is log, it is "
    "that of the natural logarithms over the elements whose expected value is at least 1e-30; elsewhere the output "
    "must be below 1e-20.",
    "A sample passes when all numbers of its outputs are finite and e <= allowed for each output. allowed is limit * "
    "noise, and noise is how far the source's own float32 runs lie from its float64 one.",
    "An artifact passes when every sample does and, where median_limit is a number, the median of e / noise is at most "
    "that for each output (0 / 0 counts as 0).",
)


@dataclass(frozen=True)
class Sample:
    """One sample: its role in the reference, and the class that the source gives it, where the model classifies."""

    role: str
    top1: int | None = None
    label: str = ""


@dataclass(frozen=True)
class Input:
    """An input of the model. The artifacts list theirs in the same order."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Output:
    """An output of the model: how it is compared ("values" or "log"), and what each sample is allowed.

    The artifacts list theirs in the same order.
    """

    name: str
    kind: Kind
    compare: str
    noise: tuple[float, ...]
    allowed: tuple[float, ...]


@dataclass(frozen=True)
class Tensor:
    """A tensor by an artifact's own name and layout, and the file with its numbers for all samples.

    For an input ``dtype`` is what the artifact takes; for an output it is the file's, as a rule float64.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    file: str


@dataclass(frozen=True)
class GoldenArtifact:
    """An artifact by its path in the bundle. ``batch`` is the only one it takes, or None when it takes any.

    ``name`` is its format, and its variant where it is one (``tflite-batch1``).
    """

    name: str
    format: str
    path: str
    sha256: str
    batch: int | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Golden:
    """The whole of ``golden.json``. ``median_limit`` is None where there are too few samples for a median."""

    schema: int
    model: str
    files: str
    rule: tuple[str, ...]
    limit: float
    median_limit: float | None
    samples: tuple[Sample, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    artifacts: tuple[GoldenArtifact, ...]


def write_golden(bundle: Path, manifest: Manifest, reference: Reference) -> None:
    """Write ``golden/`` into the folder ``bundle``. Raises OutputError when it cannot be written."""
    index, arrays = golden(manifest, reference)
    folder = make_folder(bundle / FOLDER)
    for name, array in arrays.items():
        write_atomically(folder / name, array.tobytes())
    write_atomically(folder / INDEX, msgspec.json.format(msgspec.json.encode(index), indent=2))
    for name in REPLAYERS:
        with writing_to(folder / name):
            shutil.copyfile(Path(__file__).parent / name, folder / name)


def golden(manifest: Manifest, reference: Reference) -> tuple[Golden, dict[str, Array]]:
    """``golden.json`` and the arrays of its files, (samples, ...), little-endian.

    Inputs are there once in each layout and type that an artifact takes, outputs in each layout that one gives. The
    files hold 8 MB at most, unless a single sample is more.
    """
    model = manifest.model
    order = by_importance(reference, model.outputs[0])
    single = _files(manifest, reference.part(order[:1], order[:0]))
    each = sum(array.nbytes for array in single.values())
    part = reference.part(np.sort(order[: max(1, MAX_BYTES // max(each, 1))]), order[:0])
    artifacts = tuple(_artifact(artifact, model, part) for artifact in manifest.artifacts)
    index = Golden(
        schema=SCHEMA,
        model=model.name,
        files=FILES,
        rule=RULE,
        limit=MAX_RATIO,
        median_limit=MEDIAN_RATIO if len(part) == SAMPLES else None,
        samples=_samples(part, model),
        inputs=tuple(Input(spec.name, spec.kind) for spec in model.inputs),
        outputs=tuple(_output(spec, part) for spec in model.outputs),
        artifacts=artifacts,
    )
    return index, _files(manifest, part)


def by_importance(reference: Reference, output: TensorSpec) -> Array:
    """Up to 8 judged samples, as indices, those first that one would miss most.

    Real ones of different classes, the one closest to another class, and sentinels: those come last in the reference
    that have no symmetry.
    """
    rows = np.arange(len(reference))
    made_up = reference.roles == "sentinel"
    real, sentinels = rows[~made_up], rows[made_up][::-1]
    closest = real[:0]
    if _classifies(output):
        y64 = reference.y64[output.name]
        _, first_of_class = np.unique(np.argmax(y64[real], axis=1), return_index=True)
        real = real[np.argsort(~np.isin(np.arange(len(real)), first_of_class), kind="stable")]
        closest = real[np.argsort(margins(y64[real]), kind="stable")[:1]]
    wanted = [
        real[:1],
        closest,
        sentinels[:1],
        real[1:3],
        sentinels[1:2],
        real[3:4],
        sentinels[2:3],
        real,
        sentinels,
    ]
    order = np.array(list(dict.fromkeys(np.concatenate(wanted).tolist())), np.int64)
    return order[:SAMPLES]


def _classifies(output: TensorSpec) -> bool:
    return output.kind in ("logits", "probabilities") and len(output.shape) == 2


def _samples(part: Reference, model: ModelSpec) -> tuple[Sample, ...]:
    output = model.outputs[0]
    if not _classifies(output):
        return tuple(Sample(str(role)) for role in part.roles)
    classes = np.argmax(part.y64[output.name], axis=1).tolist()
    labels = [model.labels[k] if model.labels else "" for k in classes]
    return tuple(map(Sample, map(str, part.roles), classes, labels))


def _output(spec: TensorSpec, part: Reference) -> Output:
    noise = part.noise[spec.name]
    compare = "log" if spec.kind == "probabilities" else "values"
    return Output(spec.name, spec.kind, compare, tuple(noise.tolist()), tuple((MAX_RATIO * noise).tolist()))


def _artifact(artifact: Artifact, model: ModelSpec, part: Reference) -> GoldenArtifact:
    pairs = _tensors(artifact, model, part)
    tensors = tuple(tensor for tensor, _ in pairs)
    count = len(artifact.inputs)
    return GoldenArtifact(
        name=artifact.name,
        format=artifact.format,
        path=artifact.path,
        sha256=artifact.sha256,
        batch=artifact.inputs[0].shape[0] if artifact.inputs[0].shape else None,
        inputs=tensors[:count],
        outputs=tensors[count:],
    )


def _files(manifest: Manifest, part: Reference) -> dict[str, Array]:
    """The arrays of all files by name; artifacts with the same layouts share theirs."""
    return {
        tensor.file: array
        for artifact in manifest.artifacts
        for tensor, array in _tensors(artifact, manifest.model, part)
    }


def _tensors(artifact: Artifact, model: ModelSpec, part: Reference) -> list[tuple[Tensor, Array]]:
    """Each input and then each output of an artifact, with its numbers in the artifact's own layout."""
    inputs = feeds(part.inputs, model, artifact)
    tensors = [
        _tensor("input", position, own, inputs[own.name], source.name)
        for position, (own, source) in enumerate(zip(artifact.inputs, model.inputs, strict=True))
    ]
    for position, (own, source) in enumerate(zip(artifact.outputs, model.outputs, strict=True)):
        expected = to_layout(part.y64[source.name], source.layout, own.layout)
        tensors.append(_tensor("output", position, own, expected, source.name))
    return tensors


def _tensor(side: str, position: int, own: TensorSpec, array: Array, source: str) -> tuple[Tensor, Array]:
    parts = (f"{side}{position}", re.sub(r"\W+", "_", source), own.layout, array.dtype.name, "bin")
    file = ".".join(filter(None, parts))
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return Tensor(own.name, array.dtype.name, array.shape, own.layout, file), little
