"""Every sample a part at a time, with a model of one product: the one sample that is wrong is judged, and a crash is one row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter import all_samples
from exporter.all_samples import affordable, on_all
from exporter.samples import Samples
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import SCHEMA, Artifact, Bundle, Manifest, ModelSpec, Source, TensorSpec
from runtimes.errors import WorkerCrashed
from runtimes.pool import Cell, Pool
from runtimes.reference import REAL_SAMPLES, Reference, Variant, build, variants
from runtimes.rows import VerifyRow
from runtimes.verdict.parity import judge
from runtimes.verdict.quantized import Limits
from runtimes.verdict.tally import KEPT
from runtimes.verify import FEWEST

X, Y = TensorSpec("x", "float32", (None, 30)), TensorSpec("y", "float32", (None, 4), "NC", "logits")
MODEL = ModelSpec("net", (X,), (Y,))
RANDOM = np.random.default_rng(0)
W = RANDOM.standard_normal((30, 4)).astype(np.float32)
N, WRONG = 3000, 2345
DATA = RANDOM.random((N, 30), dtype=np.float32)
MANIFEST = Manifest(
    SCHEMA,
    "",
    "",
    MODEL,
    Source("keras", "keras", ""),
    tuple(Artifact(name, name, "", 1, (X,), (Y,)) for name in ("onnx", "tflite")),
)
ONNX, TFLITE = (
    Cell(Bundle(Path(), MANIFEST), Path(), name, "fake", "cpu", "cpu") for name in ("onnx", "tflite")
)


class Product(Session):
    inputs, outputs, threads = (X,), (Y,), 1

    def __init__(self, variant: Variant) -> None:
        self.precision = variant.precision

    def run(self, feeds: Feeds) -> dict[str, Array]:
        return {"y": feeds["x"].astype(self.precision) @ W.astype(self.precision)}

    def bind(self, feeds: Feeds) -> Any:
        return lambda: self.run(feeds)


class A:
    """The product, as a basis."""

    def exact(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return Product(Variant(precision="float64")).run(inputs)

    def reference(self, samples: Samples) -> Reference:
        return build(
            Product,
            samples.inputs,
            samples.labels,
            variants(1, False),
            (Y,),
            closest=samples.closest,
        )


class Stream:
    def __len__(self) -> int:
        return N

    def chunks(self, wanted: Array | None = None) -> Iterator[Samples]:
        for at in range(0, N, 1000):
            yield Samples({"x": DATA[at : at + 1000]}, np.full(1000, -1))


def predict(samples: Feeds) -> dict[str, Array]:
    """The product, but for one sample."""
    y = Product(Variant()).run(samples)["y"]
    y[(samples["x"] == DATA[WRONG]).all(axis=1)] += 1.0
    return {"y": y}


def row(cell: Cell) -> VerifyRow:
    return VerifyRow("keras", cell.artifact, "fake", "cpu", "cpu", "passed", max_noise_ratio=1.0)


def judged(
    chosen: list[Cell], reference: Reference, *_: object, **__: object
) -> Iterator[tuple[Cell, VerifyRow, None]]:
    found = judge(predict(reference.inputs)["y"], reference.y64["y"], reference.noise["y"], "logits")
    for cell in chosen:
        yield cell, VerifyRow(*cell.name.split("/"), "passed", max_noise_ratio=found.max_ratio), None


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both files on all samples, where a reference chooses as few as it may of those that it is given."""
    reference = A().reference(Samples({"x": DATA[:200]}, np.full(200, -1)))
    monkeypatch.setattr("runtimes.reference.MAX_BYTES", 1)
    monkeypatch.setattr(all_samples, "judge_cells", judged)
    rows = {cell: row(cell) for cell in (ONNX, TFLITE)}
    with Pool() as pool:
        yield lambda: on_all(Stream(), rows, A(), reference, pool, Limits())


def test_the_one_wrong_sample_is_judged_however_few_a_reference_keeps(
    whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_samples, "answers", lambda cell, samples, pool: predict(samples))
    rows, again = whole()
    assert {found.outcome for found in rows.values()} == {"mismatch"}
    assert any(np.array_equal(x, DATA[WRONG]) for x in again.inputs["x"])
    assert np.sum(again.roles != "sentinel") > KEPT


def test_a_crash_of_one_file_is_its_row(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(cell: Cell, samples: Feeds, pool: Pool) -> dict[str, Array]:
        if cell == TFLITE and (samples["x"] == DATA[WRONG]).any():
            raise WorkerCrashed("killed by signal 11")
        return predict(samples)

    monkeypatch.setattr(all_samples, "answers", answers)
    rows, _ = whole()
    assert (rows[ONNX].outcome, rows[TFLITE].outcome) == ("mismatch", "crashed")
    assert rows[TFLITE].reason == "after 2,000 of 3,000 samples: killed by signal 11"


def test_slow_or_large_samples_are_fewer_but_some() -> None:
    assert affordable(1e-6, 100) == REAL_SAMPLES
    assert affordable(0.5, 100) == 20
    assert affordable(1e-6, 2 << 20) == 16
    assert affordable(1e6, 1 << 40) == FEWEST
