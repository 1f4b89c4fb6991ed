"""LiteRT's own ``litert-benchmark``: ``litert_tool.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes.

It runs one sample of its own making, and gives a mean, most exactly as megabytes of input a second.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

COMMAND = [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", "--warmup_runs=100"]


def mean_s(model: str, threads: str, runs: int, input_bytes: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        options = [f"--model={model}", f"--num_threads={threads}", f"--num_runs={runs}"]
        subprocess.run([*COMMAND, *options, f"--result_json={result}"], capture_output=True, check=True)
        return input_bytes / 2**20 / float(json.loads(result.read_text())["throughput_mb_s"])


for line in sys.stdin:
    file, seconds = line.split()
    size = np.load(file)["0"].nbytes
    runs = int(float(seconds) / mean_s(*sys.argv[1:], 20, size))
    print(json.dumps([mean_s(*sys.argv[1:], max(runs, 20), size)]), flush=True)
