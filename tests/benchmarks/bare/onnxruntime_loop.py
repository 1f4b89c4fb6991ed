"""What one writes to run ONNX in ONNX Runtime, inputs bound before. ``plain.py`` is the loop around it.

The tool beside this has ``session.run``, which also hands arrays over.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime


def load(path: str, threads: int) -> Callable[[np.ndarray], Callable[[], Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given, result = session.get_inputs()[0].name, session.get_outputs()[0].name

    def bound(image: np.ndarray) -> Callable[[], Any]:
        binding = session.io_binding()
        binding.bind_ortvalue_input(given, onnxruntime.OrtValue.ortvalue_from_numpy(image))
        binding.bind_output(result)
        return partial(session.run_with_iobinding, binding)

    return bound
