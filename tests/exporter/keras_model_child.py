"""What the tests of ``exporter/frameworks/keras_model.py`` run in their TensorFlow child."""

from __future__ import annotations

from pathlib import Path

from exporter.frameworks import keras_model
from runtimes.bundle import ModelSpec


def _model(units: int) -> object:
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])


def read_again(folder: Path) -> dict[str, bool]:
    """Whether ``load`` hands over, once, the model that this process wrote, and sees that a file has changed."""
    spec = ModelSpec("net", (), ())
    ours, other = folder / "ours.keras", folder / "other.keras"
    written = _model(2)
    keras_model.save(written, ours, spec)
    handed_over = keras_model.load(ours) is written
    read = keras_model.load(ours)
    keras_model.save(_model(5), other, spec)
    keras_model.save(written, ours, spec)
    other.replace(ours)
    return {
        "handed over": handed_over,
        "read the second time": read is not written and read.output_shape == (None, 2),
        "read when changed": keras_model.load(ours).output_shape == (None, 5),
    }
