"""Why a row is a mismatch, as data: the first layer that leaves the noise band, and the faults under which it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["outputs", "inputs", "source"]


@dataclass(frozen=True)
class Cause:
    """A fault that restores parity when it is undone on the inputs or outputs, or done to the source.

    ``name`` is of the closed list that CONTRIBUTING.md explains; ``detail`` says it of this model in a sentence.
    """

    name: str
    where: Where
    detail: str
    max_noise_ratio: float


@dataclass(frozen=True)
class LayerError:
    """One layer of the source, in the order of computation, beside what the artifact computes there.

    ``ratio`` is the largest e/n (see ``runtimes.verdict.parity``) of ``tensor``, the artifact's closest one; None where that is
    not finite, and where ``tensor`` is "": the layer was folded into another.
    """

    name: str
    op: str
    ratio: float | None = None
    tensor: str = ""


@dataclass(frozen=True)
class Explanation:
    """What ``verify --explain`` found. ``first_layers`` is the first span that diverges, in order: one layer, or those
    that the artifact computes as one; empty when it was not found, and ``notes`` say why.
    """

    first_layers: tuple[str, ...] = ()
    last_good: str = ""
    layers: tuple[LayerError, ...] = ()
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()


def in_words(explanation: Explanation) -> tuple[str, ...]:
    """What was found, a sentence each: where it begins, why, and what could not be looked at."""
    lines = []
    if explanation.first_layers:
        ops = {layer.name: layer.op for layer in explanation.layers}
        named = [f"{name} ({ops[name]})" if ops.get(name) else name for name in explanation.first_layers]
        after = f"agrees up to {explanation.last_good}" if explanation.last_good else "nothing before it"
        several = len(named) > 1
        words = (
            f"one of {', '.join(named)}, between which the artifact shows nothing" if several else named[0]
        )
        lines.append(f"first layer that differs: {words}; {after}")
    lines += [f"likely cause: {cause.name}: {cause.detail}" for cause in explanation.causes]
    return (*lines, *explanation.notes)
