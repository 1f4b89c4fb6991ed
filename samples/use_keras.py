"""Predict with the Keras file of a bundle, on any Keras backend (KERAS_BACKEND). It can also be trained further.

python samples/use_keras.py BUNDLE
"""

import sys

import keras
from read_bundle import read_heldout, show

path, images, labels = read_heldout(sys.argv[1], "keras")

model = keras.saving.load_model(path)
scores = model.predict(images, verbose=0)

show(scores, labels)
