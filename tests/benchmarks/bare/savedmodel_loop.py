"""A plain loop in TensorFlow: ``savedmodel_loop.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes."""

import json
import sys
import time

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[2]))
tf.config.threading.set_inter_op_parallelism_threads(1)
model = tf.saved_model.load(sys.argv[1] + "/1")
predict = model.signatures["serving_default"]
[given] = predict.structured_input_signature[1]
[result] = predict.structured_outputs

inputs: dict[str, list[tf.Tensor]] = {}
for line in sys.stdin:
    file, seconds = line.split()
    if file not in inputs:
        inputs[file] = [tf.constant(image) for image in np.load(file).values()]
    images = inputs[file]
    times: list[float] = []
    end = time.perf_counter() + float(seconds)
    while len(times) < 3 or time.perf_counter() < end:
        image = images[len(times) % len(images)]
        begin = time.perf_counter()
        predict(**{given: image})[result].numpy()
        times.append(time.perf_counter() - begin)
    print(json.dumps(times), flush=True)
