"""Where "same" puts the windows of a max pooling, against the pads that it replaces."""

from __future__ import annotations

import itertools

import pytest

from exporter.frameworks.keras_pool_pads import extra


def windows(size: int, pads: tuple[int, int], window: int, stride: int) -> list[set[int]]:
    """The real positions that each window sees."""
    starts = range(-pads[0], size + pads[1] - window + 1, stride)
    return [{at for at in range(start, start + window) if 0 <= at < size} for start in starts]


def same(size: int, window: int, stride: int) -> list[set[int]]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + window - size, 0)
    return windows(size, (total // 2, total - total // 2), window, stride)


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (3, 1), (3, 3), (4, 2), (5, 2)])
def test_the_windows_that_count_see_what_they_saw(window: int, stride: int) -> None:
    found = 0
    for size, before, after in itertools.product(range(window, 14), range(3), range(3)):
        more = extra(size, (before, after), window, stride)
        if more is not None:
            found += 1
            expected = windows(size, (before, after), window, stride)
            assert same(size + more, window, stride)[: len(expected)] == expected
    assert found


def test_the_stem_of_a_resnet() -> None:
    assert extra(112, (1, 0), 3, 2) == extra(112, (1, 1), 3, 2) == 1
    assert extra(113, (1, 1), 3, 2) == 0
