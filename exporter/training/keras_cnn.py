"""The shipped CNN in Keras, and its training. Imported only in a child whose KERAS_BACKEND is chosen."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from exporter import data as datasets
from exporter.data import Dataset
from exporter.sources.folder import Epoch, History
from exporter.training.options import Trained, TrainOptions, model_spec, write_source
from runtimes.errors import ConversionError, UnavailableError
from runtimes.files import writing_to
from runtimes.machine import versions_of
from runtimes.worker import emit

log = logging.getLogger(__name__)

LEARNING_RATE = 1e-3
WEIGHTS = "model.keras"


def image_classifier(num_classes: int = 10) -> Any:
    """The same network as PyTorch's, channels last: (n, 28, 28, 1) float32 in [0, 1] to probabilities."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense1"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(num_classes, activation="softmax", name="probabilities"),
        ],
        name="image_classifier",
    )


def train(out: Path, data: str, options: TrainOptions) -> History:
    """Train on ``data`` and write a source folder into the empty folder ``out``.

    Raises UnavailableError for a GPU or a Keras backend that was asked for and is not there.
    """
    keras = _import_keras()
    device, scope = choose_device(keras, options.device)
    dataset = datasets.load(data)
    keras.utils.set_random_seed(options.seed)
    if options.amp:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    with scope:
        model = image_classifier(len(dataset.labels))
        optimizer = keras.optimizers.Adam(LEARNING_RATE)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.summary(print_fn=lambda text: print(text, file=sys.stderr))
        epochs = _fit(keras, model, dataset, options)
    if options.amp:  # the file holds the float32 weights, and a model that computes with them in float32
        keras.mixed_precision.set_global_policy("float32")
        trained_model, model = model, image_classifier(len(dataset.labels))
        model.set_weights(trained_model.get_weights())
    with writing_to(out):
        model.save(out / WEIGHTS)
    _check_saved(keras, model, out / WEIGHTS)
    trained = Trained(
        framework="keras",
        backend=keras.backend.backend(),
        device=device,
        weights=WEIGHTS,
        code="",
        arguments={},
        versions=versions_of("keras", "tensorflow", "tensorflow-cpu"),
        parameters=model.count_params(),
        epochs=epochs,
        samples_per_epoch=round(len(dataset.train_labels) * 0.8),
    )
    spec = model_spec(dataset, "NHWC", "probabilities", "probabilities")
    return write_source(out, dataset, spec, trained, data, options)


def _fit(keras: Any, model: Any, dataset: Dataset, options: TrainOptions) -> list[Epoch]:
    """``fit`` with 20 % of the training part for validation; then held-out accuracy by ``evaluate``."""
    train_images = dataset.train_images.astype(np.float32) * np.float32(1 / 255)
    held_images = dataset.heldout_images.astype(np.float32) * np.float32(1 / 255)
    # validation_split takes the last rows; files sorted by class would leave a class out of training.
    order = np.random.default_rng(options.seed).permutation(len(train_images))
    epochs: list[Epoch] = []

    class Progress(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begin = self.told = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = self.end = time.perf_counter()
            if now - self.told > 0.25:
                self.told = now
                emit({"batch": batch + 1, "of": self.params["steps"]})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            _, accuracy = self.model.evaluate(held_images, dataset.heldout_labels, batch_size=512, verbose=0)
            # The clock stops at the last batch: validation is not training.
            epochs.append(Epoch(float(logs["loss"]), float(accuracy), self.end - self.begin))
            log.info(
                "epoch %d/%d: loss %.4f, held-out accuracy %.4f, %.1f s",
                epoch + 1,
                options.epochs,
                logs["loss"],
                accuracy,
                epochs[-1].seconds,
            )
            emit(
                {
                    "epoch": epoch + 1,
                    "of": options.epochs,
                    "loss": epochs[-1].loss,
                    "accuracy": epochs[-1].accuracy,
                }
            )

    model.fit(
        train_images[order],
        dataset.train_labels[order],
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_split=0.2,
        callbacks=[Progress()],
        verbose=0,
    )
    return epochs


def choose_device(keras: Any, asked: str) -> tuple[str, Any]:
    """``(device, scope to train in)``, or UnavailableError; ``auto`` is the first GPU where there is one."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        return _other_backend(keras, backend, asked)
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    kind, _, index = asked.partition(":")
    if kind == "cuda" and int(index or 0) >= len(found):
        raise UnavailableError(
            f"--device {asked} was asked for, but TensorFlow {tf.__version__} sees {len(found)} GPU(s). "
            "pip install 'tensorflow[and-cuda]' and NVIDIA's driver, or use --device cpu."
        )
    if kind == "cpu" or not found:
        return "cpu", tf.device("/CPU:0")
    return f"cuda:{index or 0}", tf.device(f"/GPU:{index or 0}")


def _other_backend(keras: Any, backend: str, asked: str) -> tuple[str, Any]:
    """Where the backend puts its arrays by itself, which must be what was asked for."""
    found = str(keras.ops.zeros(()).device).lower() if backend in ("torch", "jax") else "cpu"
    here = "cuda" if "cuda" in found or "gpu" in found else "cpu"
    if asked != "auto" and asked.partition(":")[0] != here:
        raise UnavailableError(f"--device {asked} was asked for, but Keras on {backend} computes on {here}.")
    return here, contextlib.nullcontext()


def _import_keras() -> Any:
    """Keras, or UnavailableError when the backend that KERAS_BACKEND names is not installed."""
    try:
        import keras
    except ModuleNotFoundError as error:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise UnavailableError(
            f"Keras on {backend} needs {error.name}, which is missing: pip install 'fwexport[tensorflow]', or set "
            "KERAS_BACKEND to a backend that is installed."
        ) from None
    return keras


def _check_saved(keras: Any, model: Any, path: Path) -> None:
    """What is exported later is the file: it must hold these weights."""
    loaded = keras.saving.load_model(path, safe_mode=True)
    for mine, its in zip(model.get_weights(), loaded.get_weights(), strict=True):
        if not np.array_equal(mine, its):
            raise ConversionError(f"{path} does not give back the weights that were saved in it")
