"""A plain loop in LiteRT: ``litert_loop.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes."""

import json
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(sys.argv[1], num_threads=int(sys.argv[2]))
given = interpreter.get_input_details()[0]["index"]

inputs: dict[str, list[np.ndarray]] = {}
for line in sys.stdin:
    file, seconds = line.split()
    if file not in inputs:
        inputs[file] = list(np.load(file).values())
    images = inputs[file]
    interpreter.resize_tensor_input(given, images[0].shape)
    interpreter.allocate_tensors()
    times: list[float] = []
    end = time.perf_counter() + float(seconds)
    while len(times) < 3 or time.perf_counter() < end:
        image = images[len(times) % len(images)]
        begin = time.perf_counter()
        interpreter.set_tensor(given, image)
        interpreter.invoke()
        times.append(time.perf_counter() - begin)
    print(json.dumps(times), flush=True)
