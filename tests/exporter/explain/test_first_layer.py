"""The first layer that diverges, decided on arrays of a small network with a branch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exporter.explain.first_layer import closest_tensor, first_layer, named_after
from exporter.explain.source_layers import SourceLayer, Value, joined, leading_to
from runtimes.base import Array

SAMPLES, EPS = 3, 2.0**-24


def network(conv_scale: float = 1.0, second_bias: float = 0.0) -> list[tuple[str, tuple[str, ...], Array]]:
    """``(name, inputs, values)``: conv, norm, relu, a second convolution added to the relu, flatten, dense."""
    random = np.random.default_rng(1)
    image = random.normal(size=(SAMPLES, 5, 6, 4))
    conv = image * np.linspace(1, 2, 5)[:, None, None] * conv_scale
    norm = (conv - 0.3) * 1.7
    relu = np.maximum(norm, 0)
    second = relu[:, ::-1] * 0.7 + second_bias
    added = relu + second
    flat = added.reshape(SAMPLES, -1)
    dense = flat @ random.normal(size=(flat.shape[1], 7))
    return [
        ("conv", (), conv),
        ("norm", ("conv",), norm),
        ("relu", ("norm",), relu),
        ("second", ("relu",), second),
        ("add", ("relu", "second"), added),
        ("flatten", ("add",), flat),
        ("dense", ("flatten",), dense),
    ]


def source() -> list[SourceLayer]:
    return joined(
        [Value(name, name, inputs, array) for name, inputs, array in network()],
        [{name: array * (1 + 2 * EPS) for name, _, array in network()}],
        np.ones(SAMPLES, bool),
    )


def artifact(*leave: str, **faults: float) -> dict[str, Array]:
    """Tensors in float32 and channels last, without those of the layers that are folded into others."""
    rounded = {name: array.astype(np.float32) for name, _, array in network(**faults) if name not in leave}
    return {f"net/{n}": np.moveaxis(a, 1, -1) if a.ndim == 4 else a for n, a in rounded.items()}


def test_a_correct_artifact_has_no_first_layer() -> None:
    for folded in ((), ("conv", "norm"), ("conv", "norm", "second", "flatten")):
        found = first_layer(source(), artifact(*folded))
        assert found.span == ()
        assert {layer.name for layer in found.layers if layer.ratio is None} == set(folded)
        assert all(layer.ratio is None or layer.ratio < 2 for layer in found.layers)


def test_a_layer_with_a_tensor_of_its_own_is_named_alone() -> None:
    found = first_layer(source(), artifact(second_bias=0.01))
    assert (found.span, found.last_good) == (("second",), "relu")
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["second"].tensor == "net/second"
    assert by_name["second"].ratio is not None
    assert by_name["second"].ratio > 1000


def test_layers_that_were_folded_into_one_are_named_together() -> None:
    found = first_layer(source(), artifact("conv", "norm", conv_scale=1.01))
    assert (found.span, found.last_good) == (("conv", "norm", "relu"), "")
    assert [layer.ratio for layer in found.layers[:2]] == [None, None]


def test_a_convolution_that_has_the_scale_of_its_norm_is_named_with_it() -> None:
    tensors = artifact(conv_scale=1.5)
    (conv,) = (array for name, _, array in network() if name == "conv")
    tensors["net/conv"] = np.moveaxis(conv * np.linspace(1, 2, 5)[:, None, None], 1, -1).astype(np.float32)
    assert first_layer(source(), tensors).span == ("conv", "norm")
    tensors["net/conv"][0, 0, 0] *= 1.1
    assert first_layer(source(), tensors).span == ("conv",)


def test_a_folded_layer_is_right_when_what_it_feeds_is() -> None:
    found = first_layer(source(), artifact("conv", "norm", "second", second_bias=0.01))
    assert (found.span, found.last_good) == (("second", "add"), "relu")


def test_a_flatten_in_another_order_is_seen_although_its_input_has_the_same_numbers() -> None:
    tensors = artifact()
    tensors["net/flatten"] = tensors["net/add"].reshape(SAMPLES, -1)
    tensors["net/dense"] = tensors["net/dense"][:, ::-1] + 1
    found = first_layer(source(), tensors)
    assert (found.span[0], found.last_good) == ("flatten", "add")


def test_a_part_that_is_right_proves_nothing_of_the_whole() -> None:
    random = np.random.default_rng(3)
    conv = random.normal(size=(SAMPLES, 4, 5, 5))
    values = [("conv", (), conv), ("left", ("conv",), conv[:, :2]), ("right", ("conv",), conv[:, 2:])]
    runs = [{name: array * (1 + EPS) for name, _, array in values}]
    layers = joined(
        [Value(name, name, inputs, array) for name, inputs, array in values], runs, np.ones(SAMPLES, bool)
    )
    halves = {"left": conv[:, :2].astype(np.float32), "right": conv[:, 2:].astype(np.float32)}
    assert first_layer(layers, halves).span == ()
    halves["right"] = halves["right"] + np.float32(0.01)
    assert first_layer(layers, halves).span == ("conv", "right")


def test_nothing_like_a_layer_shows_nothing_of_it() -> None:
    random = np.random.default_rng(2)
    tensors = {name: random.normal(size=array.shape) for name, array in artifact().items()}
    found = first_layer(source(), tensors)
    assert (found.span, found.last_good) == (("conv",), "")


def test_a_tensor_that_is_like_nothing_belongs_to_the_layer_in_its_name() -> None:
    random = np.random.default_rng(4)
    tensors = artifact()
    for name in ("relu", "second", "add", "flatten", "dense"):
        tensors[f"net/{name}"] = random.normal(size=tensors[f"net/{name}"].shape).astype(np.float32)
    tensors["net/norm_1/add;net/relu_1/Relu"] = tensors.pop("net/relu")
    assert first_layer(source(), tensors).span == ("relu",)


def test_names_are_read_as_converters_write_them() -> None:
    layers = ["features.0", "features.0.norm", "conv2d", "conv2d_1", "relu", "relu#2", "outer/inner"]
    for tensor, layer in {
        "net_1/features_0_1/convolution": "features.0",
        "StatefulPartitionedCall/net/conv2d_1/BiasAdd": "conv2d_1",
        "net/conv2d_2/BiasAdd": "conv2d",
        "net/features_0_1/Conv2D;net/features_0_norm_1/add": "features.0.norm",
        "outer_1/inner_1/MatMul": "outer/inner",
        "relu/relu_1": "relu#2",
        "net/features_01/Conv2D": "",
    }.items():
        assert named_after(tensor, layers) == layer, tensor


def test_not_a_number_is_never_right() -> None:
    tensors = artifact()
    tensors["net/dense"][1, 2] = np.nan
    found = first_layer(source(), tensors)
    assert found.span == ("dense",)


def test_a_value_that_a_float32_run_lacks_is_bridged() -> None:
    values = [Value(name, name, inputs, array) for name, inputs, array in network()]
    runs = [{value.name: value.array for value in values if value.name != "norm"}]
    layers = joined(values, runs, np.ones(SAMPLES, bool))
    assert "norm" not in {layer.name for layer in layers}
    assert next(layer for layer in layers if layer.name == "relu").inputs == ("conv",)
    assert next(layer for layer in layers if layer.name == "flatten").moves


def test_what_the_network_does_not_use_is_left_out() -> None:
    layers = source()
    unused = replace(layers[2], name="unused", inputs=("norm",))
    found = leading_to([*layers, unused], [layers[-1].y64.copy()])
    assert [layer.name for layer in found] == [layer.name for layer in layers]
    assert leading_to([*layers, unused], [np.zeros((SAMPLES, 7))])[-1] is unused


def test_a_tensor_is_found_by_its_values_alone() -> None:
    dense = source()[-1]
    assert closest_tensor(dense.y64, dense.noise, artifact()) == "net/dense"
    assert closest_tensor(dense.y64, dense.noise, artifact(conv_scale=1.01)) == ""
