"""The timing of ONNX Runtime's benchmark scripts: ``onnxruntime_tool.py MODEL THREADS``.

``../fidelity.py`` says what it reads and writes. The script gives a mean, most exactly as runs per second.
"""

import json
import sys
import time

import numpy as np
import onnxruntime
from onnxruntime.transformers.benchmark_helper import inference_ort

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name

for line in sys.stdin:
    file, seconds = line.split()
    feeds = {name: np.load(file)["0"]}
    begin = time.perf_counter()
    session.run(None, feeds)
    runs = max(3, int(float(seconds) / (time.perf_counter() - begin)))
    found = inference_ort(session, feeds, {}, repeat_times=runs, batch_size=1)
    print(json.dumps([1 / float(found["QPS"])]), flush=True)
