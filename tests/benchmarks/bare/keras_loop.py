"""What one writes to run a Keras model, compiled, as ``predict`` does it. ``plain.py`` is the loop around it.

Called as it is, it would run layer by layer and take several times as long.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def load(path: str, threads: int) -> Callable[[np.ndarray], Callable[[], Any]]:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(path, compile=False)
    predict = tf.function(model, reduce_retracing=True)

    def bound(image: np.ndarray) -> Callable[[], Any]:
        tensor = tf.constant(image)
        return lambda: predict(tensor, training=False).numpy()

    return bound
