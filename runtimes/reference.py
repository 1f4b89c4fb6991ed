"""``reference.npz``: what the source predicts in float64, and how far its own float32 runs lie from that.

It is built once, beside the source; an edge device verifies with this file alone. Names inside:

    input:<name>    (n, ...)  the judged samples, in the source's layout     role (n,) real | generated | margin | sentinel
    y64:<name>      (n, ...)  float64 outputs                                noise:<name> (n,) float64
    held:<name>     (m, ...)  real samples, for top-1 and accuracy; m may be 0     label (m,) int64, -1 unknown
    held64:<name>   (m, ...)  their float64 outputs
    about           JSON: the float32 runs, refusals, notes
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from runtimes.base import Array, Feeds, Session
from runtimes.batches import run_in_batches
from runtimes.bundle import TensorSpec
from runtimes.errors import ConversionError, UnavailableError, UsageError
from runtimes.files import write_npz
from runtimes.sentinels import SEED, sentinels
from runtimes.verdict.parity import margins, noise_floor, refuse_estimate, refuse_reference, saturated

REFERENCE = "reference.npz"

REAL_SAMPLES = 64
SMALLEST_MARGINS = 16
HELDOUT_SAMPLES = 1000
MAX_SECONDS = 60.0
MAX_BYTES = 32 << 20
# However slow or large: so many samples, and so many sentinels.
FEWEST = 4
GENERATED_NOTE = "only generated inputs were used: real ones, brought with --samples, can show more"


@dataclass(frozen=True)
class Variant:
    """One way to run the source. ``batch`` None is all samples at once; ``moved`` is one of ``runtimes.verdict.estimate.MOVES``."""

    precision: str = "float32"
    batch: int | None = None
    threads: int = 1
    channels_last: bool = False
    moved: str = ""

    @property
    def name(self) -> str:
        """As it appears in ``about``."""
        batch = "all" if self.batch is None else str(self.batch)
        layout = ", channels_last" if self.channels_last else ""
        moved = f", inputs moved by one ulp: {self.moved}" if self.moved else ""
        return f"{self.precision}, batch {batch}, threads {self.threads}{layout}{moved}"


FLOAT64 = Variant(precision="float64")


@dataclass(frozen=True)
class Reference:
    """An opened ``reference.npz``. ``refused`` says why it cannot judge, or is empty.

    Where ``noise_kind`` is "estimated" nothing has float64, and ``y64`` are the outputs of a runtime.
    """

    inputs: dict[str, Array]
    roles: Array
    y64: dict[str, Array]
    noise: dict[str, Array]
    heldout: dict[str, Array]
    heldout_labels: Array
    heldout_y64: dict[str, Array]
    runs: tuple[str, ...]
    refused: str
    notes: tuple[str, ...]
    noise_kind: Literal["measured", "estimated"] = "measured"

    def __len__(self) -> int:
        """The number of judged samples."""
        return len(self.roles)

    @property
    def samples(self) -> Literal["real", "generated"]:
        """Whether somebody's data were judged, or seeded noise."""
        return "generated" if "generated" in self.roles else "real"

    def part(self, rows: Array, held: Array) -> Reference:
        """The judged samples at ``rows`` and the held-out ones at ``held``, both indices."""

        def some(group: Mapping[str, Array], at: Array) -> dict[str, Array]:
            return {name: array[at] for name, array in group.items()}

        return replace(
            self,
            inputs=some(self.inputs, rows),
            roles=self.roles[rows],
            y64=some(self.y64, rows),
            noise=some(self.noise, rows),
            heldout=some(self.heldout, held),
            heldout_labels=self.heldout_labels[held],
            heldout_y64=some(self.heldout_y64, held),
        )


Opener = Callable[[Variant], Session]


def variants(threads: int, channels_last: bool) -> tuple[Variant, ...]:
    """The float32 runs whose spread is the noise floor."""
    runs = [Variant(batch=1), Variant(), Variant(threads=threads)]
    if channels_last:
        runs.append(Variant(channels_last=True))
    return tuple(dict.fromkeys(runs))


def build(
    open_session: Opener,
    heldout: Feeds,
    labels: Array,
    runs: Sequence[Variant],
    outputs: Sequence[TensorSpec],
    generated: bool = False,
    notes: Sequence[str] = (),
    exact: Variant = FLOAT64,
    closest: Feeds = MappingProxyType({}),
) -> Reference:
    """Run the source in float64 and in each of ``runs``, on samples picked from ``heldout``.

    ``heldout`` holds preprocessed samples in the source's layout, shape (m, ...); ``labels`` is (m,) int64.
    ``generated`` ones are judged like real ones, but say nothing of accuracy; nor does a model that does not classify.
    Fewer samples are taken when the reference would pass 60 s or 32 MB, and a note says so, but no fewer than 4 and as
    many sentinels. ``closest`` are more samples, all of which are kept: picked for small margins or large errors, of many
    that ``heldout`` is a part of. Another ``exact`` than float64 makes an estimate of what cannot be measured: see
    ``runtimes.verdict.estimate``.
    """
    notes = list(notes)
    noise_kind: Literal["measured", "estimated"] = "measured" if exact == FLOAT64 else "estimated"
    refuse = refuse_reference if exact == FLOAT64 else refuse_estimate
    if generated:
        notes.append(GENERATED_NOTE)
    refused = ""
    try:
        source = open_session(exact)
        cost = _cost(source, heldout)
    except (UnavailableError, ConversionError) as error:
        refused = str(error)
        source = open_session(Variant())
        cost = _cost(source, heldout)
    pool, labels = _affordable(heldout, labels, cost, 2 + len(runs), notes)
    pool64 = _as_float64(run_in_batches(source, pool, 32))
    chosen, roles = choose_samples(pool64[outputs[0].name], outputs[0].kind)
    extra = _last(sentinels(pool), max(FEWEST, MAX_BYTES // 4 // cost.nbytes))
    if closest:
        chosen, roles = chosen[roles == "real"], roles[roles == "real"]
        extra = {name: np.concatenate([array, extra[name]]) for name, array in closest.items()}
    inputs = {name: np.concatenate([pool[name][chosen], extra[name]]) for name in pool}
    margin = len(next(iter(closest.values()))) if closest else 0
    more = ["margin"] * margin + ["sentinel"] * (len(next(iter(extra.values()))) - margin)
    all_roles = np.concatenate([roles, more])
    extra64 = _as_float64(run_in_batches(source, extra, 32))
    y64 = {name: np.concatenate([pool64[name][chosen], extra64[name]]) for name in pool64}
    del source  # one model at a time is in memory
    results = []
    for variant in runs:
        session = open_session(variant)
        results.append(run_in_batches(session, inputs, variant.batch or len(all_roles)))
        del session
    noise = {}
    for spec in outputs:
        single = [result[spec.name] for result in results]
        real = all_roles != "sentinel"
        noise[spec.name] = noise_floor(single, y64[spec.name], spec.kind, real)
    usable = _usable(all_roles, y64, noise, outputs)
    if not usable.all():
        notes.append(
            f"{(~usable).sum()} extreme inputs are left out: on them the source is not finite in float32, or saturated"
        )
        inputs, y64, noise = (_chosen(group, usable) for group in (inputs, y64, noise))
        all_roles = all_roles[usable]
    for spec in outputs:
        refused = refused or refuse(y64[spec.name], noise[spec.name], spec.kind)
    if refused and noise_kind == "measured":
        notes.append("the bundle has no golden folder: nothing says what its outputs should be")
    names = tuple(variant.name for variant in runs)
    if generated:
        all_roles = np.where(all_roles == "real", "generated", all_roles)
    if generated or outputs[0].kind not in ("logits", "probabilities"):
        pool, labels, pool64 = _first(pool, 0), labels[:0], _first(pool64, 0)
    return Reference(
        inputs, all_roles, y64, noise, pool, labels, pool64, names, refused, tuple(notes), noise_kind
    )


def _usable(
    roles: Array, y64: Mapping[str, Array], noise: Mapping[str, Array], outputs: Sequence[TensorSpec]
) -> Array:
    """Every real sample, and the sentinels on which the source gives finite numbers that can differ; shape (n,) bool."""
    usable = np.ones(len(roles), bool)
    for spec in outputs:
        exact = y64[spec.name]
        finite = np.isfinite(exact.reshape(len(roles), -1)).all(axis=1) & np.isfinite(noise[spec.name])
        usable &= (finite & ~saturated(exact, spec.kind)) | (roles != "sentinel")
    return usable


def _chosen(arrays: Mapping[str, Array], which: Array) -> dict[str, Array]:
    return {name: array[which] for name, array in arrays.items()}


def choose_samples(y64: Array, kind: str) -> tuple[Array, Array]:
    """Indices into the pool and their roles: the first real samples, then those with the smallest margins."""
    real = np.arange(min(REAL_SAMPLES, len(y64)))
    rest = np.arange(len(real), len(y64))
    if kind in ("logits", "probabilities") and len(rest):
        closest = rest[np.argsort(margins(y64[rest]), kind="stable")[:SMALLEST_MARGINS]]
    else:
        closest = rest[:0]
    roles = np.concatenate([np.full(len(real), "real"), np.full(len(closest), "margin")])
    return np.concatenate([real, closest]), roles


@dataclass(frozen=True)
class _Cost:
    """What one more sample costs: seconds for a run of the source, and bytes of its inputs and of its outputs in float64."""

    seconds: float
    nbytes: int


def _cost(session: Session, pool: Feeds) -> _Cost:
    """Measured on a few samples, once the session has run."""
    few = _first(pool, FEWEST)
    outputs = run_in_batches(session, few, FEWEST)
    begin = time.perf_counter()
    run_in_batches(session, few, FEWEST)
    seconds = time.perf_counter() - begin
    count = len(next(iter(few.values())))
    arrays = [*few.values(), *_as_float64(outputs).values()]
    return _Cost(seconds / count, max(1, sum(array.nbytes for array in arrays) // count))


def _as_float64(group: Feeds) -> dict[str, Array]:
    """Floating outputs as float64, which they are unless the source has no float64: then the reference is refused."""
    return {
        name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in group.items()
    }


def _first(group: Feeds, count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in group.items()}


def _last(group: Feeds, count: int) -> dict[str, Array]:
    return {name: array[-count:] for name, array in group.items()}


def save_reference(path: Path, reference: Reference) -> None:
    """Write ``reference.npz``."""
    about = {"runs": reference.runs, "refused": reference.refused, "notes": reference.notes}
    arrays: dict[str, Array] = {"role": reference.roles, "label": reference.heldout_labels}
    for prefix, group in _groups(reference):
        arrays |= {f"{prefix}:{name}": array for name, array in group.items()}
    write_npz(path, {"about": np.array(json.dumps(about)), **arrays})


def open_reference(path: Path) -> Reference:
    """Read ``reference.npz``. Raises UsageError when it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays["about"]))
        groups = {
            prefix: {
                name.split(":", 1)[1]: array
                for name, array in arrays.items()
                if name.startswith(f"{prefix}:")
            }
            for prefix in ("input", "y64", "noise", "held", "held64")
        }
        return Reference(
            groups["input"],
            arrays["role"],
            groups["y64"],
            groups["noise"],
            groups["held"],
            arrays["label"],
            groups["held64"],
            tuple(about["runs"]),
            about["refused"],
            tuple(about["notes"]),
        )
    except FileNotFoundError:
        raise UsageError(f"{path} is missing, so nothing can be judged. Build the bundle again.") from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is damaged ({error}). Build the bundle again.") from None


def _groups(reference: Reference) -> list[tuple[str, dict[str, Array]]]:
    return [
        ("input", reference.inputs),
        ("y64", reference.y64),
        ("noise", reference.noise),
        ("held", reference.heldout),
        ("held64", reference.heldout_y64),
    ]


def _affordable(
    heldout: Feeds, labels: Array, cost: _Cost, runs: int, notes: list[str]
) -> tuple[dict[str, Array], Array]:
    """As many samples as MAX_SECONDS run and half of MAX_BYTES holds; chosen by a seed, in their order."""
    total = len(labels)
    by_size = max(FEWEST, MAX_BYTES // 2 // cost.nbytes)
    by_time = max(FEWEST, int(MAX_SECONDS / max(cost.seconds * runs, 1e-9)))
    keep, reason = min(
        (HELDOUT_SAMPLES, ""),
        (by_size, f": each has {cost.nbytes / 1e6:.2g} MB with its outputs"),
        (by_time, f": the source takes {cost.seconds:.2g} s for each"),
    )
    if keep >= total:
        return dict(heldout), labels
    notes.append(f"{keep} of {total} samples are kept in the reference{reason}")
    chosen = np.sort(np.random.default_rng(SEED).choice(total, keep, replace=False))
    return {name: array[chosen] for name, array in heldout.items()}, labels[chosen]
