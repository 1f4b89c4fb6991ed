"""What one writes to run TF Lite in LiteRT. ``plain.py`` is the loop around it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def load(path: str, threads: int) -> Callable[[np.ndarray], Callable[[], Any]]:
    interpreter = Interpreter(path, num_threads=threads)
    given = interpreter.get_input_details()[0]["index"]

    def bound(image: np.ndarray) -> Callable[[], Any]:
        interpreter.resize_tensor_input(given, image.shape)
        interpreter.allocate_tensors()

        def call() -> None:
            interpreter.set_tensor(given, image)
            interpreter.invoke()

        return call

    return bound
