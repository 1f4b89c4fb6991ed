"""``reference.npz`` from a source folder: runs in a child of the source's own framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.sources.folder import HELDOUT, open_source
from runtimes import preprocess
from runtimes.base import Array, Session
from runtimes.errors import UsageError
from runtimes.machine import cores_allowed
from runtimes.reference import Variant, build, save_reference, variants


def write_reference(folder: Path, out: Path) -> None:
    """Run the source in float64 and float32 on its held-out data, and write what an export is judged by."""
    source = open_source(folder)
    spec = source.model.inputs[0]
    images, labels = _heldout(folder)
    real = preprocess.to_layout(preprocess.apply(images, source.model.preprocessing), "NHWC", spec.layout)
    is_torch = source.framework == "torch"

    def open_session(variant: Variant) -> Session:
        if is_torch:
            from exporter.sources.torch_code import TorchSession

            return TorchSession(folder, variant)
        from exporter.sources.keras_file import KerasSession

        return KerasSession(folder, variant)

    runs = variants(cores_allowed(), channels_last=is_torch and len(spec.shape) == 4)
    if not is_torch:  # TensorFlow's threads are fixed once it has computed: its runs differ by batch alone
        runs = tuple(dict.fromkeys(replace(run, threads=cores_allowed()) for run in runs))
    save_reference(out, build(open_session, {spec.name: real}, labels, runs, source.model.outputs))


def _heldout(folder: Path) -> tuple[Array, Array]:
    try:
        with np.load(folder / HELDOUT, allow_pickle=False) as file:
            return file["images"], file["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder / HELDOUT} cannot be read ({error}). Train again.") from None
