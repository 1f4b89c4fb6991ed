"""What the tests of training run in children: the weights as they are saved, and what they predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.source_folder import HELDOUT, open_source
from runtimes import preprocess
from runtimes.base import Array


def _inputs(folder: Path) -> tuple[Array, Array]:
    source = open_source(folder)
    with np.load(folder / HELDOUT, allow_pickle=False) as file:
        images = preprocess.apply(file["images"], source.model.preprocessing)
        return preprocess.to_layout(images, "NHWC", source.model.inputs[0].layout), file["labels"]


def torch_accuracy(folder: Path) -> float:
    """Rebuilt from source.json alone."""
    import torch

    from exporter.frameworks import torch_model

    inputs, labels = _inputs(folder)
    with torch.inference_mode():
        logits = torch_model.load(folder)(torch.from_numpy(inputs)).numpy()
    return float((logits.argmax(1) == labels).mean())


def torch_shapes(folder: Path) -> dict[str, list[int]]:
    import torch

    weights = torch.load(folder / "weights.pt", weights_only=True)
    return {name: list(value.shape) for name, value in weights.items()}


def torch_weights(folder: Path) -> list[Array]:
    import torch

    return [value.numpy() for value in torch.load(folder / "weights.pt", weights_only=True).values()]


def keras_accuracy(folder: Path) -> float:
    """The share that the saved model names rightly; its outputs are checked to be probabilities."""
    import keras

    inputs, labels = _inputs(folder)
    found = keras.saving.load_model(folder / "model.keras", safe_mode=True).predict(inputs, verbose=0)
    assert found.dtype == np.float32
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    return float((found.argmax(1) == labels).mean())


def keras_description(folder: Path) -> dict[str, str]:
    """Layers in order with their dtypes, the input's name, and how the model was compiled."""
    import keras

    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    return {
        "layers": " ".join(layer.name for layer in model.layers),
        "dtypes": " ".join(sorted({str(layer.dtype_policy.name) for layer in model.layers})),
        "input": f"{model.inputs[0].name} {model.inputs[0].shape}",
        "loss": str(model.loss),
        "optimizer": model.optimizer.name,
        "parameters": str(model.count_params()),
    }


def keras_weights(folder: Path) -> list[Array]:
    import keras

    return list(keras.saving.load_model(folder / "model.keras", safe_mode=True).get_weights())


def loaded_libraries() -> list[str]:
    """Which of the frameworks this process has imported."""
    import sys

    return [name for name in ("torch", "tensorflow", "jax") if name in sys.modules]
