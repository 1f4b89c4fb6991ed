"""From the JSON files to the view model: which sections, which blocks, which words. Pure; both formats use it."""

from __future__ import annotations

from collections.abc import Iterator

from runtimes.report import chosen, classes, doubts, explained, footprint, targets, timing, training, units
from runtimes.report import headline as head
from runtimes.report.blocks import (
    Block,
    Cell,
    Column,
    Commands,
    Matrix,
    Point,
    Points,
    Section,
    Table,
    View,
    Words,
)
from runtimes.report.charts import Figure, bars
from runtimes.report.inputs import BundleInputs, Inputs
from runtimes.verdict.parity import MAX_RATIO, MEDIAN_RATIO

LEGEND = (
    "e is how far the export's output lies from the source computed in float64 on the same sample, and n is the "
    "rounding noise that the source itself shows there in float32. "
    f"A row passes when its worst e/n is at most {MAX_RATIO:g} and its median e/n at most "
    f"{MEDIAN_RATIO:g}: about 1 is as exact as the source, and a real fault scores in the hundreds. "
    "SQNR is the power of the outputs over that of their error."
)


def view(inputs: Inputs) -> View:
    """The report in words."""
    names = list(dict.fromkeys(b.manifest.model.name for b in inputs.bundles))
    return View(
        title=f"fwexport report: {units.join(names)}",
        headline=head.headline(inputs),
        sections=(
            Section("sources", training.title(inputs), tuple(training.blocks(inputs))),
            Section("artifacts", "Artifacts", tuple(_artifacts(inputs))),
            Section("verdicts", "Verdicts", tuple(_verdicts(inputs))),
            *_explanations(inputs),
            *_choice(inputs),
            Section("latency", "Latency", tuple(timing.blocks(inputs))),
            Section("footprint", "Cold start and memory", tuple(footprint.blocks(inputs))),
            *targets.sections(inputs),
            Section("agreement", "Agreement", tuple(_agreement(inputs))),
            Section("notes", "Failures, notes and running it again", tuple(_notes(inputs))),
        ),
    )


def _artifacts(inputs: Inputs) -> Iterator[Block]:
    columns = (
        Column("artifact", "name"),
        Column("size", "number"),
        Column("came by"),
        Column("written in", "number"),
        Column("sha256", "code"),
    )
    rows, sizes = [], []
    for series, bundle in enumerate(inputs.bundles):
        for artifact in bundle.manifest.artifacts:
            name, size = f"{bundle.label}/{artifact.name}", units.size(artifact.size_bytes)
            road = " → ".join(artifact.edges) or "the source itself"
            written = units.seconds(artifact.convert_s)
            rows.append((name, size, road, written, artifact.sha256[:12]))
            sizes.append(Figure(name, series, float(artifact.size_bytes) / 1e6, size))
    if not rows:
        yield Words("No artifact was exported: see the failures below.", "missing")
        return
    yield Table("Artifacts of each source", columns, tuple(rows))
    if chart := bars("Size on disk", sorted(sizes, key=lambda f: f.value or 0), unit="MB"):
        yield chart


def _verdicts(inputs: Inputs) -> Iterator[Block]:
    columns = (
        Column("row", "name"),
        Column("outcome", "outcome"),
        Column(f"worst e/n (limit {MAX_RATIO:g})", "number"),
        Column(f"median e/n (limit {MEDIAN_RATIO:g})", "number"),
        Column("max abs error", "number"),
        Column("SQNR, dB", "number"),
        Column("samples", "number"),
    )
    rows, ratios, proofs = [], [], []
    for series, bundle in enumerate(inputs.bundles):
        if bundle.verify is None:
            yield _missing(bundle, "verified", "verify")
            continue
        for row in bundle.verify.rows:
            name, word = bundle.starred(row), bundle.outcome(row)
            figures = (
                units.significant(row.max_noise_ratio),
                units.significant(row.median_noise_ratio),
                units.error(row.max_abs_error),
                units.significant(row.sqnr_db),
                units.count(row.n),
            )
            rows.append((name, word, *figures))
            ratios.append(Figure(name, series, row.max_noise_ratio, _said(word, figures[0])))
            proofs.append((name, row.device_proof or "none was recorded"))
    yield Words(LEGEND, "legend")
    if rows:
        for bundle in inputs.bundles:
            if bundle.verify and any(row.samples == "generated" for row in bundle.verify.rows):
                yield Words(
                    f"{bundle.label} was judged on generated inputs: no real samples were brought.", "missing"
                )
        yield Table("Verdict on each row", columns, tuple(rows))
        yield from doubts.of_the_verdicts(inputs)
    if chart := bars("Worst e/n of each row", ratios, unit="e/n", limit=MAX_RATIO):
        yield chart
    yield from classes.blocks(inputs)
    if rows:
        yield Table("Device proof", (Column("row", "name"), Column("what the runtime said")), tuple(proofs))


def _explanations(inputs: Inputs) -> Iterator[Section]:
    """A section where something was explained."""
    found = tuple(explained.blocks(inputs))
    if found:
        yield Section("explanations", "Explanations", found)


def _choice(inputs: Inputs) -> Iterator[Section]:
    """A section where something was benched."""
    found = tuple(chosen.blocks(inputs))
    if found:
        yield Section("choice", "Which to deploy", found)


def _said(word: str, figure: str) -> str:
    if word == "passed":
        return figure
    return word if figure == units.NONE else f"{figure} {word}"


def _missing(bundle: BundleInputs, done: str, verb: str) -> Words:
    return Words(f"{bundle.label} is not {done}: run `fwexport {verb} {bundle.folder}`.", "missing")


def _agreement(inputs: Inputs) -> Iterator[Block]:
    found = inputs.agreement
    if found is None or not found.names:
        yield Words(
            f"No agreement of the rows was recorded: run `fwexport verify {inputs.folder}`.", "missing"
        )
        return
    names = found.names
    pairs = [(v, i, j) for i, row in enumerate(found.top1) for j, v in enumerate(row[:i])]
    samples = f"{units.count(found.n)} held-out samples"
    if not pairs:
        yield Words(f"One row only, so there is none to compare with, on {samples}.")
    elif min(pairs)[0] == 1:
        yield Words(f"Any two of the {len(names)} rows name the same class on all {samples}.")
    else:
        share, i, j = min(pairs)
        low = f"{units.code(names[j])} and {units.code(names[i])}"
        yield Words(f"The least agreement is {units.percent(share)} of {samples}, between {low}.")
    cells = tuple(tuple(Cell(_share(v), _level(v)) for v in row) for row in found.top1)
    yield Matrix(f"Per cent of {samples} on which two rows name the same class", names, cells)


def _share(value: float) -> str:
    return units.percent(value).removesuffix(" %")


def _level(value: float) -> int:
    return sum(value >= limit for limit in (0.9, 0.97, 0.99, 1.0))


def _notes(inputs: Inputs) -> Iterator[Block]:
    problems = head.problems(inputs)
    if problems:
        yield Points("What did not pass, and why", problems)
    else:
        yield Words("No export, verdict or timing failed.")
    warnings = tuple(dict.fromkeys(_warnings(inputs)))
    if warnings:
        yield Points("The machine, while it verified", warnings)
    notes = tuple(dict.fromkeys(_remarks(inputs)))
    if notes:
        yield Points("Notes", notes)
    from_where = f", from {inputs.parent}" if inputs.parent else ""
    yield Words(f"To run it again, on this machine or another{from_where}:")
    again = [f"fwexport {verb} {b.folder}" for b in inputs.bundles for verb in ("verify", "bench")]
    yield Commands((*again, f"fwexport report {inputs.folder}"))


def _warnings(inputs: Inputs) -> Iterator[Point]:
    for bundle in inputs.bundles:
        for doubt in bundle.verify.machine.doubts if bundle.verify else ():
            yield Point(f"{bundle.label} verify", "", doubt.text)


def _remarks(inputs: Inputs) -> Iterator[Point]:
    for bundle in inputs.bundles:
        for stage, result in (("verify", bundle.verify), ("bench", bundle.bench)):
            for note in result.notes if result else ():
                yield Point(f"{bundle.label} {stage}", "", note)
        for row in bundle.verify.rows if bundle.verify else ():
            if row.outcome == "passed" and row.reason:
                yield Point(bundle.name(row), "", row.reason)
        for timed in bundle.bench.rows if bundle.bench else ():
            if timed.outcome == "passed" and timed.reason:
                yield Point(f"{bundle.name(timed)}, batch {timed.batch}", "", timed.reason)
