"""What makes figures doubtful, in words: the machine, the times themselves, and software that plays a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runtimes import emulation
from runtimes.doubts import ADVICE, Doubt
from runtimes.measuring.flags import Flag
from runtimes.report import units
from runtimes.report.blocks import Block, Point, Points, Words
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured

MEANINGS: Mapping[Flag, str] = {
    "drift": "its calls grew slower or faster by more than 5 % while it was measured: clocks, temperature or memory had "
    "not settled, and the figures depend on when one looks",
    "bimodal": "its calls fall into two groups, such as two kinds of cores or two clocks: the p50 lies in one of them, and "
    "says little of the other",
    "unsteady": "the medians of its rounds differ by more than 10 %: something else was running, or the clocks changed",
    "not warm": "its warm-up was cut short before the times had settled: figures of longer runs may be lower",
}

# Of a row on a device that software plays, beside the flags of its times.
EMULATED = "emulated"
SOFTWARE = (
    f"{{}} played a device that this machine does not have (*): {emulation.TIMES}, and the rows take no part in what is the "
    "fastest"
)

NAMED = 4  # the most rows that a flag is said to be of by name


def of_the_machine(inputs: Inputs) -> Iterator[Block]:
    """What was wrong with the machine before and while it measured."""
    said: dict[Doubt, list[str]] = {}
    for bundle in inputs.bundles:
        for doubt in bundle.bench.every_doubt if bundle.bench else ():
            said.setdefault(doubt, []).append(bundle.label)
    points = tuple(
        Point(
            doubt.kind if len(labels) == len(inputs.bundles) else f"{doubt.kind}, {units.join(labels)}",
            "",
            f"{doubt.text}. What helps: {ADVICE[doubt.kind]}",
        )
        for doubt, labels in said.items()
    )
    if points:
        yield Points("The machine makes these figures doubtful", points)


def of_the_verdicts(inputs: Inputs) -> Iterator[Block]:
    """What the star of a name means in a table of verdicts, and which rows have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for bundle in inputs.bundles:
        for row in bundle.verify.rows if bundle.verify else ():
            if row.emulated:
                found.setdefault((row.device, row.emulated), []).append(units.code(bundle.name(row)))
    for (device, software), names in found.items():
        said = f"* {device}, played by {software}: {emulation.VERDICTS}: {units.join(names)}."
        yield Words(said, "legend")


def of_the_figures(rows: Sequence[Measured]) -> Iterator[Block]:
    """What each flag means, and which rows have it."""
    flagged: dict[str, dict[str, list[str]]] = {name: {} for name in (EMULATED, *MEANINGS)}
    for one in rows:
        for scope, latency in one.scopes:
            name = f"{one.name}, {scope}" if one.row.end_to_end else one.name
            played = (EMULATED,) if one.row.emulated else ()
            for flag in (*played, *latency.flags) if latency else ():
                flagged[flag].setdefault(name, []).append(str(one.row.batch))
    software = units.join(list(dict.fromkeys(one.row.emulated for one in rows if one.row.emulated)))
    meanings: dict[str, str] = dict([(EMULATED, SOFTWARE.format(software)), *MEANINGS.items()])
    points = tuple(
        Point(flag, "", f"{meanings[flag]}. {_listed(names, rows)}")
        for flag, names in flagged.items()
        if names
    )
    if points:
        yield Points("Timings that are doubtful", points)


def _listed(names: Mapping[str, list[str]], rows: Sequence[Measured]) -> str:
    if len(names) > NAMED:
        every = sum(latency is not None for one in rows for _, latency in one.scopes)
        return f"It is so in {sum(map(len, names.values()))} of {every} timings."
    return "; ".join(f"{units.code(name)} at batch {units.join(sizes)}" for name, sizes in names.items())
