"""Predict with the TF Lite file of a bundle: LiteRT alone, the runtime of phones and small boards.

python samples/use_tflite.py BUNDLE
"""

import sys

from ai_edge_litert.interpreter import Interpreter
from read_bundle import read_heldout, show

path, images, labels = read_heldout(sys.argv[1], "tflite")

predict = Interpreter(str(path)).get_signature_runner("serving_default")
[name] = predict.get_input_details()
[scores] = predict(**{name: images}).values()

show(scores, labels)
