"""SavedModel to ONNX: the same predictions from ONNX Runtime as from TensorFlow, in any batch, with the same names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from exporter.conversions import savedmodel2onnx
from exporter.converters import Converters
from runtimes.adapters import onnxruntime
from runtimes.base import SessionOptions
from runtimes.client import Worker
from runtimes.errors import ConversionError
from tests import saved_models

RUNNABLE = [kind for kind in saved_models.SPECS if kind not in ("refused", "large")]
EPSILON = float(np.finfo(np.float32).eps)

pytestmark = pytest.mark.skipif(savedmodel2onnx.check() is not None, reason=str(savedmodel2onnx.check()))


@pytest.fixture(scope="module")
def tensorflow(children: Converters) -> Worker:
    return children.get("tensorflow")


@pytest.mark.parametrize("kind", RUNNABLE)
def test_predicts_what_tensorflow_predicts(tensorflow: Worker, kind: str, tmp_path: Path) -> None:
    saved, out, spec = tmp_path / "saved", tmp_path / "model.onnx", saved_models.SPECS[kind]
    tensorflow.call(saved_models.make, kind, saved)
    tensorflow.call(savedmodel2onnx.convert, saved, out, spec)
    session = onnxruntime.load(out, "cpu", SessionOptions(threads=1))
    assert [tensor.name for tensor in session.inputs] == [tensor.name for tensor in spec.inputs]
    assert [tensor.name for tensor in session.outputs] == [tensor.name for tensor in spec.outputs]
    for batch in (1, 5):
        feeds = saved_models.feeds(kind, batch)
        wanted = tensorflow.call(saved_models.answer, saved, feeds)
        found = session.run(feeds)
        for name, array in wanted.items():
            assert found[name].shape == array.shape
            np.testing.assert_allclose(found[name], array, rtol=0, atol=16 * EPSILON * np.abs(array).max())


def test_no_shape_arithmetic_is_left(tensorflow: Worker, tmp_path: Path) -> None:
    tensorflow.call(saved_models.make, "cnn", tmp_path / "saved")
    tensorflow.call(
        savedmodel2onnx.convert, tmp_path / "saved", tmp_path / "cnn.onnx", saved_models.SPECS["cnn"]
    )
    model = onnx.load(tmp_path / "cnn.onnx")
    ops = {node.op_type for node in model.graph.node}
    assert not ops & {"Shape", "Gather", "Slice", "Concat"}
    assert {"Conv", "MaxPool"} <= ops
    assert model.producer_name == "fwexport"


def test_operators_without_an_onnx_one_are_named(tensorflow: Worker, tmp_path: Path) -> None:
    tensorflow.call(saved_models.make, "refused", tmp_path / "saved")
    with pytest.raises(ConversionError, match=r"for BesselI0e, Lgamma in refused"):
        tensorflow.call(
            savedmodel2onnx.convert, tmp_path / "saved", tmp_path / "x.onnx", saved_models.SPECS["refused"]
        )
