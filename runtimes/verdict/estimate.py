"""A reference where nothing has float64: a file's own outputs in a runtime, with a noise that is estimated.

The outputs take the place of y64. The noise is their spread over other batches and over inputs moved by one unit in the
last place (ulp): an error that first layers answer as they answer their own rounding. On 13 networks of the zoo, in LiteRT
and in ONNX Runtime, it was 0.6 to 1.9 times the noise that float64 measures, and right pairs came to e/n of 6.4 at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from runtimes.base import Array, Feeds, Session
from runtimes.bundle import Artifact, ModelSpec
from runtimes.foreign import ForeignFile
from runtimes.reference import Reference, Variant, build
from runtimes.rows import VerifyRow

MOVES = ("up", "down", "either way", "either way again")
RUNS = (Variant(), Variant(batch=1), *(Variant(moved=move) for move in MOVES))
SEED = 20260104
# A right float export has at least this signal to noise ratio.
FLOAT_DB = 90.0


def estimated(
    file: ForeignFile,
    model: ModelSpec,
    artifact: Artifact,
    heldout: Feeds,
    labels: Array,
    generated: bool = False,
    notes: Sequence[str] = (),
    closest: Feeds = MappingProxyType({}),
) -> Reference:
    """The reference that ``file`` gives, described as ``model`` and ``artifact``, on samples in the model's layout.

    Fewer are taken where it is slow or they are large, as for any reference, but all of ``closest``.
    """
    name = file.path.name
    notes = [*notes, f"the reference is what {file.runtime} gives for {name}, and its noise is estimated"]
    if not any(array.dtype.kind == "f" for array in heldout.values()):
        notes.append("its inputs are integers, which cannot be moved: the noise may be more than estimated")
    return build(
        lambda variant: _Moved(file, model, artifact, variant.moved),
        heldout,
        labels,
        RUNS[1:],
        model.outputs,
        generated,
        notes,
        exact=RUNS[0],
        closest=closest,
    )


def moved(array: Array, how: str) -> Array:
    """Floating samples (n, ...) with each number moved to a neighbour; a zero by one ulp of its sample's largest.

    ``how`` is one of MOVES: all up, all down, or each by the flip of a seeded coin.
    """
    if array.dtype.kind != "f":
        return array
    size = np.abs(array)
    largest = size.reshape(len(array), -1).max(axis=1).reshape(-1, *[1] * (array.ndim - 1))
    step = np.spacing(np.where(size > 0, size, largest))
    if how in MOVES[:2]:
        direction = np.full(array.shape, 1.0 if how == MOVES[0] else -1.0)
    else:
        coin = np.random.default_rng([SEED, MOVES.index(how)])
        direction = coin.choice([-1.0, 1.0], array.shape)
    result: Array = array + (direction * step).astype(array.dtype)
    return result


def not_known(row: VerifyRow, inputs: Feeds) -> VerifyRow:
    """A row by an estimated noise, where no input could be moved: a mismatch as small as rounding can be is none yet."""
    if any(array.dtype.kind == "f" for array in inputs.values()) or row.outcome != "mismatch":
        return row
    if row.sqnr_db is None or row.sqnr_db < FLOAT_DB:
        return row
    reason = (
        f"{row.reason}. That noise is too little where integers go in, which cannot be moved; an SQNR of "
        f"{row.sqnr_db:.0f} dB is that of a right float export. Judge it by a file that its framework can load"
    )
    return replace(row, outcome="inconclusive", reason=reason)


class _Moved(Session):
    """A file in the model's names and layouts, on inputs that are moved first."""

    def __init__(self, file: ForeignFile, model: ModelSpec, artifact: Artifact, how: str) -> None:
        self._file, self._model, self._artifact, self._how = file, model, artifact, how
        self.inputs, self.outputs = artifact.inputs, model.outputs
        self.threads = file.opened.threads

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs of one batch."""
        inputs = {name: moved(array, self._how) if self._how else array for name, array in feeds.items()}
        return self._file.answers(inputs, self._model, self._artifact)

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call
