"""The basic tensor operations side by side in PyTorch and TensorFlow, every result compared.

    python samples/tensor_operations.py

The two frameworks do not always get along in one process, so each half runs in a child: this file again, with the
name of the framework and the .npz file to write. Exits with 1 when a result differs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def in_torch():
    import torch

    a = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
    b = torch.tensor([[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]])
    gpu = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = a.to(gpu)
    return there.device.type, {
        "create": a,
        "zeros": torch.zeros(2, 3),
        "range": torch.arange(6),
        "matmul": a @ b,
        "multiply": a * a,
        "relu": torch.relu(a),
        "exp": torch.exp(a / 10),
        "add": a + 10,
        "add, broadcast": a + torch.tensor([1.0, 2.0, 3.0]),
        "transpose": a.T,
        "reshape": a.reshape(3, 2),
        "sum of rows": a.sum(dim=1),
        "argmax": a.argmax(dim=1),
        "cast": a.to(torch.int32),
        "GPU and back": there.cpu(),
        "shape": list(a.shape),
        "dtype": str(a.dtype).removeprefix("torch."),
    }


def in_tensorflow():
    import tensorflow as tf

    a = tf.constant([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
    b = tf.constant([[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]])
    gpu = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
    with tf.device(gpu):
        there = tf.identity(a)
    with tf.device("CPU:0"):
        back = tf.identity(there)
    return "cuda" if "GPU" in there.device else "cpu", {
        "create": a,
        "zeros": tf.zeros((2, 3)),
        "range": tf.range(6, dtype=tf.int64),
        "matmul": a @ b,
        "multiply": a * a,
        "relu": tf.nn.relu(a),
        "exp": tf.exp(a / 10),
        "add": a + 10,
        "add, broadcast": a + tf.constant([1.0, 2.0, 3.0]),
        "transpose": tf.transpose(a),
        "reshape": tf.reshape(a, (3, 2)),
        "sum of rows": tf.reduce_sum(a, axis=1),
        "argmax": tf.argmax(a, axis=1),
        "cast": tf.cast(a, tf.int32),
        "GPU and back": back,
        "shape": a.shape.as_list(),
        "dtype": a.dtype.name,
    }


HALVES = {"torch": in_torch, "tensorflow": in_tensorflow}


def run_half(framework, out):
    device, results = HALVES[framework]()
    np.savez(out, device=device, **results)


def compare():
    with tempfile.TemporaryDirectory() as folder:
        halves = []
        for framework in HALVES:
            out = Path(folder, f"{framework}.npz")
            subprocess.run([sys.executable, __file__, framework, out], check=True)
            with np.load(out) as half:
                halves.append(dict(half))
    torch, tensorflow = halves
    for framework, half in zip(HALVES, halves, strict=True):
        found = half.pop("device")
        print(
            f"{framework}: {'a GPU is here' if found == 'cuda' else 'no GPU here, so the tensor stayed on the CPU'}"
        )
    print(f"\n{'operation':16}{'shape':10}{'dtype':10}{'torch':36}{'TensorFlow':36}same")
    same = [print_row(name, torch[name], tensorflow[name]) for name in torch]
    return all(same)


def print_row(name, torch, tensorflow):
    same = torch.dtype == tensorflow.dtype and torch.shape == tensorflow.shape
    if torch.dtype == np.float32:  # exp may differ in the last bit
        same = same and np.allclose(torch, tensorflow, rtol=1e-6, atol=0)
    else:
        same = same and np.array_equal(torch, tensorflow)
    left, right = (np.array2string(x, precision=2).replace("\n", "") for x in (torch, tensorflow))
    dtype = "str" if torch.dtype.kind == "U" else torch.dtype.name
    print(f"{name:16}{torch.shape!s:10}{dtype:10}{left:36}{right:36}{'yes' if same else 'NO'}")
    return same


if __name__ == "__main__":
    if sys.argv[1:]:
        run_half(*sys.argv[1:])
    else:
        sys.exit(0 if compare() else 1)
