"""A plain loop in PyTorch: ``torchscript_loop.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes."""

import json
import sys
import time

import numpy as np
import torch

torch.set_num_threads(int(sys.argv[2]))
module = torch.jit.load(sys.argv[1])

inputs: dict[str, list[torch.Tensor]] = {}
for line in sys.stdin:
    file, seconds = line.split()
    if file not in inputs:
        inputs[file] = [torch.from_numpy(image) for image in np.load(file).values()]
    images = inputs[file]
    times: list[float] = []
    end = time.perf_counter() + float(seconds)
    with torch.inference_mode():
        while len(times) < 3 or time.perf_counter() < end:
            image = images[len(times) % len(images)]
            begin = time.perf_counter()
            module(image)
            times.append(time.perf_counter() - begin)
    print(json.dumps(times), flush=True)
