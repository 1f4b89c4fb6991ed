"""Predict with the TorchScript of a bundle: PyTorch alone, without the model's code.

python samples/use_torchscript.py BUNDLE
"""

import sys

import torch
from read_bundle import read_heldout, show

path, images, labels = read_heldout(sys.argv[1], "torchscript")

model = torch.jit.load(path).eval()
with torch.inference_mode():
    scores = model(torch.from_numpy(images))

show(scores.numpy(), labels)
