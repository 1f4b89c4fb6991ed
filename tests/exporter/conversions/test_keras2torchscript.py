"""Keras to TorchScript: what Keras's PyTorch backend adds to a network is gone from the file, and nothing else."""

from __future__ import annotations

import keras2torchscript_child as child
import pytest

from exporter.converters import Converters
from runtimes.client import Worker

# Operators left, all of them.
OPS = {
    "plain": {"permute": 2, "_convolution": 2, "relu": 2, "max_pool2d": 1, "reshape": 1, "linear": 1},
    "normed": {"pad": 1, "permute": 2, "_convolution": 2, "relu6": 1, "mean": 1, "linear": 1},
    "residual": {"permute": 2, "_convolution": 3, "relu": 2, "add": 1},
    "dense_block": {"permute": 2, "_convolution": 3, "cat": 1, "addcmul": 1, "relu": 1},
    "shared": {"permute": 3, "_convolution": 1, "addcmul": 1},
    "gated": {"permute": 4, "_convolution": 2, "mean": 1, "mul": 2},
}


@pytest.fixture(scope="module")
def keras_on_torch(children: Converters) -> Worker:
    return children.get("keras-torch")


@pytest.mark.parametrize("name", child.NETS)
def test_the_file_has_the_networks_operators(name: str, keras_on_torch: Worker) -> None:
    export = keras_on_torch.call(child.export, name)
    assert export.error < 1e-5
    assert export.ops == OPS[name]
