"""What the classes of real samples say of a file, as counts: they add up, part by part, whatever the number of samples. Pure."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np

from runtimes.base import Array
from runtimes.rows import VerifyRow
from runtimes.verdict.statistics import clopper_pearson, mcnemar_p, paired_difference_interval


@dataclass(frozen=True)
class Classes:
    """Of ``n`` samples ``same`` have the source's class. Of the ``known`` ones, which have a label, the file names it for
    ``right`` and the source for ``source_right``; ``lost`` only the source does, ``gained`` only the file.
    """

    n: int = 0
    same: int = 0
    known: int = 0
    right: int = 0
    source_right: int = 0
    lost: int = 0
    gained: int = 0

    def __add__(self, other: Classes) -> Classes:
        return Classes(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def onto(self, row: VerifyRow) -> VerifyRow:
        """The row with the agreement, the accuracies and their intervals; as it is where no sample was counted."""
        if not self.n:
            return row
        row = replace(
            row,
            heldout_n=self.n,
            top1_agreement=self.same / self.n,
            top1_interval=clopper_pearson(self.same, self.n),
        )
        if not self.known:
            return row
        return replace(
            row,
            accuracy=self.right / self.known,
            source_accuracy=self.source_right / self.known,
            accuracy_change=(self.gained - self.lost) / self.known,
            accuracy_change_interval=paired_difference_interval(self.lost, self.gained, self.known),
            mcnemar_p=mcnemar_p(self.lost, self.gained),
        )


def counted(top1: Array, source_top1: Array, labels: Array) -> Classes:
    """The counts over samples whose classes are these, all of shape (n,); a label below 0 is unknown."""
    known = labels >= 0
    right, source_right = known & (top1 == labels), known & (source_top1 == labels)
    counts = (top1 == source_top1, known, right, source_right, source_right & ~right, right & ~source_right)
    return Classes(len(top1), *(int(np.sum(each)) for each in counts))
