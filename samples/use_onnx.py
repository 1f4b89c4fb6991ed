"""Predict with the ONNX file of a bundle: ONNX Runtime alone.

python samples/use_onnx.py BUNDLE
"""

import sys

import onnxruntime
from read_bundle import read_heldout, show

path, images, labels = read_heldout(sys.argv[1], "onnx")

session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
[scores] = session.run(None, {name: images})

show(scores, labels)
