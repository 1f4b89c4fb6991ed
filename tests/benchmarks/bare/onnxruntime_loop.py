"""A plain loop in ONNX Runtime: ``onnxruntime_loop.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes.

Inputs are bound before, as ``bench`` does it; the tool beside this one has ``session.run``, which also hands arrays over.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
given, result = session.get_inputs()[0].name, session.get_outputs()[0].name


def bound(image: np.ndarray) -> onnxruntime.IOBinding:
    binding = session.io_binding()
    binding.bind_ortvalue_input(given, onnxruntime.OrtValue.ortvalue_from_numpy(image))
    binding.bind_output(result)
    return binding


inputs: dict[str, list[onnxruntime.IOBinding]] = {}
for line in sys.stdin:
    file, seconds = line.split()
    if file not in inputs:
        inputs[file] = [bound(image) for image in np.load(file).values()]
    bindings = inputs[file]
    times: list[float] = []
    end = time.perf_counter() + float(seconds)
    while len(times) < 3 or time.perf_counter() < end:
        binding = bindings[len(times) % len(bindings)]
        begin = time.perf_counter()
        session.run_with_iobinding(binding)
        times.append(time.perf_counter() - begin)
    print(json.dumps(times), flush=True)
