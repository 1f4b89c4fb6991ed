"""The section on the sources: how each was trained, side by side, and the curves of its epochs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from runtimes.bundle import TensorSpec
from runtimes.report import units
from runtimes.report.blocks import Block, Column, Table
from runtimes.report.charts import Curves, Plot, Series, plot
from runtimes.report.inputs import BundleInputs, Epoch, History, Inputs

TITLES = {"torch": "PyTorch", "keras": "Keras", "onnx": "ONNX", "savedmodel": "SavedModel"}
# Kinds of sources, in words; another is shown as the manifest spells it.
KINDS = {
    "torch_code": "PyTorch code",
    "torchscript": "a TorchScript file",
    "exported_program": "an exported program (.pt2)",
    "huggingface": "a Hugging Face folder",
    "keras_file": "a Keras file",
    "saved_model": "a SavedModel",
    "onnx_file": "an ONNX file",
}
EPOCHS_LISTED = 12


def title(inputs: Inputs) -> str:
    """The section's title."""
    names = [_title(bundle) for bundle in inputs.bundles]
    return f"{units.join(names)}, side by side" if len(names) > 1 else f"The source: {names[0]}"


def blocks(inputs: Inputs) -> Iterator[Block]:
    """Sources as columns; then curves and epochs of those with a history."""
    trained = any(bundle.history is not None for bundle in inputs.bundles)
    described = [
        _described(bundle) | (_trained(bundle.history) if trained else {}) for bundle in inputs.bundles
    ]
    columns = (Column("", "head"), *(Column(_title(bundle)) for bundle in inputs.bundles))
    rows = tuple((what, *(one[what] for one in described)) for what in described[0])
    yield Table("The same job in each source" if len(described) > 1 else "The model", columns, rows)
    plots = tuple(filter(None, (_losses(inputs), _accuracies(inputs))))
    if plots:
        yield Curves(plots)
    if epochs := _epochs(inputs):
        yield epochs


def _title(bundle: BundleInputs) -> str:
    return TITLES.get(bundle.label, bundle.label)


def _described(bundle: BundleInputs) -> dict[str, str]:
    model, source = bundle.manifest.model, bundle.manifest.source
    history = bundle.history or History()
    parameters = source.parameters if history.parameters is None else history.parameters
    return {
        "model": model.name,
        "input": "; ".join(_tensor(spec) for spec in model.inputs) or "not recorded",
        "output": "; ".join(_tensor(spec) for spec in model.outputs) or "not recorded",
        "parameters": units.count(parameters),
        "brought as": "trained by fwexport" if bundle.history else KINDS.get(source.kind, source.kind),
    }


def _trained(history: History | None) -> dict[str, str]:
    """How it was trained, or that fwexport does not know."""
    if history is None:
        return dict.fromkeys(_trained(History()), "not trained by fwexport")
    times = [epoch.seconds for epoch in history.epochs if epoch.seconds is not None]
    data = history.data or units.NONE
    counts = f"{units.count(history.train_samples)} to train, {units.count(history.heldout_samples)} held out"
    each = (
        f"{units.seconds(statistics.median(times))} (first {units.seconds(times[0])})"
        if times
        else units.NONE
    )
    device = " on ".join(filter(None, (history.backend, history.device))) or units.NONE
    return {
        "held-out accuracy": units.percent(history.final_accuracy),
        "final loss": units.significant(history.final_loss),
        "epochs": units.count(len(history.epochs)),
        "seconds per epoch, median": each,
        "training samples/s": units.rate(history.samples_per_s),
        "device": device + (", mixed precision" if history.amp else ""),
        "data": data if data == units.NONE else f"{data}: {counts}",
        "batch and seed": f"{units.count(history.batch_size)}, {history.seed if history.seed is not None else units.NONE}",
    }


def _tensor(spec: TensorSpec) -> str:
    shape = " × ".join("n" if size is None else str(size) for size in spec.shape)
    kind = "" if spec.kind == "tensor" else spec.kind
    layout = spec.layout if len(spec.layout) > 2 else ""
    return " ".join(filter(None, (kind, shape, layout, spec.dtype)))


def _losses(inputs: Inputs) -> Plot | None:
    curves, said = [], []
    for series, (bundle, epochs) in enumerate(_histories(inputs)):
        points = [(i, epoch.loss) for i, epoch in enumerate(epochs, start=1) if epoch.loss is not None]
        if points:
            first, last = units.significant(points[0][1]), units.significant(points[-1][1])
            curves.append(Series(_title(bundle), series, tuple(points), last))
            said.append(f"{_title(bundle)} from {first} to {last}")
    return plot("Mean training loss by epoch", f"{units.join(said)} in {_span(inputs)}.", curves)


def _accuracies(inputs: Inputs) -> Plot | None:
    curves, said = [], []
    for series, (bundle, epochs) in enumerate(_histories(inputs)):
        points = [
            (i, epoch.accuracy) for i, epoch in enumerate(epochs, start=1) if epoch.accuracy is not None
        ]
        if points:
            first, last = units.percent(points[0][1]), units.percent(points[-1][1])
            curves.append(Series(_title(bundle), series, tuple(points), last))
            said.append(f"{_title(bundle)} from {first} to {last}")
    return plot("Held-out accuracy by epoch", f"{units.join(said)} in {_span(inputs)}.", curves, percent=True)


def _span(inputs: Inputs) -> str:
    longest = max(len(epochs) for _, epochs in _histories(inputs))
    return "1 epoch" if longest == 1 else f"{longest} epochs"


def _histories(inputs: Inputs) -> list[tuple[BundleInputs, tuple[Epoch, ...]]]:
    return [(bundle, bundle.history.epochs if bundle.history else ()) for bundle in inputs.bundles]


def _epochs(inputs: Inputs) -> Table | None:
    """Loss, accuracy and seconds of each epoch; of a long training evenly spaced ones and the last."""
    trained = [(bundle, epochs) for bundle, epochs in _histories(inputs) if epochs]
    total = max((len(epochs) for _, epochs in trained), default=0)
    if not total:
        return None
    every = -(-total // EPOCHS_LISTED)
    listed = sorted({*range(every - 1, total, every), total - 1})
    columns = [Column("epoch", "head")]
    for bundle, _ in trained:
        columns += [Column(f"{_title(bundle)} {what}", "number") for what in ("loss", "accuracy", "time")]
    caption = "Epoch by epoch" if every == 1 else f"Every epoch whose number {every} divides, and the last"
    rows = (
        (
            str(i + 1),
            *(cell for _, epochs in trained for cell in _epoch(epochs[i] if i < len(epochs) else None)),
        )
        for i in listed
    )
    return Table(caption, tuple(columns), tuple(rows))


def _epoch(epoch: Epoch | None) -> tuple[str, str, str]:
    found = epoch or Epoch()
    return units.significant(found.loss), units.percent(found.accuracy), units.seconds(found.seconds)
