"""Predict with the SavedModel of a bundle: TensorFlow alone, by the signature that TF Serving calls.

python samples/use_savedmodel.py BUNDLE
"""

import sys

import tensorflow as tf
from read_bundle import read_heldout, show

path, images, labels = read_heldout(sys.argv[1], "savedmodel")

model = tf.saved_model.load(path / "1")  # TF Serving's layout: one folder per version
predict = model.signatures["serving_default"]
[name] = predict.structured_input_signature[1]
[scores] = predict(**{name: tf.constant(images)}).values()

show(scores.numpy(), labels)
