"""Do the statistics of ``bench`` and ``compare`` hold what they say? ``make aa``, or ``python tests/benchmarks/aa.py``.

The fake runtime takes times of a known distribution, in real children, through ``measure``, ``summarise`` and ``ratio``:
pairs of the same file (A/A) and of a file that is 5 % slower, files that drift, files of two groups. Their clock is
simulated, so that a hundred pairs take minutes; a few pairs are spun in real time. Last, the same real ONNX file is
compared with itself, interleaved and apart. Prints each claim with what was seen, and exits with 1 when a claim is broken:
when so many misses have a chance of less than 0.1 % if it holds. Real time is only reported, because a busy machine may
do anything.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, stdev
from typing import Any

import numpy as np

from runtimes.bundle import open_bundle
from runtimes.comparing.comparison import Ratio, decide, ratio
from runtimes.machine import cores_allowed
from runtimes.measuring.cases import Case, Plan
from runtimes.measuring.latency import Latency, summarise
from runtimes.measuring.measure import measure
from runtimes.pool import Cell
from runtimes.verdict.statistics import binomial_tail

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.fake_bundle import fake_bundle

# Those of bench --time quick, of bench, and of compare; and how many slowdowns of 5 % each may miss.
PLANS = {
    "quick": (Plan(seconds=1.0, rounds=5), 0.3),
    "bench": (Plan(seconds=10.0, rounds=10), 0.1),
    "compare": (Plan(seconds=10.0, rounds=10, processes=5), 0.1),
}
# Runs of 2 ms that vary by 10 %; rounds differ by 1 %.
RUN_S = 0.002
SPREAD = 0.1
CLEAN: dict[str, Any] = {"kind": "lognormal", "spread": SPREAD, "round": 0.01}
# Processes of one file differ by so much, where there are several to see it.
PROCESS = 0.005
SLOWER = 1.05
THRESHOLD = 0.03
# Pairs that are measured together, by as many children at a time.
TOGETHER = 8
# The chance at which a claim that holds would be called broken.
BROKEN = 0.001


@dataclass(frozen=True)
class Claim:
    """``misses`` of ``n``, where a rate of at most ``allowed`` is claimed."""

    text: str
    misses: int
    n: int
    allowed: float

    @property
    def broken(self) -> bool:
        """Whether chance alone hardly gives so many misses."""
        return self.misses > 0 and 1 - binomial_tail(self.misses - 1, self.n, self.allowed) < BROKEN


def main() -> None:
    options = _arguments()
    load = os.getloadavg()[0]
    claims: list[Claim] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, (plan, missed) in PLANS.items():
            count = max(1, options.pairs // plan.processes)
            claims += pair_claims(Path(scratch), name, plan, missed, count)
            _say(f"{name}: {count} pairs")
        claims += flag_claims(Path(scratch), PLANS["bench"][0], max(1, options.pairs // 5))
        print(table(claims))
        print(f"\nReal time, load {load:.1f} of {cores_allowed()} cores:")
        for line in real_time(Path(scratch), options):
            print(line)
    sys.exit(any(claim.broken for claim in claims))


def pair_claims(
    scratch: Path, name: str, plan: Plan, missed: float, count: int, seed: int | None = None
) -> list[Claim]:
    """Pairs of the same file, and of one that is 5 % slower. With a seed, all pairs are one."""
    process = PROCESS if plan.processes > 1 else 0.0
    sleep = {**CLEAN, "process": process, "simulated": True}
    files = [
        _folder(scratch, seconds, {**sleep, "seed": None if seed is None else seed + side})
        for side, seconds in enumerate((RUN_S, RUN_S, RUN_S * SLOWER))
    ]
    triples = measured(files, plan, count)
    same = [_ratio(old, new) for old, new, _ in triples]
    planted = [_ratio(old, slow) for old, _, slow in triples]
    clean = [latency for old, new, _ in triples for latency in (old, new)]
    claims = [
        Claim("A/A: slower, without a threshold", sum(decide(r, 0.0) == "slower" for r in same), count, 0.025),
        Claim(
            f"A/A: slower, threshold {THRESHOLD:.0%}",
            sum(decide(r, THRESHOLD) == "slower" for r in same), count, 0.005,
        ),
        Claim("A/A: 1 outside the interval", sum(not r.interval[0] <= 1 <= r.interval[1] for r in same), count, 0.05),
        Claim(
            f"5 % slower, not found, threshold {THRESHOLD:.0%}",
            sum(decide(r, THRESHOLD) != "slower" for r in planted), count, missed,
        ),
    ]  # fmt: skip
    for p, interval in (
        (0.5, [latency.p50_interval for latency in clean]),
        (0.9, [latency.p90_interval for latency in clean]),
        (0.99, [latency.p99_interval for latency in clean]),
    ):
        truth = RUN_S * math.exp(NormalDist().inv_cdf(p) * math.hypot(SPREAD, CLEAN["round"], process))
        found = [each for each in interval if each]
        outside = sum(not low <= truth <= high for low, high in found)
        if found:
            claims.append(Claim(f"p{100 * p:g} outside its interval", outside, len(found), 0.05))
    claims += [
        Claim("clean times: drift", sum("drift" in latency.flags for latency in clean), len(clean), 0.02),
        Claim("clean times: bimodal", sum("bimodal" in latency.flags for latency in clean), len(clean), 0.01),
    ]
    return [Claim(f"{name}: {claim.text}", claim.misses, claim.n, claim.allowed) for claim in claims]


def flag_claims(scratch: Path, plan: Plan, count: int, seed: int | None = None) -> list[Claim]:
    """Files that drift by 15 % in all, and files of which 30 % of the runs take 20 % longer."""
    runs, common = plan.seconds / RUN_S, {**CLEAN, "simulated": True, "seed": seed}
    drifting = {**common, "kind": "drift", "apart": 150 / runs}
    grouped = {**common, "kind": "bimodal", "second": 0.3, "apart": 0.2, "spread": 0.02}
    found = measured([_folder(scratch, RUN_S, sleep) for sleep in (drifting, grouped)], plan, count)
    drift, groups = zip(*found, strict=True)
    return [
        Claim("a drift of 15 %, not flagged", sum("drift" not in one.flags for one in drift), count, 0.05),
        Claim("two groups, not flagged", sum("bimodal" not in one.flags for one in groups), count, 0.05),
        Claim("two groups: drift", sum("drift" in one.flags for one in groups), count, 0.02),
    ]


def measured(folders: Sequence[Path], plan: Plan, count: int) -> list[tuple[Latency, ...]]:
    """Each folder's artifact, measured beside the others ``count`` times, each time by processes of its own."""
    found: list[tuple[Latency, ...]] = []
    while len(found) < count:
        together = min(TOGETHER, count - len(found))
        with tempfile.TemporaryDirectory() as copies:
            cases = [
                Case(_cell(shutil.copytree(folder, Path(copies) / f"{number}-{which}")))
                for number in range(together)
                for which, folder in enumerate(folders)
            ]
            items, _ = measure(cases, plan)
        for item in items:
            if item.error:
                raise item.error
        latencies = [summarise(item.times, all(each.warm for each in item.warmed)) for item in items]
        side = len(folders)
        found += [tuple(latencies[at : at + side]) for at in range(0, len(latencies), side)]
    return found


def real_time(scratch: Path, options: argparse.Namespace) -> Iterable[str]:
    """Lines about pairs whose times really pass: spun ones, and one real ONNX file against itself."""
    plan, _ = PLANS["quick"]
    if options.spun:
        files = [_folder(scratch, seconds, CLEAN) for seconds in (RUN_S, RUN_S, RUN_S * SLOWER)]
        triples = list(itertools.chain(*(measured(files, plan, 1) for _ in range(options.spun))))
        yield _decisions("spun A/A", [_ratio(old, new) for old, new, _ in triples])
        yield _decisions("spun 5 % slower", [_ratio(old, slow) for old, _, slow in triples])
    if options.real:
        folder = options.bundle or _built(scratch / "real")
        for name in ("quick", "compare"):
            runs = [measured([folder, folder], PLANS[name][0], 1)[0] for _ in range(options.real)]
            yield _decisions(f"ONNX A/A, {name}, interleaved", [_ratio(*run) for run in runs])
            apart = [
                ratio(before[0].rounds_p50_s, after[0].rounds_p50_s, paired=False)
                for before, after in itertools.pairwise(runs)
            ]
            yield _decisions(f"ONNX A/A, {name}, one run after another", apart)


def table(claims: Sequence[Claim]) -> str:
    """A line for each claim."""
    lines = [f"{'claim':66}{'allowed':>9}{'seen':>9}"]
    for claim in claims:
        seen = f"{claim.misses}/{claim.n}"
        lines.append(f"{claim.text:66}{claim.allowed:9.1%}{seen:>9}{'  BROKEN' if claim.broken else ''}")
    return "\n".join(lines)


def _decisions(name: str, found: Sequence[Ratio]) -> str:
    counts = Counter(decide(one, THRESHOLD) for one in found)
    logs = [math.log(one.value) for one in found]
    widths = np.median([one.interval[1] / one.interval[0] - 1 for one in found]) / 2
    spread = f", spread {stdev(logs):.2%}" if len(logs) > 1 else ""
    said = ", ".join(f"{count} {decision}" for decision, count in counts.most_common())
    furthest = max(found, key=lambda one: abs(math.log(one.value))).value
    return f"{name:48} {said}; furthest ratio {furthest:.3f}{spread}, interval +-{widths:.1%}"


def _ratio(old: Latency, new: Latency) -> Ratio:
    return ratio(old.rounds_p50_s, new.rounds_p50_s, paired=True)


def _folder(scratch: Path, seconds: float, sleep: dict[str, Any]) -> Path:
    return fake_bundle(scratch / f"fake{len(list(scratch.iterdir()))}", seconds=seconds, sleep=sleep)


def _cell(folder: Path) -> Cell:
    bundle = open_bundle(folder)
    if bundle.manifest.artifact("fake"):
        return Cell(bundle, folder, "fake", "fake", "cpu", "fake")
    return Cell(bundle, folder, "onnx", "onnxruntime", "cpu", "cpu")


def _built(folder: Path) -> Path:
    """The shipped CNN, little trained, as ONNX."""
    for words in (["train", "--epochs", "1", "-o", f"{folder}/source"],
                  ["export", f"{folder}/source", "--format", "onnx", "-o", f"{folder}/bundle"]):  # fmt: skip
        subprocess.run([sys.executable, "-P", "-m", "exporter.cli", *words], check=True, capture_output=True)
    return folder / "bundle"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=100, help="simulated pairs of each plan (100)")
    parser.add_argument("--spun", type=int, default=10, help="pairs spun in real time (10)")
    parser.add_argument("--real", type=int, default=10, help="runs of a real ONNX file against itself (10)")
    parser.add_argument("--bundle", type=Path, help="a bundle with that ONNX file, instead of building one")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
