"""``reference.npz`` from a source folder: runs in a child of the source's own framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.samples import read_samples
from exporter.source_folder import open_source
from runtimes.base import Array, Session
from runtimes.batches import run_in_batches
from runtimes.errors import ConversionError, UnavailableError
from runtimes.machine import cores_allowed
from runtimes.reference import FLOAT64, Variant, build, save_reference, variants

LARGE_BATCH = 64


def write_reference(folder: Path, out: Path) -> None:
    """Run the source in float64 and float32 on its samples, and write what an export is judged by."""
    source = open_source(folder)
    samples = read_samples(folder)
    is_torch = source.framework == "torch"
    runs = variants(cores_allowed(), channels_last=is_torch and len(source.model.inputs[0].shape) == 4)
    if source.loader.PROCESS == "tensorflow":
        # TensorFlow's threads are fixed once it has computed: its runs differ by batch alone.
        runs = tuple(dict.fromkeys(replace(run, threads=cores_allowed()) for run in runs))

    reference = build(
        lambda variant: source.loader.open_session(folder, variant),
        samples.inputs,
        samples.labels,
        runs,
        source.model.outputs,
        generated=samples.generated,
        notes=source.notes,
        closest=samples.closest,
    )
    save_reference(out, reference)


def exact_outputs(folder: Path, inputs: dict[str, Array]) -> dict[str, Array]:
    """The source in float64 on these samples, or in float32 where it has no float64.

    The session stays open for the next call; that of another folder is dropped.
    """
    if folder not in _open:
        _open.clear()
        loader = open_source(folder).loader
        try:
            _open[folder] = loader.open_session(folder, FLOAT64)
        except (UnavailableError, ConversionError):
            _open[folder] = loader.open_session(folder, Variant())
    return run_in_batches(_open[folder], inputs, LARGE_BATCH)


_open: dict[Path, Session] = {}
