"""Did it get slower? The ratio of two latencies with its interval, and the decision. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from runtimes.measuring.rounds import Location, Rounds, location, logarithms
from runtimes.verdict.statistics import CONFIDENCE, Interval, student_t

Decision = Literal["slower", "faster", "same", "unclear"]

# A process keeps its luck: where its memory lies, which core it began on. Where that was seen only once on each side,
# at different times, smaller changes than this are not told from it.
UNSEEN = 0.10


@dataclass(frozen=True)
class Ratio:
    """``value`` is new over old, above 1 where new is slower; ``interval`` is of 95 % unless asked otherwise.

    ``unseen`` is true where nothing measured how much two processes of the same file differ, and nothing made both sides
    share the machine's state: one process each, not interleaved. The interval is then too narrow for what it is asked.
    """

    value: float
    interval: Interval
    unseen: bool = False


def ratio(old: Rounds, new: Rounds, paired: bool, seed: int = 0, confidence: float = CONFIDENCE) -> Ratio:
    """The ratio of the medians of ``new`` to those of ``old``, each [process][round] in order, in any one unit.

    ``paired``: round r of process p of both sides ran next to each other, so that what disturbed one disturbed the other;
    their ratio is then taken first. Otherwise each side has a standard error of its own, and the degrees of freedom are
    Welch's. See ``runtimes.measuring.rounds`` for what varies, and what of it an interval holds. From one round each the interval is
    (0, inf). Raises ValueError where ``paired`` sides have not the same rounds.
    """
    before, after = logarithms(old), logarithms(new)
    if paired:
        if [len(each) for each in before] != [len(each) for each in after]:
            raise ValueError("interleaved sides have the same number of rounds in each process")
        change = location([b - a for a, b in zip(before, after, strict=True)], seed)
        freedom = float(change.units - 1)
    else:
        change, freedom = _difference(location(before, seed), location(after, seed + 1))
    unseen = not paired and min(len(before), len(after)) == 1
    if freedom < 1:
        return Ratio(math.exp(change.log), (0.0, math.inf), unseen)
    reach = student_t(confidence, freedom) * change.error
    return Ratio(math.exp(change.log), (math.exp(change.log - reach), math.exp(change.log + reach)), unseen)


def _difference(old: Location, new: Location) -> tuple[Location, float]:
    """``new`` less ``old``, and Welch's degrees of freedom."""
    units = min(old.units, new.units)
    error = math.hypot(old.error, new.error)
    if units < 2 or not error:
        return Location(new.log - old.log, error, units), float(units - 1)
    parts = [(side.error / error) ** 4 / (side.units - 1) for side in (old, new)]
    return Location(new.log - old.log, error, units), 1 / sum(parts)


def decide(found: Ratio, threshold: float) -> Decision:
    """Slower or faster only where the interval excludes 1 and the value exceeds the threshold: 0.03 is 3 %.

    Same where the interval holds no slowdown beyond the threshold, though perhaps a gain; everything else is unclear. Without any change, a threshold
    of 0 lets an interval of 95 % say "slower" in 2.5 % of comparisons. A change as large as the threshold is found half
    the time at best. Where the ratio is ``unseen``, slower and faster begin at UNSEEN at the least.
    """
    limit = 1 + effective(found, threshold)
    low, high = found.interval
    if low > 1 and found.value > limit:
        return "slower"
    if high < 1 and found.value < 1 / limit:
        return "faster"
    return "same" if high <= 1 + threshold else "unclear"


def effective(found: Ratio, threshold: float) -> float:
    """The change from which on ``decide`` says slower or faster."""
    return max(threshold, UNSEEN) if found.unseen else threshold


def reason(found: Ratio, threshold: float) -> str:
    """The decision's reason, in a few words."""
    low, high = found.interval
    limit = effective(found, threshold)
    return {
        "slower": f"beyond the noise, and beyond the threshold of {limit:.0%}",
        "faster": f"beyond the noise, and beyond the threshold of {limit:.0%}",
        "same": f"within {threshold:.0%}"
        if low >= 1 / (1 + threshold)
        else f"no slower by {threshold:.0%}, perhaps faster",
        "unclear": "the noise is too large to tell"
        if low <= 1 <= high
        else f"a change, but not surely one beyond {limit:.0%}",
    }[decide(found, threshold)]
