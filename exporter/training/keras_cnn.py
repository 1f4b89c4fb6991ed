"""The shipped CNN in Keras, and its training. Imported only in a child whose KERAS_BACKEND is chosen."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from exporter import data as datasets
from exporter.data import Dataset
from exporter.source_folder import Epoch, History
from exporter.training.options import Trained, TrainOptions, model_spec, write_source
from runtimes.errors import ConversionError, UnavailableError, UsageError
from runtimes.files import writing_to
from runtimes.machine import versions_of
from runtimes.worker import emit

log = logging.getLogger(__name__)

BACKENDS = ("tensorflow", "jax", "torch")
LEARNING_RATE = 1e-3
VALIDATION_SHARE = 0.2
EVALUATION_BATCH = 512
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
            layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities"),
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
    with scope:
        model = _compiled(keras, len(dataset.labels))
        model.summary(print_fn=lambda text: print(text, file=sys.stderr))
        trained_model = model
        if options.amp:  # only the training computes in bfloat16: what is judged and saved is float32
            keras.utils.set_random_seed(options.seed)
            keras.mixed_precision.set_global_policy("mixed_bfloat16")
            trained_model = _compiled(keras, len(dataset.labels))
            keras.mixed_precision.set_global_policy("float32")
        epochs = _fit(keras, trained_model, model, dataset, options)
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
        samples_per_epoch=int(len(dataset.train_labels) * (1 - VALIDATION_SHARE)),
    )
    spec = model_spec(dataset, "NHWC", "probabilities", "probabilities")
    return write_source(out, dataset, spec, trained, data, options)


def _compiled(keras: Any, num_classes: int) -> Any:
    model = image_classifier(num_classes)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _fit(keras: Any, model: Any, judged: Any, dataset: Dataset, options: TrainOptions) -> list[Epoch]:
    """``fit`` with 20 % of the training part for validation; then held-out accuracy by ``evaluate``.

    ``judged`` is what is evaluated after each epoch, and left with the weights: ``model`` itself, or its float32 twin.
    """
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
            if judged is not model:
                judged.set_weights(model.get_weights())
            _, accuracy = judged.evaluate(
                held_images, dataset.heldout_labels, batch_size=EVALUATION_BATCH, verbose=0
            )
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
            emit({"epoch": epoch + 1, "of": options.epochs, **asdict(epochs[-1])})

    model.fit(
        train_images[order],
        dataset.train_labels[order],
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_split=VALIDATION_SHARE,
        validation_batch_size=EVALUATION_BATCH,
        callbacks=[Progress()],
        verbose=0,
    )
    return epochs


def choose_device(keras: Any, asked: str) -> tuple[str, Any]:
    """``(device, scope to train in)``, or UnavailableError; ``auto`` is the first GPU where there is one."""
    backend = keras.backend.backend()
    count = _gpus(backend)
    kind, _, index = asked.partition(":")
    if kind == "cuda" and int(index or 0) >= count:
        way = (
            "pip install 'tensorflow[and-cuda]'" if backend == "tensorflow" else f"Install {backend} for CUDA"
        )
        raise UnavailableError(
            f"--device {asked} was asked for, but Keras on {backend} sees {count} GPU(s). "
            f"{way} and NVIDIA's driver, or use --device cpu."
        )
    if kind == "cpu" or not count:
        return "cpu", keras.device("cpu:0")
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    return f"cuda:{index or 0}", keras.device(f"gpu:{index or 0}")


def _gpus(backend: str) -> int:
    """How many GPUs the backend sees."""
    if backend == "tensorflow":
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))
    if backend == "torch":
        import torch

        return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    return sum(device.platform == "gpu" for device in importlib.import_module("jax").devices())


def _import_keras() -> Any:
    """Keras, on the backend that KERAS_BACKEND names.

    Raises UsageError for a backend that does not train, UnavailableError for one that is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UsageError(f"KERAS_BACKEND is {backend!r}, which does not train. Use {', '.join(BACKENDS)}.")
    try:
        import keras
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"Keras on {backend} needs {error.name}, which is missing: pip install "
            f"{error.name if error.name != 'keras' else 'keras tensorflow'}, or set KERAS_BACKEND to a backend that is installed."
        ) from None
    return keras


def _check_saved(keras: Any, model: Any, path: Path) -> None:
    """What is exported later is the file: it must hold these weights."""
    loaded = keras.saving.load_model(path, safe_mode=True)
    for mine, its in zip(model.get_weights(), loaded.get_weights(), strict=True):
        if not np.array_equal(mine, its):
            raise ConversionError(f"{path} does not give back the weights that were saved in it")
