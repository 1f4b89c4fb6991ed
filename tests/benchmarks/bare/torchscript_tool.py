"""PyTorch's own timer: ``torchscript_tool.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes."""

import json
import sys

import numpy as np
import torch
from torch.utils.benchmark import Timer

torch.set_num_threads(int(sys.argv[2]))
module = torch.jit.load(sys.argv[1])

for line in sys.stdin:
    file, seconds = line.split()
    names = {"module": module, "image": torch.from_numpy(np.load(file)["0"])}
    with torch.inference_mode():
        timer = Timer("module(image)", globals=names, num_threads=int(sys.argv[2]))
        times = timer.blocked_autorange(min_run_time=float(seconds)).times
    print(json.dumps(times), flush=True)
