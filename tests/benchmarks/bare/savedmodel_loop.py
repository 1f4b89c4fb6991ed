"""What one writes to run a SavedModel in TensorFlow. ``plain.py`` is the loop around it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def load(path: str, threads: int) -> Callable[[np.ndarray], Callable[[], Any]]:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.saved_model.load(f"{path}/1")
    predict = model.signatures["serving_default"]
    [given] = predict.structured_input_signature[1]
    [result] = predict.structured_outputs

    def bound(image: np.ndarray) -> Callable[[], Any]:
        tensor = tf.constant(image)
        return lambda model=model: predict(**{given: tensor})[result].numpy()

    return bound
