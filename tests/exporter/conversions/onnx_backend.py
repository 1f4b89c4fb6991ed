"""The ONNX project's backend tests over onnx2keras, all of them: ``make backend-tests``.

    python tests/exporter/conversions/onnx_backend.py           run every case, print the counts, exit 1 on a surprise
    python tests/exporter/conversions/onnx_backend.py --write   write the list of refused cases anew

``onnx_backend_excluded.txt`` lists what is not expected to pass, each case with its reason. A case that is not
listed must pass; one that is listed must not. Reasons in the first part are what onnx2keras says when it refuses;
those in the second part were written by hand, and ``--write`` keeps them.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_backend_child as child

from runtimes.client import Worker
from runtimes.errors import WorkerError

HERE = Path(__file__).parent
LIST = HERE / "onnx_backend_excluded.txt"
BY_HAND = "# By hand: what is converted, but cannot give what the case asks for."
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")])),
    "KERAS_BACKEND": "tensorflow",
    "CUDA_VISIBLE_DEVICES": "-1",
}
Case = tuple[str, str]  # suite, name


@dataclass(frozen=True)
class Excluded:
    """The cases that are not expected to pass, with the reason of each."""

    refused: dict[Case, str]
    by_hand: dict[Case, str]

    @property
    def all(self) -> dict[Case, str]:
        return self.refused | self.by_hand


def read() -> Excluded:
    """The list as it is in the repository."""
    generated, _, written = LIST.read_text().partition(BY_HAND)
    return Excluded(dict(_entries(generated)), dict(_entries(written)))


def _entries(text: str) -> Iterator[tuple[Case, str]]:
    reason = ""
    for line in text.splitlines():
        if line.startswith(" "):
            suite, name = line.split()
            yield (suite, name), reason
        elif line and not line.startswith("#"):
            reason = line


def write(excluded: Excluded) -> None:
    """Write the list: each reason once, with its cases under it."""

    def part(cases: dict[Case, str]) -> str:
        lines = []
        for reason in sorted(set(cases.values())):
            lines += [
                reason,
                *(f"  {suite} {name}" for (suite, name), r in sorted(cases.items()) if r == reason),
            ]
        return "\n".join(lines)

    head = "# Cases of onnx.backend.test that do not pass, by the reason. See onnx_backend.py."
    LIST.write_text(f"{head}\n\n{part(excluded.refused)}\n\n{BY_HAND}\n\n{part(excluded.by_hand)}\n")


def outcomes(cases: Iterable[Case]) -> Iterator[tuple[Case, child.Outcome]]:
    """Run cases in a child process, one after the other; a new child follows one that dies."""
    worker = Worker(ENVIRONMENT)
    try:
        for case in cases:
            try:
                yield case, worker.call(child.run, *case)
            except WorkerError as error:
                yield case, child.Outcome("failed", str(error))
                worker.close()
                worker = Worker(ENVIRONMENT)
    finally:
        worker.close()


def surprise(case: Case, outcome: child.Outcome, excluded: Excluded) -> str:
    """What is wrong with this outcome, given the list; empty when nothing is."""
    listed = excluded.all.get(case)
    if outcome.status == "passed":
        return f"passes, but is listed: {listed}" if listed is not None else ""
    return "" if listed is not None else f"{outcome.status}: {outcome.reason}"


def every_case() -> list[Case]:
    """All cases of all suites."""
    with Worker(ENVIRONMENT) as worker:
        return [(suite, name) for suite, names in worker.call(child.names).items() for name in names]


def kind_of(reason: str) -> str:
    """A refusal without what is particular to the case: an operator's name, a shape, a value."""
    operator, _, rest = reason.partition(": ")
    if rest == "unknown operator":
        return reason
    return re.sub(r"'[^']*'|\([^()]*\)|(?<![\w.])-?\d[\d.]*", "_", rest or operator)


def main(arguments: list[str]) -> int:
    """Run all, print the counts and what is not as listed."""
    excluded, counts, reasons = read(), Counter[tuple[str, str]](), Counter[str]()
    refused: dict[Case, str] = {}
    surprises = []
    for case, outcome in outcomes(every_case()):
        problem = surprise(case, outcome, excluded)
        if outcome.status == "refused" and case not in excluded.by_hand:
            refused[case] = outcome.reason
        if problem:
            surprises.append(f"{' '.join(case)}: {problem}")
            print(surprises[-1], file=sys.stderr, flush=True)
        status = "surprises" if problem else "passed" if outcome.status == "passed" else "excluded"
        counts[case[0], status] += 1
        if status == "excluded":
            by_hand = excluded.by_hand.get(case)
            reasons[kind_of(outcome.reason) if by_hand is None else by_hand] += 1
    print(f"{'suite':<20}{'passed':>8}{'excluded':>10}{'surprises':>11}")
    for suite in child.SUITES:
        print(
            f"{suite:<20}{counts[suite, 'passed']:>8}{counts[suite, 'excluded']:>10}{counts[suite, 'surprises']:>11}"
        )
    print("\nexcluded, by reason:")
    for reason, count in reasons.most_common():
        print(f"{count:>5}  {reason}")
    if "--write" in arguments:
        write(Excluded(refused, excluded.by_hand))
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
