"""The stage ``explain``: for each row of ``verify`` that is a mismatch, the first layer that diverges, and the cause.

It needs the source's framework beside the row's runtime; where that is not installed, what can be said without it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.converters import Converters
from exporter.explain.causes import SECONDS, causes_of
from exporter.explain.first_layer import Divergence, closest_tensor, first_layer
from exporter.explain.source_layers import SourceLayer, layers, leading_to
from exporter.source_folder import open_source
from runtimes import session_child
from runtimes.answers import answers
from runtimes.base import Array, SessionOptions
from runtimes.batches import fixed_batch, padded
from runtimes.bundle import Bundle, ModelSpec
from runtimes.errors import FwexportError, UnavailableError
from runtimes.explanation import Cause, Explanation
from runtimes.pool import Cell, Pool, cells
from runtimes.reference import REFERENCE, Reference, open_reference
from runtimes.rows import VERIFY, VerifyResult, VerifyRow, cell_name, load_verify, save
from runtimes.verdict.hypotheses import all_passed
from runtimes.verdict.parity import judge
from runtimes.verdict.verdicts import feeds
from runtimes.verify import judged_part

# How many samples the layers are compared on: the worst one, a sentinel, and real ones.
SAMPLES = 8
# Of a fault in other batches, on one thread, now and then, or on samples that only count for the agreement.
RIGHT_AGAIN = (
    "run again all in one batch, each of the {} judged samples is right, so there is no layer to look for: only what "
    "the reason names is wrong"
)


def explain_saved(bundle: Bundle, result: VerifyResult, out: Path, pool: Pool) -> VerifyResult:
    """The result with each mismatch explained, also in ``out``'s ``verify.json``, which this run has just written."""
    wrong = [row for row in result.rows if row.outcome == "mismatch"]
    if not wrong:
        return result
    asked = [row.device for row in wrong], (), list({row.runtime: None for row in wrong})
    by_name = {cell.name: cell for cell in cells(bundle, *asked)}
    reference = open_reference(bundle.folder / REFERENCE)
    with Converters() as converters:
        explainer = Explainer(source_of(bundle), reference, pool, converters)
        found = {
            cell_name(row): explainer.explain(by_name[cell_name(row)])
            for row in wrong
            if cell_name(row) in by_name
        }

    def explained(rows: tuple[VerifyRow, ...]) -> tuple[VerifyRow, ...]:
        return tuple(replace(row, explanation=found.get(cell_name(row), row.explanation)) for row in rows)

    saved = load_verify(out / VERIFY)
    if saved is not None:
        save(out / VERIFY, replace(saved, rows=explained(saved.rows)))
    return replace(result, rows=explained(result.rows))


def source_of(bundle: Bundle) -> Path:
    """The source folder inside a bundle."""
    return bundle.folder / bundle.manifest.source.path


class Explainer:
    """Explains cells that are judged by one reference, or by the part of it that their runtime is quick enough for.

    The source's layers on the same samples are computed once. ``source`` is the folder of the source, None where there
    is none; without ``converters`` it is not opened. ``seconds`` is what the search for the causes of a cell may take.
    """

    def __init__(
        self,
        source: Path | None,
        reference: Reference,
        pool: Pool,
        converters: Converters | None,
        seconds: float = SECONDS,
    ) -> None:
        self._source, self._reference, self._pool, self._converters = source, reference, pool, converters
        self._seconds = seconds
        self._layers: dict[tuple[int, ...], list[SourceLayer]] = {}

    def explain(self, cell: Cell) -> Explanation:
        """The first layer, then the causes; what fails on the way becomes a note."""
        notes: list[str] = []
        model = cell.bundle.manifest.model
        try:
            reference = judged_part(cell, self._reference, self._pool)
            y = answers(cell, reference.inputs, self._pool, batch=None)
        except FwexportError as error:
            return Explanation(notes=(f"the artifact could not be run again: {error}",))
        if all_passed(y, reference, model).passed:
            return Explanation(notes=(RIGHT_AGAIN.format(len(reference)),))
        found = Divergence((), "", ())
        try:
            rows = samples(y, reference, model)
            source = self._source_layers(reference, rows)
            used = rows[: len(source[0].y64)] if source else rows[:1]
            source = leading_to(source, [y64[used] for y64 in reference.y64.values()])
            traced = _trace(cell, reference, used, self._pool)
            found = first_layer(source, traced)
            notes += _remarks(found, y, traced, used, reference, model)
        except FwexportError as error:
            notes.append(f"no layer was compared: {error}")
        causes: list[Cause] = []
        try:
            causes, remarks = causes_of(
                lambda inputs: answers(cell, inputs, self._pool, batch=None),
                y,
                reference,
                model,
                found.span,
                self._source,
                self._converters,
                self._seconds,
            )
            notes += remarks
        except FwexportError as error:
            notes.append(f"no cause was looked for: {error}")
        if found.span and not found.last_good and not causes:
            notes.append("the first layer already differs: the fault lies in it, or in what it is given")
        return Explanation(found.span, found.last_good, found.layers, tuple(causes), tuple(notes))

    def _source_layers(self, reference: Reference, rows: Array) -> list[SourceLayer]:
        """The source's layers on these samples, or on the first of them. Raises UnavailableError without its framework."""
        key = (len(reference), *(int(row) for row in rows))
        if key not in self._layers:
            if self._source is None or self._converters is None:
                raise UnavailableError("there is no source to open here")
            loader = open_source(self._source).loader
            missing = loader.check()
            if missing:
                raise UnavailableError(f"the source cannot be opened here: {missing}")
            inputs = {name: array[rows] for name, array in reference.inputs.items()}
            real = [bool(role != "sentinel") for role in reference.roles[rows]]
            self._layers[key] = self._converters.get(loader.PROCESS).call(layers, self._source, inputs, real)
        return self._layers[key]


def samples(y: dict[str, Array], reference: Reference, model: ModelSpec) -> Array:
    """Indices of the judged samples to look at layer by layer, by importance: the worst, a real one, a sentinel, real ones."""
    judgements = [
        judge(y[s.name], reference.y64[s.name], reference.noise[s.name], s.kind) for s in model.outputs
    ]
    worst = max(judgements, key=lambda found: found.max_ratio).worst_sample
    sentinels = np.flatnonzero(reference.roles == "sentinel")[-1:]
    others = np.flatnonzero(reference.roles != "sentinel")
    ordered = [worst, *others[:1], *sentinels, *others[1:]]
    return np.array(list(dict.fromkeys(int(row) for row in ordered))[:SAMPLES])


def _trace(cell: Cell, reference: Reference, rows: Array, pool: Pool) -> dict[str, Array]:
    """Every tensor that the artifact computes for these samples."""
    artifact = cell.described
    inputs = {name: array[rows] for name, array in reference.inputs.items()}
    given, fixed = feeds(inputs, cell.bundle.manifest.model, artifact), fixed_batch(artifact.inputs)
    whole = padded(given, fixed) if fixed else given
    total = len(next(iter(whole.values())))
    options = SessionOptions(backend=cell.backend)
    worker, path = pool.session(cell).worker, cell.bundle.path(artifact)
    found = worker.call(session_child.trace, cell.runtime, path, cell.device, options, whole, fixed)
    return {
        name: array[: len(array) * len(rows) // total] if array.ndim else array
        for name, array in found.items()
    }


def _remarks(
    found: Divergence,
    y: Mapping[str, Array],
    traced: Mapping[str, Array],
    rows: Array,
    reference: Reference,
    model: ModelSpec,
) -> Iterator[str]:
    """What the comparison of layers leaves to be said."""
    if not found.layers:
        yield "the source has no layer that can be compared"
    elif not found.span:
        computed = all(
            closest_tensor(y[spec.name][rows].astype(np.float64), reference.noise[spec.name][rows], traced)
            for spec in model.outputs
        )
        yield (
            "every layer agrees, and the outputs do not: the fault lies after the last layer"
            if computed
            else "every layer agrees when each is computed for itself, and the outputs do not: the fault lies in what the "
            "runtime makes of the file, in a fusion, a delegate or a device"
        )
