"""The stage ``predict``: a bundle's model on a person's files, in any runtime that is here, as the manifest says.

It needs the bundle and one runtime. Preprocessing and labels come from the manifest, so the same image gets the same
label everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtimes.answers import answers
from runtimes.base import Array
from runtimes.bundle import Bundle, Kind, ModelSpec, TensorSpec, open_bundle
from runtimes.errors import UnavailableError
from runtimes.inputs import read_inputs
from runtimes.pool import Cell, Live, Pool, cells
from runtimes.rows import VERIFY, load_verify
from runtimes.scores import as_shown

# Of the runtimes that are here the first answers: those that start in a tenth of a second before those that take six.
QUICKEST = ("onnxruntime", "litert", "torchscript", "tfjs", "savedmodel", "keras")


@dataclass(frozen=True)
class PredictOptions:
    """``runtimes`` each answer; none named means the first that is here. ``top`` is how many classes are told."""

    runtimes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    device: str = "cpu"
    top: int = 5


@dataclass(frozen=True)
class Class:
    """One class and its score. The label is "" where the manifest names none."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """What one sample of one file is, in one runtime.

    ``top`` holds the likeliest classes, ``scores`` says what their scores are; both are empty for a model that does
    not classify. ``outputs`` are all outputs by name, without the batch, in the source's layout.
    """

    file: str
    sample: int
    source: str
    artifact: str
    runtime: str
    device: str
    backend: str
    scores: str
    top: tuple[Class, ...]
    outputs: dict[str, Array]


def predict(folder: Path, files: Sequence[Path], options: PredictOptions, pool: Pool) -> list[Prediction]:
    """Predict every sample of every file, in each runtime that was asked for.

    Raises UsageError for a file that cannot be read or does not fit the model, UnavailableError when a runtime that
    was asked for, or every one, is not here, and the error of a runtime that fails.
    """
    bundle = open_bundle(folder)
    model = bundle.manifest.model
    sessions = [_open(candidates, pool) for candidates in candidates(bundle, options)]
    return [
        prediction
        for file in files
        for inputs in (read_inputs(file, model),)
        for live in sessions
        for outputs in (answers(live.cell, inputs, pool),)
        for prediction in _predictions(file, outputs, live.cell, model, options.top)
    ]


def doubts(bundle: Bundle, found: Sequence[Prediction]) -> list[str]:
    """A line for each artifact of the bundle that these came from and that ``verify`` did not pass in that runtime."""
    saved = load_verify(bundle.folder / VERIFY)
    checksums = bundle.manifest.checksums
    used = {(checksums[one.artifact], one.runtime, one.device, one.backend) for one in found}
    return [
        f"{row.source}/{row.artifact} in {row.runtime}: its predictions are not the source's. verify says {row.outcome}: "
        f"{row.reason}"
        for row in (saved.rows if saved else ())
        if (row.artifact_sha256, row.runtime, row.device, row.backend) in used
        and row.outcome in ("mismatch", "failed")
    ]


def candidates(bundle: Bundle, options: PredictOptions) -> list[list[Cell]]:
    """For each session that is wanted, the cells that would do, the best first. Raises UsageError as ``cells`` does."""

    def found(runtimes: tuple[str, ...]) -> list[Cell]:
        return cells(bundle, (options.device,), options.formats, runtimes)

    if options.runtimes:
        return [found((name,))[:1] for name in dict.fromkeys(options.runtimes)]
    return [
        sorted(found(()), key=lambda cell: QUICKEST.index(cell.runtime) if cell.runtime in QUICKEST else 99)
    ]


def classes(scores: Array, kind: Kind, labels: Sequence[str], top: int) -> tuple[Class, ...]:
    """The ``top`` likeliest classes of one sample: ``scores`` (classes,) are logits, told as their softmax, or probabilities."""
    exact = as_shown(scores, kind)
    order = np.argsort(-scores, kind="stable")[:top]
    return tuple(Class(int(k), labels[k] if labels else "", float(exact[k])) for k in order)


def _open(wanted: Sequence[Cell], pool: Pool) -> Live:
    """The first of these cells that can be opened here; a damaged file or a crash is never passed over."""
    reasons = []
    for cell in wanted:
        cell.bundle.check(cell.described)
        live = pool.session(cell)
        try:
            live.opened  # noqa: B018 - waits until it is open, or raises why it cannot be
            return live
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(dict.fromkeys(reasons)))


def _predictions(
    file: Path, outputs: dict[str, Array], cell: Cell, model: ModelSpec, top: int
) -> list[Prediction]:
    first: TensorSpec = model.outputs[0]
    told = {"logits": "softmax of the logits", "probabilities": "probabilities"}.get(first.kind, "")
    return [
        Prediction(
            file=str(file),
            sample=sample,
            source=cell.source,
            artifact=cell.artifact,
            runtime=cell.runtime,
            device=cell.device,
            backend=cell.backend,
            scores=told,
            top=classes(outputs[first.name][sample], first.kind, model.labels, top) if told else (),
            outputs={name: array[sample] for name, array in outputs.items()},
        )
        for sample in range(len(outputs[first.name]))
    ]
