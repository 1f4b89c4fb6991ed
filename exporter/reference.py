"""``reference.npz`` from a source folder: runs in a child of the source's own framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.samples import read_samples
from exporter.source_folder import open_source
from runtimes.machine import cores_allowed
from runtimes.reference import build, save_reference, variants


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
    )
    save_reference(out, reference)
