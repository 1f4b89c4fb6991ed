"""Did everything pass? What did not, and why: the head of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from runtimes.report import units
from runtimes.report.blocks import Headline, Point, Tone
from runtimes.report.facts import facts
from runtimes.report.inputs import STALE, BundleInputs, Inputs
from runtimes.rows import BenchRow, VerifyRow

LISTED = 8
REASON_LENGTH = 180
NOT_EXPORTED, NOT_VERIFIED, UNAVAILABLE = "not exported", "not verified", "unavailable"
BAD = {"mismatch", "failed", "crashed", "timeout", NOT_EXPORTED}


def problems(inputs: Inputs) -> tuple[Point, ...]:
    """Everything that is not a pass, exports first, then verdicts, then timings. Not run is never passed."""
    found = [point for step in (_exports, _verdicts, _timings) for b in inputs.bundles for point in step(b)]
    found += [
        point for b in inputs.bundles for name, there in b.targets.items() for point in _target(name, there)
    ]
    return tuple(dict.fromkeys(found))


def headline(inputs: Inputs) -> Headline:
    """The head of the report."""
    outcomes = Counter(b.outcome(row) for b in inputs.bundles if b.verify for row in b.verify.rows)
    found, total = problems(inputs), outcomes.total()
    shown = tuple(replace(point, text=cut(point.text)) for point in found[:LISTED])
    return Headline(
        tone=_tone(found, outcomes["passed"]),
        text=f"{outcomes['passed']} of {total} rows passed" if total else "No row was verified",
        rest=", ".join(_rest(inputs, outcomes)),
        problems=shown,
        more=_more(found, shown),
        facts=tuple(facts(inputs)),
    )


def _tone(found: tuple[Point, ...], passed: int) -> Tone:
    if any(point.outcome in BAD for point in found):
        return "failed"
    return "incomplete" if found or not passed else "passed"


def _rest(inputs: Inputs, outcomes: Counter[str]) -> Iterator[str]:
    for word, n in sorted(outcomes.items()):
        if word != "passed":
            yield f"{n} {word}"
    if failures := sum(not failure.is_unreachable for b in inputs.bundles for failure in b.manifest.failures):
        asked = failures + sum(len(b.manifest.artifacts) for b in inputs.bundles)
        yield f"{failures} of {asked} exports failed"
    timings = [row.outcome for b in inputs.bundles if b.bench for row in b.bench.rows]
    if failed := sum(word in BAD for word in timings):
        yield f"{failed} of {len(timings)} timings failed"
    for name, there in inputs.targets.items():
        rows = [b.outcome(row) for b in there.bundles if b.verify for row in b.verify.rows]
        if rows:
            yield f"{rows.count('passed')} of {len(rows)} rows on {name}"


def cut(reason: str, length: int = REASON_LENGTH) -> str:
    """The start of a reason on one line, up to a space."""
    reason = " ".join(reason.split())
    if len(reason) <= length:
        return reason
    return (reason[:length].rpartition(" ")[0] or reason[:length]) + " …"


def _more(found: tuple[Point, ...], shown: tuple[Point, ...]) -> str:
    if len(found) > len(shown):
        return f"{len(found) - len(shown)} more, and the reasons in full"
    cut = any(point.text.endswith(" …") for point in shown)
    return "The reasons in full" if cut else ""


def _exports(bundle: BundleInputs) -> Iterator[Point]:
    for failure in bundle.manifest.failures:
        if not failure.is_unreachable:
            reason = f"{failure.edge}: {failure.message}"
            yield Point(f"{bundle.label}/{failure.format}", NOT_EXPORTED, reason)
        elif bundle.verify is None:  # else it is a row of the verdicts
            yield Point(f"{bundle.label}/{failure.format}", UNAVAILABLE, failure.message)
    if not bundle.manifest.artifacts and not bundle.manifest.failures:
        yield Point(bundle.label, NOT_EXPORTED, "the manifest lists no artifact: run `fwexport build` again")


def _verdicts(bundle: BundleInputs) -> Iterator[Point]:
    verify = f"run `fwexport verify {bundle.folder}`"
    if bundle.verify is None:
        yield Point(bundle.label, NOT_VERIFIED, verify)
        return
    for row in bundle.verify.rows:
        word = bundle.outcome(row)
        if word == STALE:
            reason = f"the verdict is on another file (sha256 {row.artifact_sha256[:12]}): {verify}"
            yield Point(bundle.name(row), word, reason)
        elif word != "passed":
            yield Point(bundle.name(row), word, row.reason or "no reason was recorded")
    judged = {row.artifact for row in bundle.verify.rows}
    for artifact in bundle.manifest.artifacts:
        if artifact.name not in judged:
            how = f"run `fwexport verify {bundle.folder} --browser`" if artifact.variant else verify
            reason = f"no runtime was asked to run it: {how}"
            yield Point(f"{bundle.label}/{artifact.name}", NOT_VERIFIED, reason)


def _timings(bundle: BundleInputs) -> Iterator[Point]:
    """Timings that did not end well, the batches of one row together; what its verdict said already is left."""
    judged = {(bundle.name(row), row.outcome) for row in bundle.verify.rows} if bundle.verify else set()
    batches: dict[tuple[str, str, str], list[str]] = {}
    for row in bundle.bench.rows if bundle.bench else ():
        word = bundle.outcome(row)
        key = (bundle.name(row), word, row.reason or "no reason was recorded")
        if word == STALE:
            reason = f"the timing is of another file (sha256 {row.artifact_sha256[:12]}): "
            key = (key[0], word, f"{reason}run `fwexport bench {bundle.folder}`")
        if word != "passed" and key[:2] not in judged:
            batches.setdefault(key, []).append(str(row.batch))
    for (name, word, reason), at in batches.items():
        yield Point(f"{name} (timing, batch {units.join(list(dict.fromkeys(at)))})", word, reason)


def _target(name: str, there: BundleInputs) -> Iterator[Point]:
    """What went wrong on another machine. A runtime that it does not have is no problem."""
    rows: list[VerifyRow | BenchRow] = list(there.verify.rows if there.verify else ())
    rows += there.bench.rows if there.bench else ()
    for row in rows:
        if there.outcome(row) in BAD | {STALE}:
            reason = row.reason or "the file has changed since: run it there again"
            yield Point(f"{there.name(row)} on {name}", there.outcome(row), reason)
