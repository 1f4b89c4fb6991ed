"""Read a bundle with numpy alone: its artifacts, and its held-out samples in the layout that an artifact takes.

    python samples/read_bundle.py BUNDLE                     the artifacts, with their inputs and outputs
    python samples/read_bundle.py BUNDLE tfjs heldout.json   the held-out samples for one format, as JSON

The use_*.py samples import the functions below; use_tfjs.mjs reads the JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np


def read_heldout(bundle, format):
    """``(path of the artifact, images as it takes them, labels)``."""
    bundle = Path(bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    artifact = next(a for a in manifest["artifacts"] if a["format"] == format)
    source, wanted = manifest["model"]["inputs"][0], artifact["inputs"][0]
    with np.load(bundle / "reference.npz") as reference:
        images, labels = reference[f"held:{source['name']}"], reference["label"]
    # The samples lie as the source takes them: NCHW from PyTorch, NHWC from Keras.
    axes = [source["layout"].index(axis) for axis in wanted["layout"]]
    return bundle / artifact["path"], np.ascontiguousarray(images.transpose(axes)), labels


def show(scores, labels):
    """Print the predicted classes of the first ten samples beside their labels, and the accuracy on all.

    ``scores`` are logits or probabilities, (samples, classes): the largest is the same in both.
    """
    classes = scores.argmax(axis=1)
    print("predicted", *classes[:10])
    print("label    ", *labels[:10])
    print(f"accuracy {(classes == labels).mean():.4f} on {len(labels)} samples")


def main(bundle, format=None, out=None):
    if format:
        _, images, labels = read_heldout(bundle, format)
        content = {"shape": images.shape, "images": images.ravel().tolist(), "labels": labels.tolist()}
        Path(out).write_text(json.dumps(content))
        return
    manifest = json.loads((Path(bundle) / "manifest.json").read_text())
    print(f"{manifest['model']['name']}, trained in {manifest['source']['framework']}")
    for artifact in manifest["artifacts"]:
        tensors = [
            f"{t['name']} {t['layout']} {t['shape']}" for t in artifact["inputs"] + artifact["outputs"]
        ]
        size = f"{artifact['size_bytes']:,} bytes"
        print(f"{artifact['format']:12} {artifact['path']:18} {size:>17}  {' -> '.join(tensors)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
