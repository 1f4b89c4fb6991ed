"""Does each artifact predict what its source predicted? Replay this folder's samples: numpy and one runtime are enough.

    python golden/replay.py                    every artifact of the bundle, each in a process of its own
    python golden/replay.py model.tflite       one: its name in golden.json, its file or a copy elsewhere

The rule is in golden.json, in words. One line for each artifact: passed, mismatch, failed (it cannot be run) or
unavailable (its runtime is not here). The exit code is 0 when all that could be run passed, 1 when one did not, 2 when
there is no such artifact, 5 when a runtime crashed, 6 when one that was named, or every one, is unavailable.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent

# What opens an artifact gives what runs it: inputs by name in, outputs in the order of golden.json out.
Run = Callable[[dict[str, Any]], list[Any]]


def open_onnx(path: Path, outputs: list[str]) -> Run:
    """ONNX Runtime on the CPU, without its telemetry."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda feeds: list(session.run(outputs, feeds))


def open_tflite(path: Path, outputs: list[str]) -> Run:
    """LiteRT, or one of the packages that had this interpreter before it."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            from tensorflow.lite.python.interpreter import Interpreter

    predict = Interpreter(str(path)).get_signature_runner()
    return lambda feeds: [found[name] for found in [predict(**feeds)] for name in outputs]


def open_torchscript(path: Path, outputs: list[str]) -> Run:
    """PyTorch on the CPU."""
    import torch

    model = torch.jit.load(str(path), map_location="cpu").eval()

    def run(feeds: dict[str, Any]) -> list[Any]:
        with torch.inference_mode():
            found = model(*map(torch.from_numpy, feeds.values()))
        return [tensor.numpy() for tensor in (found if isinstance(found, (tuple, list)) else [found])]

    return run


def open_savedmodel(path: Path, outputs: list[str]) -> Run:
    """TensorFlow, by the signature that serving calls."""
    import tensorflow as tf

    versions = sorted((p for p in path.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    model = tf.saved_model.load(str(versions[-1] if versions else path))

    def run(feeds: dict[str, Any]) -> list[Any]:
        found = model.signatures["serving_default"](**{name: tf.constant(x) for name, x in feeds.items()})
        return [found[name].numpy() for name in outputs]

    return run


def open_keras(path: Path, outputs: list[str]) -> Run:
    """Keras on the backend that KERAS_BACKEND names."""
    import keras

    model = keras.saving.load_model(path, compile=False)

    def run(feeds: dict[str, Any]) -> list[Any]:
        inputs = list(feeds.values())
        found = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
        return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(found)]

    return run


RUNTIMES = {
    "keras": (open_keras, "pip install keras tensorflow"),
    "onnx": (open_onnx, "pip install onnxruntime"),
    "savedmodel": (open_savedmodel, "pip install tensorflow"),
    "tflite": (open_tflite, "pip install ai-edge-litert"),
    "torchscript": (open_torchscript, "pip install torch"),
}


def read(tensor: dict[str, Any]) -> Any:
    """The numbers of a tensor, (samples, ...)."""
    numbers = np.fromfile(HERE / tensor["file"], np.dtype(tensor["dtype"]).newbyteorder("<"))
    return numbers.reshape(tensor["shape"])


def distances(got: Any, want: Any, compare: str) -> Any:
    """How far each sample's output is from the expected one, (samples,)."""
    got, want = (array.reshape(len(array), -1).astype(np.float64) for array in (got, want))
    wrong = ~np.isfinite(got).all(axis=1)
    with np.errstate(all="ignore"):
        if compare == "log":
            seen = want >= 1e-30
            wrong |= (~seen & (got >= 1e-20)).any(axis=1)
            got, want = (np.log(np.where(seen, array, 1.0)) for array in (got, want))
        e = np.linalg.norm(got - want, axis=1)
    return np.where(wrong | np.isnan(e), np.inf, e)


def replay(golden: dict[str, Any], artifact: dict[str, Any], run: Run) -> tuple[bool, str]:
    """Whether the artifact passed, and the figures in words."""
    inputs = {tensor["name"]: read(tensor) for tensor in artifact["inputs"]}
    copies, samples = artifact["batch"] or 1, range(len(golden["samples"]))
    answers = [run({name: x[[i] * copies] for name, x in inputs.items()}) for i in samples]
    passed, words = True, []
    for position, output in enumerate(golden["outputs"]):
        got = np.concatenate([np.asarray(answer[position])[:1] for answer in answers])
        want = read(artifact["outputs"][position])
        if got.shape != want.shape:
            return False, f"{output['name']} has shape {got.shape}, and {want.shape} was expected"
        e, noise = distances(got, want, output["compare"]), np.array(output["noise"])
        ratio = np.divide(e, noise, out=np.where(e > 0, np.inf, 0.0), where=noise > 0)
        most, median, limit = ratio.max(), np.median(ratio), golden["median_limit"] or golden["limit"]
        passed &= bool((e <= output["allowed"]).all() and median <= limit)
        words.append(f"{output['name']} {most:.3g} times the noise away (limit {golden['limit']:g}), ")
        words[-1] += f"sample {ratio.argmax()}; median {median:.3g} (limit {limit:g})"
    return passed, "; ".join(words)


def report(golden: dict[str, Any], artifact: dict[str, Any], path: Path) -> int:
    """Replay one artifact and print its line; the exit code for it alone."""
    opener, install = RUNTIMES.get(artifact["format"], (None, "node golden/replay.mjs runs it"))
    try:
        if opener is None:
            raise ImportError("no runtime in Python")
        run = opener(path, [tensor["name"] for tensor in artifact["outputs"]])
        passed, why = replay(golden, artifact, run)
        code, word = (0, "passed") if passed else (1, "mismatch")
    except ImportError as error:
        code, word, why = 6, "unavailable", f"{error}: {install}"
    except Exception as error:
        code, word, why = 1, "failed", f"{type(error).__name__}: {error}"
    print(f"{artifact['name']:14} {word:12} {why}", flush=True)
    return code


def chosen(artifacts: list[dict[str, Any]], given: Path) -> dict[str, Any] | None:
    """The artifact of this name, else the one of this file name, else the first with its ending; None where none is."""
    paths = [Path(artifact["path"]) for artifact in artifacts]
    by_name = [artifact["name"] == str(given) for artifact in artifacts]
    by_file = [path.name == given.name for path in paths]
    by_ending = [path.suffix == given.suffix != "" for path in paths]
    for fits in (by_name, by_file, by_ending):
        if True in fits:
            return artifacts[fits.index(True)]
    return None


def main(arguments: list[str]) -> int:
    """Replay what was asked for; the exit code."""
    golden = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
    if len(arguments) == 1:
        given = Path(arguments[0])
        artifact = chosen(golden["artifacts"], given)
        if artifact is not None:
            return report(golden, artifact, given if given.exists() else HERE.parent / artifact["path"])
        print(
            f"{given} is none of {', '.join(artifact['path'] for artifact in golden['artifacts'])}",
            file=sys.stderr,
        )
        return 2
    codes = set()
    for argument in arguments or [artifact["name"] for artifact in golden["artifacts"]]:
        done = subprocess.run([sys.executable, __file__, argument], stderr=subprocess.PIPE)
        if done.returncode not in (0, 1, 6):
            sys.stderr.buffer.write(done.stderr)
        codes.add(done.returncode if done.returncode in (0, 1, 2, 6) else 5)
    if not arguments and codes != {6}:
        codes.discard(6)
    return next(code for code in (2, 5, 1, 6, 0) if code in codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
