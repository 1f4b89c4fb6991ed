"""The zoo: every model from its source to the verdict on every artifact, as a table. ``make zoo`` runs it.

    python tests/zoo/run.py                      all models
    python tests/zoo/run.py swin hf_             those of this name, or whose names contain this
    python tests/zoo/run.py --resume             those that zoo.json does not have yet

It exits with 1 when a row has neither passed nor a reason in ``explained.py``, or has both, and when a TF Lite file has
more Transpose operators than are known there.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from exporter import samples
from exporter.bring import bring
from exporter.build import build
from exporter.console import stderr, stdout
from exporter.converters import Converters
from exporter.source_kind import Given
from runtimes.base import runtime
from runtimes.bundle import Bundle, Manifest, TensorSpec, open_bundle
from runtimes.errors import FwexportError
from runtimes.machine import versions_of
from runtimes.pool import Pool
from runtimes.verify import VerifyOptions, verify
from tests.zoo import child, huggingface
from tests.zoo.explained import EXPLAINED, TRANSPOSES
from tests.zoo.registry import MODELS, Model
from tests.zoo.rows import (
    COLUMNS,
    Row,
    Tried,
    complaints,
    load,
    rows,
    save,
    summary,
    table,
    too_many_transposes,
)

# The libraries whose versions the figures belong to.
DISTRIBUTIONS = (
    "torch", "transformers", "tensorflow", "tensorflow-cpu", "keras", "onnx", "onnxscript", "tf2onnx", "onnxruntime", "ai-edge-litert",
)  # fmt: skip
SAMPLES = 12
RESULTS = "zoo.json"
# Characters of a complaint that are printed; zoo.json has the whole.
LONGEST = 500


class Zoo:
    """The children that all models share, and the folder that they are built in."""

    def __init__(self, folder: Path, converters: Converters, pool: Pool) -> None:
        self.folder = folder
        self.converters = converters
        self.pool = pool

    def run(self, model: Model, formats: Sequence[str] = ()) -> Tried:
        """Build and verify one model. A source that cannot even be brought fails in every column."""
        place = self.folder / model.name
        shutil.rmtree(place, ignore_errors=True)
        begin = time.perf_counter()
        try:
            source = self._bring(model, place)
            manifest = build(source, place / "bundle", formats, self.converters)
            built = time.perf_counter()
            found = verify(place / "bundle", VerifyOptions(), self.pool)
        except FwexportError as error:
            return Tried(model.name, tuple(Row(model.name, one, "failed", str(error)) for one in COLUMNS))
        finally:
            self.pool.next_bundle()
        return Tried(
            model.name,
            rows(model.name, found.rows, manifest.failures),
            built - begin,
            time.perf_counter() - built,
            transposes(place / "bundle", manifest),
        )

    def built(self, model: Model) -> Bundle:
        """The bundle of one model, to be judged elsewhere."""
        place = self.folder / model.name
        shutil.rmtree(place, ignore_errors=True)
        build(self._bring(model, place), place / "bundle", (), self.converters)
        return open_bundle(place / "bundle")

    def _bring(self, model: Model, place: Path) -> Path:
        """The source folder of the model, its weights drawn, with a few generated samples."""
        place.mkdir(parents=True)
        if model.framework == "torch":
            weights = place / "weights.pt"
            self.converters.get("torch").call(child.make_torch, model, weights)
            inputs = (TensorSpec("", "", (None, *model.shape)),)
            given = Given(model.code, model.name, weights, inputs=inputs, preprocessing=model.preprocessing)
        elif model.framework == "huggingface":
            folder = place / "model"
            self.converters.get("torch").call(huggingface.make, model, folder)
            given = Given(str(folder), model.name)
        else:
            file = place / "model.keras"
            self.converters.get("tensorflow").call(child.make_keras, model, file)
            given = Given(str(file), model.name, preprocessing=model.preprocessing)
        source = bring(given, None, place / "source", self.converters)
        made = samples.generated(source.model)
        few = {name: array[:SAMPLES] for name, array in made.inputs.items()}
        samples.write_samples(place / "source", replace(made, inputs=few, labels=made.labels[:SAMPLES]))
        return place / "source"


def transposes(bundle: Path, manifest: Manifest) -> int | None:
    """How many Transpose operators are left in the TF Lite file."""
    artifact = manifest.artifact("tflite")
    if artifact is None:
        return None
    return runtime("litert").inspect(bundle / artifact.path).ops.get("TRANSPOSE", 0)


@contextmanager
def opened(folder: Path) -> Iterator[Zoo]:
    """The zoo, with its children; they end with the block."""
    with Converters() as converters, Pool() as pool:
        yield Zoo(folder, converters, pool)


def chosen(words: Sequence[str]) -> list[Model]:
    """The models that the words name, or whose names contain them in any case; all when there is no word."""
    if not words:
        return list(MODELS.values())
    names: set[str] = set()
    for word in words:
        found = {word} & set(MODELS) or {name for name in MODELS if word.lower() in name.lower()}
        if not found:
            sys.exit(f"no model's name contains {word!r}. The models are: {', '.join(MODELS)}.")
        names |= found
    return [model for model in MODELS.values() if model.name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was chosen, print the table and what is wrong with it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only the model of this name, or those whose names contain it",
    )
    parser.add_argument("--resume", action="store_true", help=f"keep the models that {RESULTS} has")
    parser.add_argument("--keep", action="store_true", help="keep the bundles, of some gigabytes")
    parser.add_argument("-o", dest="out", type=Path, default=Path("build/zoo"), help="where (build/zoo)")
    options = parser.parse_args(arguments)
    models = chosen(options.words)
    options.out.mkdir(parents=True, exist_ok=True)
    known = load(options.out / RESULTS)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    versions = versions_of(*DISTRIBUTIONS)
    with opened(options.out) as zoo:
        for number, model in enumerate(models, 1):
            if options.resume and model.name in known:
                continue
            tried = known[model.name] = zoo.run(model)
            in_order = [known[name] for name in MODELS if name in known]
            save(options.out / RESULTS, created, versions, in_order)
            stderr.print(f"{number}/{len(models)} {_line(tried)}", markup=False)
            if not options.keep:
                shutil.rmtree(options.out / model.name, ignore_errors=True)
    shown = [known[model.name] for model in models]
    wrong = complaints((row for one in shown for row in one.rows), EXPLAINED)
    wrong += too_many_transposes(shown, TRANSPOSES)
    stdout.print(table(shown, EXPLAINED))
    stdout.print(summary(shown))
    for complaint in wrong:
        stdout.print(textwrap.shorten(complaint, LONGEST), markup=False)
    return 1 if wrong else 0


def _line(tried: Tried) -> str:
    seconds = f"build {tried.build_s:.0f} s, verify {tried.verify_s:.0f} s"
    failed = ", ".join(f"{row.column} {row.outcome}" for row in tried.rows if not row.passed)
    return f"{tried.model}: {seconds}: {failed or 'passed'}"


if __name__ == "__main__":
    sys.exit(main())
