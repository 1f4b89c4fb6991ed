"""What stands at the head of the report: what is fastest and smallest, when it was made, on which machine, with what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runtimes.machine import Machine
from runtimes.report import best, chosen, units
from runtimes.report.inputs import BundleInputs, Inputs
from runtimes.report.measured import measured


def facts(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Each with its title."""
    bundles = inputs.bundles
    yield from _speed(inputs)
    yield "Smallest", best.smallest(inputs)
    yield "Built", _each(bundles, [units.date(b.manifest.created) for b in bundles])
    verified = [
        units.date(b.verify.created) if b.verify else f"not verified: run `fwexport verify {b.folder}`"
        for b in bundles
    ]
    benched = [
        f"{units.date(b.bench.created)}, time setting {b.bench.time}"
        if b.bench
        else f"not benched: run `fwexport bench {b.folder}`"
        for b in bundles
    ]
    yield "Verified", _each(bundles, verified)
    yield "Benched", _each(bundles, benched)
    yield from machines(bundles)
    yield "fwexport", ", ".join(sorted({b.manifest.fwexport for b in bundles}))
    yield "Versions", _versions(bundles)


def _speed(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """What is recommended, the fastest rows, and what makes that doubtful."""
    rows = measured(inputs)
    if not rows:
        return
    for found in chosen.chosen(inputs):
        if found.recommended:
            one, _ = found.recommended
            required = ", ".join(map(str, found.requirements))
            yield "Recommended", f"{units.code(one.name)} at batch {one.row.batch}, by {required}"
        elif found.requirements:
            yield "Recommended", chosen.words(found)
    yield "Fastest", best.fastest(rows)
    kinds = [d.kind for b in inputs.bundles if b.bench for d in b.bench.every_doubt]
    flagged = sum(any(latency and latency.flags for _, latency in one.scopes) for one in rows)
    said = [f"the machine ({', '.join(dict.fromkeys(kinds))})"] if kinds else []
    said += [f"{flagged} of {len(rows)} timings"] if flagged else []
    if said:
        yield "Doubtful", f"{units.join(said)}: see Latency"


def _each(bundles: tuple[BundleInputs, ...], words: list[str]) -> str:
    """One text where all bundles say the same, else each with its label."""
    if len(set(words)) == 1:
        return words[0]
    return "; ".join(f"{b.label}: {text}" for b, text in zip(bundles, words, strict=True))


def machines(bundles: tuple[BundleInputs, ...]) -> Iterator[tuple[str, str]]:
    """Each machine in words, after what it was used for where there are several."""
    uses: dict[str, list[str]] = {}
    for bundle in bundles:
        for stage, result in (("verify", bundle.verify), ("bench", bundle.bench)):
            if result is not None:
                uses.setdefault(_machine(result.machine), []).append(f"{bundle.label} {stage}")
    if not uses:
        yield "Machine", "not recorded: neither verify nor bench has run"
    for text, stages in uses.items():
        yield "Machine" if len(uses) == 1 else f"Machine of {units.join(stages)}", text


def _machine(machine: Machine) -> str:
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    if machine.cores_total > machine.cores:
        cores += f" of {machine.cores_total}"
    gpus = ", ".join(machine.gpus) or "no NVIDIA GPU"
    memory = units.size(machine.memory_bytes)
    words = (machine.cpu, cores, memory, gpus, *machine.inside, machine.system, f"Python {machine.python}")
    return ", ".join(words)


def _versions(bundles: tuple[BundleInputs, ...]) -> str:
    found: dict[str, set[str]] = {}
    for name, version in _named_versions(bundles):
        found.setdefault(name, set()).add(version)
    listed = (f"{name} {' / '.join(sorted(found[name]))}" for name in sorted(found, key=str.lower))
    return ", ".join(listed) or "not recorded"


def _named_versions(bundles: tuple[BundleInputs, ...]) -> Iterable[tuple[str, str]]:
    for bundle in bundles:
        yield from bundle.manifest.source.versions.items()
        for artifact in bundle.manifest.artifacts:
            yield from artifact.versions.items()
        for row in bundle.verify.rows if bundle.verify else ():
            yield from row.versions.items()
