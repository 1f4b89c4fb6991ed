"""Which faults explain a mismatch: on the outputs, on the inputs, then in the source. The simplest come first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.converters import Converters
from exporter.explain.input_changes import Change, input_changes, restored_by
from exporter.explain.source_faults import source_causes
from exporter.source_folder import open_source
from runtimes.base import Array
from runtimes.bundle import ModelSpec
from runtimes.errors import FwexportError, WorkerError
from runtimes.explanation import Cause
from runtimes.reference import Reference
from runtimes.sentinels import SEED
from runtimes.verdict.hypotheses import all_passed, on_outputs, on_runs
from runtimes.verdict.parity import distances, refuse_estimate, refuse_reference

# What a row may take by default: of that, the changes of the inputs have the first share.
SECONDS = 60.0
INPUTS_SHARE = 0.5
# The samples that are run first with each change of the inputs.
FEW = 4
# How much closer the outputs must come before the rounding of the changed inputs is looked at.
CLOSER = 0.02

Run = Callable[[dict[str, Array]], dict[str, Array]]


def causes_of(
    run: Run,
    y: dict[str, Array],
    reference: Reference,
    model: ModelSpec,
    layers: tuple[str, ...],
    source: Path | None,
    converters: Converters | None,
    seconds: float = SECONDS,
) -> tuple[list[Cause], list[str]]:
    """``(causes, notes)`` for an artifact that gave ``y``, all in one batch, which does not pass.

    ``run`` gives its outputs for other inputs, in the source's names and layouts. ``layers`` are the first that diverge.
    Without ``source`` or its framework only the outputs and the inputs are looked at, and a note says so. The source is
    opened where those explain nothing. The search ends after ``seconds``.
    """
    begin = time.monotonic()
    causes = on_outputs(y, reference, model)
    notes: list[str] = []
    causes += on_inputs(run, y, reference, model, seconds * INPUTS_SHARE, notes)
    if causes:
        return causes, notes
    try:
        mixed = alone(run, reference, model)
        if mixed is not None:
            return [mixed], notes
        random = on_runs(y, run(reference.inputs), reference, model)
        if random:
            return random, notes
    except FwexportError as error:
        notes.append(f"other batches of the same samples could not be run: {error}")
    if source is None or converters is None:
        return [], [*notes, "there is no source here in which faults could be tried"]
    loader = open_source(source).loader
    missing = loader.check()
    if missing:
        return [], [*notes, f"no faults of the source were tried: {missing}"]
    found = converters.get(loader.PROCESS).call(
        source_causes,
        source,
        reference.inputs,
        y,
        reference.y64,
        reference.noise,
        layers,
        max(0.0, seconds - (time.monotonic() - begin)),
    )
    return found.causes, [*notes, *found.notes]


def alone(run: Run, reference: Reference, model: ModelSpec) -> Cause | None:
    """Whether samples that are wrong in a batch are right when each is run alone."""
    chosen = np.unique(np.linspace(0, len(reference) - 1, FEW).round().astype(int))
    found = [run({name: array[row : row + 1] for name, array in reference.inputs.items()}) for row in chosen]
    y = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    judgement = all_passed(y, reference.part(chosen, np.arange(0)), model)
    if not judgement.passed:
        return None
    detail = "each sample is right when it is run alone: what is computed for one depends on the others"
    return Cause("batch mixed", "inputs", detail, judgement.max_ratio)


def on_inputs(
    run: Run, y: dict[str, Array], reference: Reference, model: ModelSpec, seconds: float, notes: list[str]
) -> list[Cause]:
    """The changes of the inputs under which the artifact agrees. What agrees on a few samples is tried on all.

    Inputs that the artifact refuses (a mask in the place of indices) are no cause; a runtime that they end ends the search.
    """
    end = time.monotonic() + seconds
    chosen = np.unique(np.linspace(0, len(reference) - 1, FEW).round().astype(int))
    few = reference.part(chosen, np.arange(0))
    wrong = all_passed(y, reference, model).median_ratio
    causes: dict[str, Cause] = {}
    for change in input_changes(reference.inputs, model):
        if time.monotonic() > end:
            notes.append(f"not every change of the inputs was tried: {seconds:.0f} s were over")
            break
        if change.name in causes:
            continue
        first = replace(change, inputs={name: array[chosen] for name, array in change.inputs.items()})
        try:
            cause = _restored(first, run, few, model, wrong) and _restored(
                change, run, reference, model, wrong
            )
        except WorkerError as error:
            notes.append(f"not every change of the inputs was tried: with {change.name}, {error}")
            break
        except FwexportError:
            continue
        if cause is not None:
            causes[cause.name] = cause
    return list(causes.values())


def _restored(change: Change, run: Run, reference: Reference, model: ModelSpec, wrong: float) -> Cause | None:
    """The change as a cause when the artifact agrees with it, as far as rounding the changed inputs lets it.

    An image of 0 to 1 that was multiplied by 1/255 inside, before its mean is taken off, cannot be fed back without loss.
    So where the outputs come much closer than the ``wrong`` ones, what moving the inputs by an ulp does to them is noise.
    """
    y = run(change.inputs)
    cause = restored_by(change, y, reference, model)
    near = all_passed(y, reference, model).median_ratio < wrong * CLOSER
    if cause is not None or not near:
        return cause
    generator = np.random.default_rng(SEED)
    moved = run({name: _moved(array, generator) for name, array in change.inputs.items()})
    noise = {
        spec.name: np.maximum(
            reference.noise[spec.name],
            distances(moved[spec.name], y[spec.name].astype(np.float64), spec.kind),
        )
        for spec in model.outputs
    }
    refuse = refuse_estimate if reference.noise_kind == "estimated" else refuse_reference
    refused = any(refuse(reference.y64[spec.name], noise[spec.name], spec.kind) for spec in model.outputs)
    return None if refused else restored_by(change, y, replace(reference, noise=noise), model)


def _moved(array: Array, generator: np.random.Generator) -> Array:
    """Each number one representable step up or down."""
    if array.dtype.kind != "f":
        return array
    towards = np.where(generator.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
    moved: Array = np.nextafter(array, towards)
    return moved
