"""The section on which artifact to deploy: what a person required, what nothing else beats, what is recommended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from runtimes.choosing.choice import TIMES, choose, verdict_on
from runtimes.choosing.requirements import METRICS, Figure, Requirement, parse
from runtimes.report import units
from runtimes.report.blocks import Block, Column, Fold, Scatters, Table, Words
from runtimes.report.inputs import STALE, Inputs
from runtimes.report.measured import Measured, batches, measured
from runtimes.report.scatter import Axis, Scatter, Spot, scatter
from runtimes.rows import BenchRow, Check, Choice, Judged, VerifyRow

# Metrics in words: what is plotted, and its axis with the unit. Another is written as it is called.
TITLES = {
    "p50_ms": ("p50", "p50, ms"),
    "p90_ms": ("p90", "p90, ms"),
    "p99_ms": ("p99", "p99, ms"),
    "mean_ms": ("mean", "mean, ms"),
    "per_s": ("throughput", "samples/s"),
    "cold_ms": ("cold start", "cold start, ms"),
    "size_mb": ("file size", "file size, MB"),
    "peak_mb": ("peak memory", "peak memory, MB"),
    "added_mb": ("added memory", "added memory, MB"),
    "gpu_mb": ("GPU memory", "GPU memory, MB"),
    "top1": ("agreement with the source", "same class as the source"),
}
MARGINS = (
    Column("required", "head"),
    Column("figure", "number"),
    Column("95 % interval", "number"),
    Column("of the limit to spare", "number"),
)
LEGEND = (
    "The line joins the rows that passed and that nothing here beats in both figures. A whisker is the 95 % interval, a "
    "hollow mark a row that did not pass, or whose device software played."
)


@dataclass(frozen=True)
class Chosen:
    """The rows that were judged by one list of requirements, in the order of ``choice.rows``."""

    requirements: tuple[Requirement, ...]
    rows: tuple[Measured, ...]
    verified: tuple[VerifyRow, ...]
    choice: Choice

    @property
    def recommended(self) -> tuple[Measured, Judged] | None:
        """The row to deploy, and how it was judged; None where nothing was required."""
        if not self.requirements:
            return None
        pairs = zip(self.rows, self.choice.rows, strict=True)
        return next((pair for pair in pairs if pair[1].name == self.choice.recommended), None)


def chosen(inputs: Inputs) -> tuple[Chosen, ...]:
    """The rows of all bundles against the requirements that ``bench`` was given: together where they are the same."""
    rows = measured(inputs)
    together: dict[tuple[str, ...], list[str]] = {}
    for bundle in inputs.bundles:
        if bundle.bench and bundle.bench.rows:
            required = bundle.bench.choice.requirements if bundle.bench.choice else ()
            together.setdefault(required, []).append(bundle.label)
    return tuple(
        _chosen(parse(required) if required else (), [one for one in rows if one.bundle.label in labels])
        for required, labels in together.items()
    )


def _chosen(requirements: tuple[Requirement, ...], rows: Sequence[Measured]) -> Chosen:
    bundles = {one.bundle.label: one.bundle for one in rows}.values()
    verified = tuple(row for bundle in bundles if bundle.verify for row in bundle.verify.rows)
    choice = choose([_named(one) for one in rows], verified, requirements)
    return Chosen(requirements, tuple(rows), verified, choice)


def _named(one: Measured) -> BenchRow:
    """The row by its bundle's name, which two of one framework differ by; one about another file is not to be chosen."""
    row = replace(one.row, source=one.bundle.label)
    return (
        row
        if one.outcome != STALE
        else replace(row, outcome="inconclusive", reason="the file has changed since")
    )


def blocks(inputs: Inputs) -> Iterator[Block]:
    """For each list of requirements the recommended row, the plots, and each row against each limit."""
    for found in chosen(inputs):
        yield Words(words(found))
        if found.recommended:
            margins = tuple(_margin(check) for check in found.recommended[1].checks)
            yield Table("Its margins", MARGINS, margins)
        if plots := tuple(_plots(found)):
            yield Scatters(plots, tuple(dict.fromkeys((one.series, one.bundle.label) for one in found.rows)))
            yield Words(
                LEGEND + (" The ring marks what is recommended." if found.recommended else ""), "legend"
            )
        yield from _tables(found)


def words(found: Chosen) -> str:
    """What is recommended, or why nothing is."""
    if not found.requirements:
        return (
            "Nothing was required of them, so none is recommended: "
            "`fwexport bench BUNDLE --require 'p90_ms<5,size_mb<2'` judges each row and names one."
        )
    required = units.join([units.code(str(one)) for one in found.requirements])
    if found.recommended is None:
        return f"No row meets {required}."
    one, _ = found.recommended
    meeting = sum(judged.meets for judged in found.choice.rows)
    return (
        f"Recommended: {units.code(one.name)} at batch {one.row.batch}, of {meeting} rows that meet {required}. A figure is "
        "judged by the worse end of its interval; of the rows that the first limit's noise does not tell apart, the next "
        "limit decides."
    )


def _margin(check: Check) -> tuple[str, ...]:
    interval = " to ".join(map(_plain, check.interval)) if check.interval else "none"
    return check.requirement, _plain(check.value), interval, units.percent(check.margin)


def _plain(value: float | None) -> str:
    return units.NONE if value is None else f"{value:.4g}"


def _plots(found: Chosen) -> Iterator[Scatter]:
    """The time against each other axis on which rows differ, at the batch of the recommended row or the smallest."""
    batch = found.recommended[0].row.batch if found.recommended else batches(found.rows)[0]
    time = next(axis for axis in found.choice.axes if axis in TIMES)
    for other in found.choice.axes:
        spots = [] if other in TIMES else list(_spots(found, batch, time, other))
        if len({spot.y for spot in spots}) > 1:
            title = f"{_title(time)[0]} and {_title(other)[0]} at batch {batch}"
            if plot := scatter(title, _axis(found, time), _axis(found, other), spots):
                yield plot


def _title(metric: str) -> tuple[str, str]:
    return TITLES.get(metric, (metric, metric))


def _axis(found: Chosen, metric: str) -> Axis:
    limits = [one.limit for one in found.requirements if one.metric == metric]
    return Axis(_title(metric)[1], METRICS[metric].less_is_better, limits[0] if limits else None)


def _spots(found: Chosen, batch: int, x: str, y: str) -> Iterator[Spot]:
    for one, judged in zip(found.rows, found.choice.rows, strict=True):
        verdict = verdict_on(one.row, found.verified)
        at: list[Figure | None] = [METRICS[metric].read(one.row, verdict) for metric in (x, y)]
        if one.row.batch == batch and at[0] and at[1]:
            yield Spot(
                name=one.name,
                label="/".join(one.name.split("/")[:2]),
                series=one.series,
                x=at[0].value,
                y=at[1].value,
                sound=one.outcome == one.row.verdict == "passed" and not one.row.emulated,
                interval=at[0].interval,
                chosen=bool(found.requirements) and judged.name == found.choice.recommended,
            )


def _tables(found: Chosen) -> Iterator[Block]:
    """Rows that meet all, from the recommended on; the others, with the reason, folded away."""
    if not found.requirements:
        return
    first = found.requirements[0].metric
    sign = 1 if METRICS[first].less_is_better else -1

    def order(pair: tuple[Measured, Judged]) -> tuple[bool, bool, float]:
        value = pair[1].checks[0].value
        return pair[1].name != found.choice.recommended, value is None, sign * (value or 0.0)

    pairs = sorted(zip(found.rows, found.choice.rows, strict=True), key=order)
    columns = [Column("row", "name"), Column("batch", "number")]
    columns += [Column(str(one), "number") for one in found.requirements]
    meeting = tuple((*_cells(one, judged), *_front(found, judged)) for one, judged in pairs if judged.meets)
    if meeting:
        more = (Column("Pareto front"),)
        yield Table("Rows that meet every requirement", (*columns, *more), meeting)
    missing = tuple((*_cells(one, judged), judged.reason) for one, judged in pairs if not judged.meets)
    if missing:
        count = f"{len(missing)} row{'' if len(missing) == 1 else 's'} that "
        table = Table(
            "Rows that do not meet every requirement", (*columns, Column("why not", "text")), missing
        )
        yield Fold(f"{count}{'does' if len(missing) == 1 else 'do'} not meet every requirement", (table,))


def _front(found: Chosen, judged: Judged) -> tuple[str]:
    if judged.name == found.choice.recommended:
        return ("yes, recommended",)
    return ("yes" if judged.name in found.choice.pareto else "no",)


def _cells(one: Measured, judged: Judged) -> tuple[str, ...]:
    return (one.name, units.count(one.row.batch), *(_plain(check.value) for check in judged.checks))
