"""Quantised tensors: what their integers stand for, by hand and as TF Lite's own operators say."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.bundle import Quantization, TensorSpec
from runtimes.verdict.quantization import real, stored

INT8 = TensorSpec("x", "int8", (None, 4), quantization=Quantization(0.5, -3))
UINT8 = TensorSpec("x", "uint8", (None, 4), quantization=Quantization(1 / 255, 0))


def test_numbers_are_rounded_halves_to_even_and_held_in_the_range() -> None:
    values = np.array([[0.0, 0.25, 0.75, -0.25], [1000.0, -1000.0, 0.5, -61.0]], np.float32)
    np.testing.assert_array_equal(stored(values, INT8), np.array([[-3, -3, -1, -3], [127, -128, -2, -125]]))
    assert stored(values, INT8).dtype == np.int8


@pytest.mark.parametrize("spec", [INT8, UINT8])
def test_integers_come_back_as_they_were(spec: TensorSpec) -> None:
    info = np.iinfo(spec.dtype)
    every = np.arange(info.min, info.max + 1).astype(spec.dtype).reshape(-1, 4)
    numbers = real(every, spec)
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(stored(numbers, spec), every)


def test_what_is_not_quantised_changes_its_type_alone() -> None:
    ids = TensorSpec("ids", "int32", (None, 4))
    values = np.arange(4, dtype=np.int64)[None]
    assert stored(values, ids).dtype == np.int32
    np.testing.assert_array_equal(stored(values, ids), values)
    np.testing.assert_array_equal(real(values, ids), values)
