"""The rows of ``verify.json`` and ``bench.json``: what is printed by ``--json``, saved, reported and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from runtimes.bundle import Failure
from runtimes.doubts import Doubt
from runtimes.errors import UsageError
from runtimes.explanation import Explanation
from runtimes.files import write_atomically
from runtimes.machine import Machine
from runtimes.measuring.latency import Latency

SCHEMA = 2
VERIFY = "verify.json"
BENCH = "bench.json"
AGREEMENT = "agreement.json"
# The class that each row of verify.json gave to each held-out sample: row name -> (m,) int64.
PREDICTIONS = "predictions.npz"

Outcome = Literal["passed", "mismatch", "inconclusive", "unavailable", "failed", "crashed", "timeout"]


@dataclass(frozen=True)
class VerifyRow:
    """The verdict on one artifact in one runtime on one device. A figure that was not reached is None.

    ``n`` counts the samples under the noise rule, ``samples`` says whether they were real, ``noise`` whether the
    source's own was measured; ``max_noise_ratio`` is their largest e/n, ``max_abs_error`` the largest difference of
    an output element from y64 (None where it is not finite), ``sqnr_db`` the smallest signal to noise ratio of an
    output in dB, 319 where it equals y64. ``top1_agreement`` is over the ``heldout_n`` real samples, the accuracies
    over those of them with a label; ``accuracy_change`` is the artifact's less the source's, ``mcnemar_p`` the chance
    of one as large by luck. Intervals are of 95 %: see ``runtimes.verdict.statistics``. ``needed_n`` is how many real samples
    would decide an inconclusive row, ``wall_s`` the seconds that the row took. ``emulated`` names the software that
    played the device, where no real one did: "SwiftShader".
    """

    source: str
    artifact: str
    runtime: str
    device: str
    backend: str
    outcome: Outcome
    reason: str = ""
    n: int = 0
    samples: Literal["real", "generated"] = "real"
    max_noise_ratio: float | None = None
    median_noise_ratio: float | None = None
    max_abs_error: float | None = None
    noise: Literal["measured", "estimated"] = "measured"
    sqnr_db: float | None = None
    top1_agreement: float | None = None
    top1_interval: tuple[float, float] | None = None
    accuracy: float | None = None
    source_accuracy: float | None = None
    accuracy_change: float | None = None
    accuracy_change_interval: tuple[float, float] | None = None
    mcnemar_p: float | None = None
    heldout_n: int = 0
    needed_n: int | None = None
    device_proof: str = ""
    emulated: str = ""
    artifact_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    explanation: Explanation | None = None
    wall_s: float | None = None


def cell_name(row: VerifyRow) -> str:
    """``source/artifact/runtime/device/backend``, which is also the name of the row's ``Cell``."""
    return f"{row.source}/{row.artifact}/{row.runtime}/{row.device}/{row.backend}"


@dataclass(frozen=True)
class BenchRow:
    """The latency of one cell: one artifact, runtime, device, thread count, precision and batch. Seconds and bytes.

    ``import_s`` is the runtime's own library, ``load_s`` the artifact, ``first_s`` the first run, of one sample or of
    the file's one batch, in a process that has done nothing else; medians where ``processes`` is more than one.
    ``compute`` is the steady state with the inputs where the device reads them; ``end_to_end``, on a GPU, from host
    arrays to host arrays. ``warmup_s`` came before it. ``throughput_per_s`` is samples per second of ``compute``.
    ``loaded_rss_bytes`` is the most memory that the process held from the import of the library until the artifact
    was loaded, ``peak_rss_bytes`` while this batch warmed up, ``added_rss_bytes`` the latter less what it held once
    the library was imported. ``settings`` are those of the runtime that shape its speed, as they were set.
    ``verdict`` is the outcome of the same artifact in ``verify.json``, or "not verified". ``emulated`` names the software
    that played the device, where no real one did; ``downloaded_bytes`` is what a browser fetched, uncompressed.
    """

    source: str
    artifact: str
    runtime: str
    device: str
    backend: str
    threads: int
    batch: int
    precision: str = "float32"
    outcome: Outcome = "passed"
    reason: str = ""
    processes: int = 1
    import_s: float | None = None
    load_s: float | None = None
    first_s: float | None = None
    warmup_s: float | None = None
    warmup_n: int = 0
    compute: Latency | None = None
    end_to_end: Latency | None = None
    throughput_per_s: float | None = None
    loaded_rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    added_rss_bytes: int | None = None
    gpu_memory_bytes: int | None = None
    stable: bool | None = None
    size_bytes: int = 0
    artifact_sha256: str = ""
    verdict: str = "not verified"
    device_proof: str = ""
    emulated: str = ""
    downloaded_bytes: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def cold_s(self) -> float | None:
        """Seconds from the start of the import to the first answer; None where a part was not measured."""
        if self.import_s is None or self.load_s is None or self.first_s is None:
            return None
        return self.import_s + self.load_s + self.first_s


def bench_name(row: BenchRow) -> str:
    """``source/artifact/runtime/device/backend/threads N/batch N/precision``: one row of a run, and of the next."""
    where = f"{row.source}/{row.artifact}/{row.runtime}/{row.device}/{row.backend}"
    return f"{where}/threads {row.threads}/batch {row.batch}/{row.precision}"


@dataclass(frozen=True)
class Check:
    """One requirement on one row. ``margin`` is the share of the limit that is left, negative where it is passed.

    A figure with an interval is judged, and its margin counted, by the worse end of it: "within noise" is a figure that
    keeps the limit while that end does not. "unknown" is one that the row does not have.
    """

    requirement: str
    outcome: Literal["met", "within noise", "missed", "unknown"]
    value: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Judged:
    """One row of bench against all requirements: ``checks`` in their order, ``reason`` why it does not meet them.

    A row meets them when every check is met and the verdict on its artifact passed. ``figures`` are the values by axis
    of the Pareto front, as far as they are known.
    """

    name: str
    meets: bool
    reason: str
    checks: tuple[Check, ...]
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """Which artifact to deploy. ``rows`` are in the order of the rows of bench, names those of ``bench_name``.

    ``pareto`` are the rows whose verdict passed and that no other such row of their batch equals or beats in every one of
    ``axes``, with one of them better. ``recommended`` is one of those that meet the requirements: the best in the first of
    them, and where that lies within noise, in the next.
    """

    requirements: tuple[str, ...]
    rows: tuple[Judged, ...]
    axes: tuple[str, ...]
    pareto: tuple[str, ...]
    recommended: str | None


@dataclass(frozen=True)
class VerifyResult:
    """The whole of ``verify.json``. ``notes`` say in words what was not measured and why."""

    schema: int
    created: str
    machine: Machine
    rows: tuple[VerifyRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchResult:
    """The whole of ``bench.json``. ``doubts`` are what happened on the machine while it measured, ``choice`` is about the
    rows of the run that wrote it, where it was given requirements.
    """

    schema: int
    created: str
    machine: Machine
    time: str
    rows: tuple[BenchRow, ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    choice: Choice | None = None

    @property
    def every_doubt(self) -> tuple[Doubt, ...]:
        """What was wrong with the machine as it began, and what happened since, each once."""
        return tuple(dict.fromkeys((*self.machine.doubts, *self.doubts)))


@dataclass(frozen=True)
class BuildResult:
    """What ``build --json`` prints: the verdicts, the latencies, and the formats that could not be written."""

    schema: int
    rows: tuple[VerifyRow, ...]
    bench: tuple[BenchRow, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Agreement:
    """The whole of ``agreement.json``: the share of held-out samples on which two rows name the same class.

    ``names`` are ``source/artifact/runtime/device/backend``; ``top1`` is square in that order; ``n`` the samples.
    """

    schema: int
    n: int
    names: tuple[str, ...]
    top1: tuple[tuple[float, ...], ...]


Result = VerifyResult | BenchResult | Agreement


def save(path: Path, result: Result) -> None:
    """Write the result as readable JSON."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(result), indent=2))


def load_verify(path: Path) -> VerifyResult | None:
    """The verify result in this file, or None when there is no such file."""
    return _load(path, VerifyResult)


def load_bench(path: Path) -> BenchResult | None:
    """The bench result in this file, or None when there is no such file."""
    return _load(path, BenchResult)


def load_agreement(path: Path) -> Agreement | None:
    """The agreement in this file, or None when there is no such file."""
    return _load(path, Agreement)


R = TypeVar("R", VerifyResult, BenchResult, Agreement)


def _load(path: Path, kind: type[R]) -> R | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged ({error}). Run the command that wrote it again.") from None
