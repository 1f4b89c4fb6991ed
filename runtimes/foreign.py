"""A model file that no bundle describes: opened in a runtime that is here, and described beside a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from runtimes import session_child
from runtimes.answers import run_all
from runtimes.base import Array, Feeds, SessionOptions, for_format, runtime
from runtimes.batches import fixed_batch
from runtimes.bundle import Artifact, ModelSpec, TensorSpec
from runtimes.client import Worker
from runtimes.errors import UnavailableError
from runtimes.files import digest, size_of
from runtimes.formats import recognise
from runtimes.matching import Match, match
from runtimes.pool import Cell, Pool, environment
from runtimes.verdict.verdicts import feeds, source_outputs

# Where channels are in each format's images; an ONNX file may have them anywhere.
USUAL_LAYOUT = {
    "tflite": "NHWC",
    "tfjs": "NHWC",
    "keras": "NHWC",
    "savedmodel": "NHWC",
    "torchscript": "NCHW",
}
# Samples that a file is run on to see what comes out.
PROBE = 2


class ForeignFile:
    """A file in the first runtime here that reads its format, on the CPU, in a child that ends with the block.

    Raises UsageError when it is missing, NotAModelError for what cannot be read, UnavailableError without a runtime.
    """

    def __init__(self, path: Path, runtimes: Sequence[str] = ()) -> None:
        self.format = recognise(path)
        self.path = (path.parent if path.name == "model.json" else path).resolve()
        self.runtime, self.worker = _ready(self.format, runtimes)
        self._given = False
        try:
            # In this order: TensorFlow's threads are set before its first use.
            self.opened = self.worker.call(
                session_child.open_session, self.runtime, self.path, "cpu", SessionOptions()
            )
            self.inspection = self.worker.call(session_child.inspect, self.runtime, self.path)
        except BaseException:
            self.worker.close()
            raise

    @property
    def usual_layout(self) -> str:
        """That of images in its format, or "" when there is none."""
        return USUAL_LAYOUT.get(self.format, "")

    def run(self, given: Feeds, batch: int | None = None) -> dict[str, Array]:
        """Outputs for all samples, ``batch`` at a time; None is all at once. A file of one batch size gets that."""
        size = batch or len(next(iter(given.values())))
        return run_all(self.worker, given, [size], fixed_batch(self.opened.inputs))

    def answers(
        self, samples: Feeds, model: ModelSpec, artifact: Artifact, batch: int | None = None
    ) -> dict[str, Array]:
        """Outputs in the names and layouts of ``model``, from samples that are so too; ``batch`` as in ``run``."""
        return source_outputs(self.run(feeds(samples, model, artifact), batch), model, artifact)

    def artifact(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Artifact:
        """Its line in a manifest, with its tensors in the order of the model's."""
        return Artifact(
            format=self.format,
            path=str(self.path),
            sha256=digest(self.path),
            size_bytes=size_of(self.path),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            quantized=self.inspection.quantized,
        )

    def match_inputs(self, model: ModelSpec, layout: str, alike: bool) -> Match:
        """Which of its inputs is which of the model's."""
        return match("input", model.inputs, self.inspection.inputs, layout, self.usual_layout, alike)

    def match_outputs(
        self, model: ModelSpec, inputs: Match, samples: Mapping[str, Array], layout: str, alike: bool
    ) -> Match:
        """Which of its outputs is which of the model's, by what it gives for a few samples."""
        few = {name: array[:PROBE] for name, array in samples.items()}
        given = feeds(few, replace(model, inputs=inputs.model), self.artifact(inputs.file, ()))
        found = self.run(given)
        specs = [spec for spec in self.inspection.outputs if spec.name in found]
        actual = [replace(spec, shape=(None, *found[spec.name].shape[1:])) for spec in specs]
        matched = match("output", model.outputs, actual, layout, self.usual_layout, alike)
        own = {spec.name: spec.shape for spec in specs}
        return replace(matched, file=tuple(replace(spec, shape=own[spec.name]) for spec in matched.file))

    def give_to(self, pool: Pool, chosen: Sequence[Cell]) -> None:
        """Let the pool go on with the child, if one of the ``chosen`` cells is what it runs: a framework loads slowly."""
        backend = runtime(self.runtime).DEVICES["cpu"][0]
        mine = [
            cell
            for cell in chosen
            if (cell.runtime, cell.device, cell.backend) == (self.runtime, "cpu", backend)
        ]
        if mine:
            pool.adopt(mine[0], self.worker)
            self._given = True

    def close(self) -> None:
        """End its child, unless it was given away."""
        if not self._given:
            self.worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def _ready(format: str, runtimes: Sequence[str]) -> tuple[str, Worker]:
    """A runtime of this format that works here, in its child. Raises UnavailableError with the reasons of all."""
    reasons = []
    for name in for_format(format):
        if name not in runtimes if runtimes else runtime(name).IN_BROWSER:
            continue
        worker = Worker(environment(name, "cpu"))
        reason = worker.call(session_child.check, name, "cpu")
        if reason is None:
            return name, worker
        worker.close()
        reasons.append(reason)
    raise UnavailableError(" ".join(reasons) or f"no runtime of {', '.join(runtimes)} reads {format}.")
