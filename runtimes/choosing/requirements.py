"""What a person requires of an artifact: ``p90_ms<5,size_mb<2,accuracy>0.97``. Pure: text in, frozen requirements out.

    requirements = requirement ("," requirement)*
    requirement  = metric ("<" | "<=" | ">" | ">=") number

Times are those of one run of the whole batch, from host memory to host memory where the row has such times, because that
is what a caller waits for. ``cold_ms`` is import, load and first run; a MB has 10^6 bytes; ``top1`` is the share of
held-out samples that get the source's class.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtimes.errors import UsageError
from runtimes.rows import BenchRow, VerifyRow


@dataclass(frozen=True)
class Figure:
    """A figure of one row, and its 95 % interval where it was measured with one."""

    value: float
    interval: tuple[float, float] | None = None


# A figure of a row of bench, and of the row of verify about the same file in the same runtime; None where it has none.
Read = Callable[[BenchRow, VerifyRow | None], Figure | None]


@dataclass(frozen=True)
class Metric:
    """A figure that can be required, and whether less of it is better."""

    read: Read
    less_is_better: bool = True
    is_share: bool = False


@dataclass(frozen=True)
class Requirement:
    """One metric and its limit."""

    metric: str
    op: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.op}{self.limit:.15g}"

    def allows(self, value: float) -> bool:
        """Whether this value keeps the limit."""
        return bool(_OPERATORS[self.op](value, self.limit))


def parse(texts: Sequence[str]) -> tuple[Requirement, ...]:
    """The requirements of several lists, in their order. Raises UsageError for one that cannot be read."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    if "" in parts:
        raise UsageError(
            f"--require {','.join(texts)!r}: nothing is required before or after one of its commas."
        )
    return tuple(map(_one, parts))


def _one(text: str) -> Requirement:
    found = re.fullmatch(r"(\w+)\s*(<=|>=|<|>)\s*(\S+)", text)
    if found is None:
        raise UsageError(
            f"--require {text!r} is not a metric, one of {' '.join(_OPERATORS)}, and a number. A shell needs quotes "
            "around it: --require 'p90_ms<5,size_mb<2'."
        )
    name, op, written = found.groups()
    if name not in METRICS:
        raise UsageError(
            f"--require {text!r}: there is no metric {name!r}. The metrics are: {', '.join(METRICS)}."
        )
    metric = METRICS[name]
    try:
        limit = float(written)
    except ValueError:
        limit = math.nan
    if limit < 0:
        raise UsageError(f"--require {text!r}: no {name} is below 0.")
    if not math.isfinite(limit):
        raise UsageError(
            f"--require {text!r}: the limit {written!r} is not a plain number. The unit is in the metric's name."
        )
    if metric.is_share and limit > 1:
        raise UsageError(f"--require {text!r}: {name} is a share, from 0 to 1: {name}{op}{limit / 100:g}?")
    if op.startswith("<") != metric.less_is_better:
        better, right = ("less", "<") if metric.less_is_better else ("more", ">")
        raise UsageError(
            f"--require {text!r}: {better} {name} is better, so a limit is {name}{right}{written}."
        )
    return Requirement(name, op, limit)


_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _time(name: str) -> Read:
    """The statistic ``name`` of a latency, in ms."""

    def read(row: BenchRow, verified: VerifyRow | None) -> Figure | None:
        found = row.end_to_end or row.compute
        seconds = getattr(found, f"{name}_s", None)
        ends = getattr(found, f"{name}_interval", None)
        if seconds is None:
            return None
        return Figure(seconds * 1e3, (ends[0] * 1e3, ends[1] * 1e3) if ends else None)

    return read


def _plain(of_row: Callable[[BenchRow], float | None], scale: float = 1.0) -> Read:
    def read(row: BenchRow, verified: VerifyRow | None) -> Figure | None:
        value = of_row(row)
        return None if value is None else Figure(value * scale)

    return read


def _counted(of_row: Callable[[VerifyRow], float | None]) -> Read:
    def read(row: BenchRow, verified: VerifyRow | None) -> Figure | None:
        value = of_row(verified) if verified else None
        return None if value is None else Figure(value)

    return read


METRICS: dict[str, Metric] = {
    "p50_ms": Metric(_time("p50")),
    "p90_ms": Metric(_time("p90")),
    "p99_ms": Metric(_time("p99")),
    "mean_ms": Metric(_time("mean")),
    "per_s": Metric(_plain(lambda row: row.throughput_per_s), less_is_better=False),
    "load_ms": Metric(_plain(lambda row: row.load_s, 1e3)),
    "first_ms": Metric(_plain(lambda row: row.first_s, 1e3)),
    "cold_ms": Metric(_plain(lambda row: row.cold_s, 1e3)),
    "size_mb": Metric(_plain(lambda row: row.size_bytes or None, 1e-6)),
    "peak_mb": Metric(_plain(lambda row: row.peak_rss_bytes, 1e-6)),
    "added_mb": Metric(_plain(lambda row: row.added_rss_bytes, 1e-6)),
    "gpu_mb": Metric(_plain(lambda row: row.gpu_memory_bytes, 1e-6)),
    "accuracy": Metric(_counted(lambda row: row.accuracy), less_is_better=False, is_share=True),
    "top1": Metric(_counted(lambda row: row.top1_agreement), less_is_better=False, is_share=True),
}
