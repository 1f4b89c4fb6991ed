"""Which fault, planted in the source, makes it predict what an artifact predicts? Runs in the source's child.

A fault restores parity when ``parity.judge`` passes the artifact's outputs against those of the source with the fault.
Their noise is the reference's, in proportion where the fault makes outputs larger. Where the fault gives NaN or Inf, the
artifact must give them for the same samples, and agree on the others.

A few samples are tried first; what agrees on them is tried on all. Single layers are tried where the layers that diverge
first are known, then all layers at once, then each other layer, until something is found or the time is up.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf, log
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from exporter.explain.faults import Fault, faults
from exporter.explain.operators import Op
from exporter.source_folder import open_source
from runtimes.base import Array, Feeds
from runtimes.batches import fixed_batch, padded
from runtimes.bundle import Kind, TensorSpec
from runtimes.explanation import Cause
from runtimes.verdict.parity import SMALLEST_P, Judgement, distances, judge

SECONDS = 60.0
BATCH = 32
# Of these, what running the source on all samples may take, so that there is time for more than one trial.
SHARE = 0.2
# Between two listed values of a number, halving the interval this often finds any other.
TUNING_STEPS = 40
TUNING_CHECK, TUNING_GAIN = 6, 2.0
GOLDEN = (5**0.5 - 1) / 2

_MODULES = {
    "torch": "exporter.explain.torch_operators",
    "keras": "exporter.explain.keras_operators",
    "onnx": "exporter.explain.onnx_operators",
}

Change = Callable[[Op], Op | Array]


class Source(Protocol):
    """A source whose operators can be changed while it runs, in the order of computation."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def operators(self, feeds: Feeds) -> list[Op]:
        """Those that are known, as they run on these samples."""

    def run(self, feeds: Feeds, changes: Mapping[int, Change]) -> dict[str, Array]:
        """The outputs, with the operators at these places changed."""


class Framework(Protocol):
    """The module of one framework."""

    def open_source(self, folder: Path) -> Source:
        """The source in ``folder``, in as much precision as it is judged by."""


@dataclass(frozen=True)
class Trial:
    """One hypothesis: these changes, for each of ``values``. ``alone`` are the same in one layer each."""

    name: str
    detail: str
    changes: Mapping[int, Callable[[Op, float], Op | Array]]
    values: tuple[float, ...] = (0.0,)
    tuned: bool = False
    whole_batch: bool = False
    alone: tuple[Trial, ...] = ()

    @property
    def same(self) -> tuple[str, tuple[int, ...]]:
        """What two trials have in common of which the second says no more."""
        return self.name, tuple(self.changes)

    def at(self, value: float) -> dict[int, Change]:
        """The changes for one value."""
        return {place: _bound(change, value) for place, change in self.changes.items()}


def _bound(change: Callable[[Op, float], Op | Array], value: float) -> Change:
    return lambda op: change(op, value)


@dataclass(frozen=True)
class Found:
    """The causes, in the order of trial, and what was left out."""

    causes: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Artifact:
    """What an artifact gave for some samples, and what it is judged by."""

    inputs: dict[str, Array]
    y: dict[str, Array]
    y64: dict[str, Array]
    noise: dict[str, Array]

    def part(self, rows: Array) -> Artifact:
        """Some of the samples."""
        groups = (self.inputs, self.y, self.y64, self.noise)
        return Artifact(*({name: array[rows] for name, array in group.items()} for group in groups))

    def __len__(self) -> int:
        """The number of samples."""
        return len(next(iter(self.inputs.values())))

    def judged(self, outputs: Mapping[str, Array], kinds: Mapping[str, Kind]) -> Judgement:
        """The artifact's outputs against these, the worst of all outputs."""
        found = [_judge(self, name, outputs[name], kind) for name, kind in kinds.items()]
        return max(found, key=lambda each: (not each.passed, each.max_ratio))


def source_causes(
    folder: Path,
    inputs: dict[str, Array],
    y: dict[str, Array],
    y64: dict[str, Array],
    noise: dict[str, Array],
    layers: tuple[str, ...] = (),
    seconds: float = SECONDS,
) -> Found:
    """The faults of the source in ``folder`` under which it predicts ``y``, the artifact's outputs in the source's names.

    ``layers`` are those of the source that diverge first, as ``source_layers`` names them. The arrays are the reference's.
    """
    framework = open_source(folder).framework
    if framework not in _MODULES:
        return Found(notes=[f"no faults can be planted in a {framework} source"])
    module = cast(Framework, importlib.import_module(_MODULES[framework]))
    return search(module.open_source(folder), Artifact(inputs, y, y64, noise), layers, seconds)


def search(source: Source, artifact: Artifact, layers: Sequence[str], seconds: float) -> Found:
    """Try every hypothesis, in phases; the first that finds something is the last. In the last, one cause is enough."""
    end, told = time.monotonic() + seconds, set()
    kinds = {spec.name: spec.kind for spec in source.outputs}
    few = artifact.part(_telling(artifact, kinds))
    first = padded(artifact.part(np.array([0])).inputs, fixed_batch(source.inputs) or 1)
    ops = source.operators(first)
    named = [place for place, op in enumerate(ops) if any(_is_of(op.layer, layer) for layer in layers)]
    found = Found()
    _run(source, few, {}, whole=False)
    begin = time.monotonic()
    if few.judged(_run(source, few, {}, whole=False), kinds).passed:
        found.notes.append("the source itself predicts what the artifact does")
        return found
    cost = (time.monotonic() - begin) / len(few) * len(artifact)
    whole, is_whole = artifact, cost <= seconds * SHARE
    if not is_whole:
        found.notes.append(
            "faults were tried on a few samples: the source is slow. Batch norms in training mode were not"
        )
        whole = few
    last = _singles(ops, range(len(ops)), but=named)
    for phase in (_singles(ops, named), _everywhere(ops), last):
        for trial in phase:
            if time.monotonic() > end:
                found.notes.append(f"not every fault of the source was tried: {seconds:.0f} s were over")
                return found
            if trial.same in told or (trial.whole_batch and not is_whole):
                continue
            # What one layer explains is not said of all.
            cause = _cause(source, trial, whole, few, kinds, end)
            single = (_cause(source, one, whole, few, kinds, end) for one in trial.alone if cause)
            cause = next(filter(None, single), cause)
            if cause is not None:
                told.add(trial.same)
                found.causes.append(cause)
                if phase is last:
                    return found
        if found.causes:
            return found
    return found


def _cause(
    source: Source,
    trial: Trial,
    artifact: Artifact,
    few: Artifact,
    kinds: Mapping[str, Kind],
    end: float,
) -> Cause | None:
    """The trial as a cause, when it restores parity on a few samples, before ``end`` by the clock, then on all."""
    value = _restores(source, trial, artifact if trial.whole_batch else few, kinds, end)
    if value is None:
        return None
    judgement = artifact.judged(_run(source, artifact, trial.at(value), trial.whole_batch), kinds)
    if not judgement.passed:
        return None
    return Cause(trial.name, "source", trial.detail.format(value=value), judgement.max_ratio)


def _restores(
    source: Source, trial: Trial, case: Artifact, kinds: Mapping[str, Kind], end: float
) -> float | None:
    """The value with which the trial restores parity on these samples, or None: also where ``end`` comes first."""

    def distance(value: float) -> tuple[bool, float]:
        if time.monotonic() > end:
            return False, inf
        try:
            with np.errstate(all="ignore"):
                outputs = _run(source, case, trial.at(value), trial.whole_batch)
        except (
            Exception
        ):  # what a change gives need not fit into the network: each framework says so in its own way
            return False, inf
        judgement = case.judged(outputs, kinds)
        return judgement.passed, judgement.median_ratio

    found = [distance(value) for value in trial.values]
    best = min(range(len(found)), key=lambda at: (not found[at][0], found[at][1]))
    if found[best][0]:
        return trial.values[best]
    ratios = [ratio for _, ratio in found]
    if not trial.tuned or ratios[best] * 2 > max(ratios):
        return None  # this number hardly matters here
    low = log(trial.values[max(0, best - 1)]) - (2.3 if best == 0 else 0)
    high = log(trial.values[min(best + 1, len(found) - 1)]) + (2.3 if best == len(found) - 1 else 0)
    return _tuned(lambda at: distance(exp(at)), low, high)


def _tuned(distance: Callable[[float], tuple[bool, float]], low: float, high: float) -> float | None:
    """The argument's exponential at which the distance passes, by golden-section search, or None."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = distance(left), distance(right)
    aim = min(at_left[1], at_right[1])
    for step in range(1, TUNING_STEPS):
        for at, (passed, _ratio) in ((left, at_left), (right, at_right)):
            if passed:
                return exp(at)
        if step % TUNING_CHECK == 0:
            nearest, aim = min(at_left[1], at_right[1]), aim / TUNING_GAIN
            if nearest > aim:
                return None  # it does not go to zero: some other fault
        if at_left[1] < at_right[1]:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = distance(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = distance(right)
    return None


def _singles(ops: Sequence[Op], places: Sequence[int], but: Sequence[int] = ()) -> Iterator[Trial]:
    """Each fault in each operator alone, and its weights exchanged for those of another."""
    chosen = [place for place in places if place not in but]
    for fault in faults():
        for place in chosen:
            if fault.fits(ops[place]):
                yield _alone(fault, ops, place)
    for place in chosen:
        yield from _exchanged(ops, place)


def _everywhere(ops: Sequence[Op]) -> Iterator[Trial]:
    """Each fault in all operators that can have it, where there are several."""
    for fault in faults():
        places = [place for place, op in enumerate(ops) if fault.fits(op)]
        kinds = list(dict.fromkeys(ops[place].kind for place in places))
        if len(places) > 1:
            yield _together(fault, ops, places, "all that can")
        for kind in kinds if len(kinds) > 1 else ():
            some = [place for place in places if ops[place].kind == kind]
            if len(some) > 1:
                yield _together(fault, ops, some, f"every {kind}")


def _together(fault: Fault, ops: Sequence[Op], places: Sequence[int], which: str) -> Trial:
    alone = tuple(_alone(fault, ops, place) for place in places)
    detail = f"in {len(places)} layers, {which}: {fault.detail}"
    return replace(alone[0], detail=detail, changes=dict.fromkeys(places, fault.change), alone=alone)


def _alone(fault: Fault, ops: Sequence[Op], place: int) -> Trial:
    detail, changes = f"{ops[place].layer}: {fault.detail}", {place: fault.change}
    return Trial(fault.name, detail, changes, fault.values, fault.tuned, fault.whole_batch)


def _exchanged(ops: Sequence[Op], place: int) -> Iterator[Trial]:
    """The weights of another layer of the same shape."""

    def taken(other: Op) -> Callable[[Op, float], Op]:
        return lambda op, _: op.but(weight=other.values["weight"], bias=other.values.get("bias"))

    mine = ops[place].values.get("weight")
    for at, other in enumerate(ops):
        theirs = other.values.get("weight")
        if at == place or mine is None or theirs is None or mine.shape != theirs.shape:
            continue
        changes = {place: taken(other)}
        detail = f"{ops[place].layer}: the weights of {other.layer}"
        yield Trial("another layer's weights", detail, changes)
        if at > place:
            detail = f"{ops[place].layer} and {other.layer} have each other's weights"
            yield Trial("another layer's weights", detail, {**changes, at: taken(ops[place])})


def _is_of(layer: str, named: str) -> bool:
    """Whether an operator belongs to a layer by name, to a part of it, or it to the operator's module."""
    layer, named = (name.partition("#")[0].replace("/", ".") for name in (layer, named))
    return layer == named or layer.startswith(named + ".") or named.startswith(layer + ".")


def _telling(artifact: Artifact, kinds: Mapping[str, Kind]) -> Array:
    """Which samples show a fault best: the farthest from the source, the median one, the first and the last."""
    name, kind = next(iter(kinds.items()))
    count = len(artifact)
    order = np.arange(count)
    if artifact.y[name].shape == artifact.y64[name].shape:
        e = distances(artifact.y[name], artifact.y64[name], kind)
        order = np.argsort(e / np.maximum(artifact.noise[name], np.finfo(float).tiny), kind="stable")
    return np.unique([order[-1], order[count // 2], 0, count - 1])


def _run(source: Source, case: Artifact, changes: Mapping[int, Change], whole: bool) -> dict[str, Array]:
    total, fixed = len(case), fixed_batch(source.inputs)
    inputs = padded(case.inputs, fixed) if fixed else case.inputs
    size = fixed or (total if whole else BATCH)
    parts = [
        source.run({name: array[at : at + size] for name, array in inputs.items()}, changes)
        for at in range(0, total, size)
    ]
    return {name: np.concatenate([part[name] for part in parts])[:total] for name in parts[0]}


def _judge(case: Artifact, name: str, with_fault: Array, kind: Kind) -> Judgement:
    y, y64 = case.y[name], case.y64[name]
    if y.shape != with_fault.shape or y.dtype.kind not in "f":
        return judge(y, with_fault, case.noise[name], kind)
    noise = case.noise[name] * np.maximum(1.0, _sizes(with_fault, kind) / _sizes(y64, kind))
    finite, expected = (np.isfinite(_rows(array)).all(axis=1) for array in (y, with_fault))
    if not expected.all() and expected.any() and np.array_equal(finite, expected):
        y, with_fault, noise = y[finite], with_fault[finite], noise[finite]
    return judge(y, with_fault.astype(np.float64), noise, kind)


def _sizes(y: Array, kind: Kind) -> Array:
    """The magnitude of each sample's outputs, of log p for probabilities; never 0."""
    rows = np.log(np.maximum(_rows(y), SMALLEST_P)) if kind == "probabilities" else _rows(y)
    sizes: Array = np.maximum(np.linalg.norm(np.where(np.isfinite(rows), rows, 0.0), axis=1), 1e-300)
    return sizes


def _rows(y: Array) -> Array:
    return y.reshape(len(y), -1)
