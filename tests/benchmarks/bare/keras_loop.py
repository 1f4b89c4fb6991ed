"""A plain loop in Keras: ``keras_loop.py MODEL THREADS``. ``../fidelity.py`` says what it reads and writes.

The model is compiled, as ``predict`` does it; called as it is, it would run layer by layer and take several times as long.
"""

import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[2]))
tf.config.threading.set_inter_op_parallelism_threads(1)
model = keras.saving.load_model(sys.argv[1], compile=False)
predict = tf.function(model, reduce_retracing=True)

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
        predict(image, training=False).numpy()
        times.append(time.perf_counter() - begin)
    print(json.dumps(times), flush=True)
