"""What runs in the children that convert: make a clean network, plant a fault in it, measure what the fault moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from exporter.frameworks import keras_model
from exporter.source_folder import open_source, save_source
from exporter.sources import torch_code
from runtimes.base import Array
from runtimes.batches import run_in_batches
from runtimes.bundle import ModelSpec
from runtimes.reference import Variant, open_reference
from runtimes.verdict.parity import judge
from tests.zoo import child as zoo
from tests.zoo.registry import NORMALIZED, RAW, Model

CODE = "tests.mutants.torch_net:network"
# One square, so that height and width exchanged still fit, one not.
SHAPES = {"torch": (3, 24, 24), "keras": (20, 28, 3)}
# What ``depthwise`` is scaled by, so that float16 does not hold its outputs, and ``hidden``, so that some of its neurons
# pass 6; the bias of its neuron that never wakes.
LOUD, WIDE, ASLEEP = 4e4, 4.0, -1e3


@dataclass(frozen=True)
class Options:
    """What a clean network is made with."""

    framework: Literal["torch", "keras"]
    width: int = 8
    probabilities: bool = False
    seed: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of ``network``."""
        return {"width": self.width, "probabilities": self.probabilities}

    @property
    def name(self) -> str:
        """One word for these options."""
        kind = "probabilities" if self.probabilities else "logits"
        return f"{self.framework}_{kind}_{self.width}_{self.seed}"

    @property
    def model(self) -> Model:
        """The network as the zoo describes one: its inputs and their preprocessing, which the Keras network has inside."""
        arithmetic = NORMALIZED if self.framework == "torch" else RAW
        return Model(self.name, self.framework, SHAPES[self.framework], arithmetic=arithmetic)


def make_torch(options: Options, path: Path) -> None:
    """Write the state_dict of a network with drawn weights and measured statistics."""
    import torch

    generator = torch.Generator().manual_seed(options.seed)
    network = torch_code.build(CODE, options.arguments)
    with torch.no_grad():
        zoo.draw_torch(network, generator)
        network.depthwise.weight *= LOUD
        network.hidden.weight *= WIDE
        network.hidden.bias[0] = ASLEEP
        zoo.measure_torch(network, torch.from_numpy(zoo.inputs(options.model)), generator)
    torch.save(network.state_dict(), path)


def make_keras(options: Options, path: Path) -> None:
    """Write the ``.keras`` file of a network with drawn weights and measured statistics."""
    from tests.mutants import keras_net

    random = np.random.default_rng(options.seed)
    network = keras_net.network(**options.arguments)
    for layer in network.layers:
        layer.set_weights([zoo._draw_keras(layer, weight, random) for weight in layer.weights])
    for name, place, change in (
        ("depthwise", 0, lambda kernel: kernel * np.float32(LOUD)),
        ("hidden", 0, lambda kernel: kernel * np.float32(WIDE)),
        ("hidden", 1, lambda bias: np.concatenate([[ASLEEP], bias[1:]])),
    ):
        values = network.get_layer(name).get_weights()
        values[place] = change(values[place])
        network.get_layer(name).set_weights(values)
    zoo._measure_keras(network, zoo.inputs(options.model), random)
    network.save(path)


def plant(clean: Path, fault: str, planted: Path) -> None:
    """The source folder ``planted``: the network of the clean one with one fault, described as the clean one is."""
    source = open_source(clean)
    planted.mkdir(parents=True)
    if source.framework == "torch":
        _plant_torch(clean, fault, planted)
        save_source(planted, replace(source, arguments={**source.arguments, "fault": fault}))
    else:
        model = _planted_keras(keras_model.load(clean / source.weights), fault)
        model.save(planted / source.weights)
        keras_model.write_metadata(planted / source.weights, source.model)
        save_source(planted, source)


def _plant_torch(clean: Path, fault: str, planted: Path) -> None:
    import torch

    from tests.mutants import torch_faults

    network = torch_code.load(clean)
    with torch.no_grad():
        torch_faults.FAULTS[fault](network)
    torch.save(network.state_dict(), planted / open_source(clean).weights)


def _planted_keras(clean: Any, fault: str) -> Any:
    from tests.mutants import keras_faults, keras_net

    probabilities = type(clean.get_layer("scores")).__name__ == "Softmax"
    model = keras_net.network(clean.get_layer("stem").filters, probabilities, fault)
    own = {layer.name: layer for layer in clean.layers}
    for layer in model.layers:
        if layer.name in own:
            layer.set_weights(own[layer.name].get_weights())
    if fault in keras_faults.WEIGHTS:
        keras_faults.WEIGHTS[fault](model)
    return model


def describe(folder: Path, model: ModelSpec) -> None:
    """The source folder is of this model from now on; a ``.keras`` file, which is an artifact too, says so itself."""
    source = open_source(folder)
    save_source(folder, replace(source, model=model))
    if source.framework == "keras":
        keras_model.write_metadata(folder / source.weights, model)


def faults(framework: str) -> list[str]:
    """The kinds that this framework's network can have."""
    if framework == "torch":
        from tests.mutants import torch_faults

        return list(torch_faults.FAULTS)
    from tests.mutants import keras_faults

    return list({**keras_faults.STEPS, **keras_faults.WEIGHTS})


def effect(planted: Path, reference: Path) -> float:
    """How far the float64 source with the fault lies from the clean one, in its rounding noise: the largest e/n."""
    source, clean = open_source(planted), open_reference(reference)
    session = source.loader.open_session(planted, Variant(precision="float64"))
    y = run_in_batches(session, clean.inputs, len(clean))
    found = [
        judge(y[spec.name], clean.y64[spec.name], clean.noise[spec.name], spec.kind)
        for spec in source.model.outputs
    ]
    return max(one.max_ratio for one in found)


def head(folder: Path) -> Array:
    """The kernel of the last layer, (inputs, classes), which no conversion folds anything into."""
    source = open_source(folder)
    if source.framework == "torch":
        kernel: Array = torch_code.load(folder).head.weight.detach().numpy().T.copy()
    else:
        kernel = keras_model.load(folder / source.weights).get_layer("head").get_weights()[0]
    return kernel


def plant_head(clean: Path, kernel: Array, planted: Path) -> None:
    """The source folder ``planted``: the clean one with another kernel of the last layer."""
    source = open_source(clean)
    planted.mkdir(parents=True)
    if source.framework == "torch":
        import torch

        network = torch_code.load(clean)
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(kernel.T.copy()))
        torch.save(network.state_dict(), planted / source.weights)
    else:
        model = keras_model.load(clean / source.weights)
        layer = model.get_layer("head")
        layer.set_weights([kernel, layer.get_weights()[1]])
        model.save(planted / source.weights)
    save_source(planted, source)


def substitute_variables(folder: Path, old: Array, new: Array) -> None:
    """Write each number of ``old`` in the variables of a SavedModel as that of ``new``."""
    import tensorflow as tf

    from tests.mutants.file_faults import substituted

    prefix = str(folder / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    tensors = {name: reader.get_tensor(name) for name in sorted(dtypes)}
    numbers = [name for name in tensors if dtypes[name] == tf.float32]
    content = substituted(b"".join(tensors[name].tobytes() for name in numbers), old, new)
    at = 0
    for name in numbers:
        array = tensors[name]
        tensors[name] = np.frombuffer(content, np.float32, array.size, at).reshape(array.shape)
        at += array.nbytes
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(value) for value in tensors.values()],
    )
