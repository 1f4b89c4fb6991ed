"""The section on latency: for each batch size one table and one plot, and which row is the fastest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from runtimes.report import headline, units
from runtimes.report.blocks import Block, Column, Table, Words
from runtimes.report.charts import Figure, bars
from runtimes.report.inputs import BundleInputs, Inputs
from runtimes.rows import BenchRow

COLUMNS = (
    Column("row", "name"),
    Column("p50 ms", "number"),
    Column("p90 ms", "number"),
    Column("n", "number"),
    Column("samples/s", "number"),
    Column("load ms", "number"),
    Column("first run ms", "number"),
    Column("peak MB", "number"),
    Column("threads", "number"),
    Column("timing", "outcome"),
    Column("verdict", "outcome"),
)

Timed = tuple[int, BundleInputs, BenchRow]


def blocks(inputs: Inputs) -> Iterator[Block]:
    """Each batch size's rows, in the order of the files; its plot from the fastest on."""
    timed = [(i, b, row) for i, b in enumerate(inputs.bundles) if b.bench for row in b.bench.rows]
    for bundle in inputs.bundles:
        if bundle.bench is None:
            yield Words(f"{bundle.label} is not benched: run `fwexport bench {bundle.folder}`.", "missing")
    yield Words(_superlatives(inputs, timed))
    if timed:
        yield Words(
            "p50 and p90 are of n calls of the whole batch. Load, first run and peak memory are of the process "
            "that ran the row; its runtime's library is in the memory.",
            "legend",
        )
    varied = len({row.threads for _, _, row in timed}) > 1
    for batch in sorted({row.batch for _, _, row in timed}):
        rows = [one for one in timed if one[2].batch == batch]
        yield Table(f"Batch {batch}", COLUMNS, tuple(_cells(bundle, row) for _, bundle, row in rows))
        figures = [_figure(*one, varied) for one in rows]
        figures.sort(key=lambda f: (f.value is None, f.value or 0))
        chart = bars(f"Latency at batch {batch}", figures, unit="ms", note="p50, and a thin line to p90.")
        if chart:
            yield chart


def _cells(bundle: BundleInputs, row: BenchRow) -> tuple[str, ...]:
    return (
        bundle.name(row),
        units.milliseconds(row.compute.p50_s if row.compute else None),
        units.milliseconds(row.compute.p90_s if row.compute else None),
        units.count(row.compute.n if row.compute else 0),
        units.rate(row.throughput_per_s),
        units.milliseconds(row.load_s),
        units.milliseconds(row.first_s),
        units.megabytes(row.peak_rss_bytes),
        units.count(row.threads),
        _state(bundle, row),
        row.verdict,
    )


def _state(bundle: BundleInputs, row: BenchRow) -> str:
    word = headline.outcome(bundle, row)
    if word != "passed":
        return word
    return {True: "stable", False: "unstable", None: units.NONE}[row.stable]


def _figure(series: int, bundle: BundleInputs, row: BenchRow, varied: bool) -> Figure:
    state = _state(bundle, row)
    name = f"{bundle.name(row)} × {row.threads} threads" if varied else bundle.name(row)
    text = state if row.compute is None else f"{units.milliseconds(row.compute.p50_s)} ms"
    if row.compute is not None and state not in ("stable", units.NONE):
        text += f" {state}"
    seconds = (row.compute.p50_s, row.compute.p90_s) if row.compute else (None, None)
    p50, p90 = (None if s is None else s * 1e3 for s in seconds)
    return Figure(name, series, p50, text, upper=p90)


def _superlatives(inputs: Inputs, timed: list[Timed]) -> str:
    """The fastest row at each batch size and the smallest artifact, among those whose verdict is a pass."""
    passed = {
        (bundle.label, row.artifact)
        for bundle in inputs.bundles
        for row in (bundle.verify.rows if bundle.verify else ())
        if headline.outcome(bundle, row) == "passed"
    }
    fast = [one for one in timed if one[2].compute is not None and _may_win(one[1], one[2])]
    said = []
    for batch in sorted({row.batch for _, _, row in fast}):
        quickest = min((one for one in fast if one[2].batch == batch), key=lambda one: _p50(one[2]))
        p50 = units.milliseconds(_p50(quickest[2]))
        said.append(f"`{_code(quickest[1].name(quickest[2]))}` at batch {batch} (p50 {p50} ms)")
    fastest = (
        f"The fastest row is {units.join(said)}"
        if said
        else "No timed row has passed, so none is the fastest"
    )
    sizes = [
        (artifact.size_bytes, f"{bundle.label}/{artifact.format}")
        for bundle in inputs.bundles
        for artifact in bundle.manifest.artifacts
        if (bundle.label, artifact.format) in passed
    ]
    if not sizes:
        return f"{fastest}; no artifact has passed, so none is called the smallest."
    n_bytes, name = min(sizes)
    return f"{fastest}; the smallest artifact that passed is `{_code(name)}` ({units.size(n_bytes)})."


def _p50(row: BenchRow) -> float:
    return row.compute.p50_s if row.compute else math.inf


def _may_win(bundle: BundleInputs, row: BenchRow) -> bool:
    return headline.outcome(bundle, row) == "passed" and row.verdict == "passed"


def _code(text: str) -> str:
    return text.replace("`", "'")
