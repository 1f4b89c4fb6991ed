"""A frozen graph in float64: as close to the float32 one as rounding allows, and not a rounded copy of it."""

from __future__ import annotations

import frozen_graph_child as child
import numpy as np
import pytest

from exporter.converters import Converters
from exporter.frameworks.float64_graph import interpolation
from runtimes.client import Worker
from runtimes.errors import ConversionError, UnavailableError
from runtimes.verdict.parity import refuse_reference


@pytest.fixture(scope="module")
def tensorflow(children: Converters) -> Worker:
    return children.get("tensorflow")


@pytest.mark.parametrize("name", child.NAMES)
def test_it_is_true_float64(tensorflow: Worker, name: str) -> None:
    y32, y64 = tensorflow.call(child.both, name)
    noise = np.linalg.norm((y32 - y64).reshape(len(y64), -1), axis=1)
    assert refuse_reference(y64, noise, "tensor") == ""
    np.testing.assert_allclose(y32, y64, rtol=0, atol=1e-6 * np.abs(y64).max())


@pytest.mark.parametrize("size", [(10, 21), (3, 4), (5, 7), (1, 1)])
@pytest.mark.parametrize(
    ("half_pixel_centers", "align_corners"), [(True, False), (False, True), (False, False)]
)
def test_a_bilinear_resize_is_tensorflows(
    tensorflow: Worker, size: tuple[int, int], half_pixel_centers: bool, align_corners: bool
) -> None:
    y32, y64 = tensorflow.call(child.resize, size, half_pixel_centers, align_corners)
    np.testing.assert_allclose(y32, y64, rtol=0, atol=1e-6)


def test_every_row_of_an_interpolation_is_a_mean() -> None:
    matrix = interpolation(5, 8, half_pixel_centers=True, align_corners=False)
    assert matrix.shape == (8, 5)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-15)


def test_a_batch_norm_of_channels_first(tensorflow: Worker) -> None:
    by_formula, wide = tensorflow.call(child.channels_first)
    np.testing.assert_allclose(wide, by_formula, rtol=1e-12)


@pytest.mark.parametrize(
    ("what", "names"), [("bicubic", "LRN, ResizeBicubic"), ("training", "FusedBatchNormV3")]
)
def test_operators_without_float64_are_named(tensorflow: Worker, what: str, names: str) -> None:
    with pytest.raises(UnavailableError, match=f"cannot compute {names} in float64"):
        tensorflow.call(child.refuse, what)


def test_a_table_cannot_be_frozen(tensorflow: Worker) -> None:
    with pytest.raises(ConversionError, match="tables or files"):
        tensorflow.call(child.refuse, "table")
