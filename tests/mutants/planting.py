"""From a clean bundle and a kind of fault to a bundle with that fault: its reference, manifest and source are clean."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from exporter import build as stage
from exporter import samples
from exporter.bring import bring
from exporter.converters import Converters
from exporter.plan import edges, plan
from exporter.source_folder import SourceFile, open_source
from exporter.source_kind import Given
from runtimes.bundle import Bundle, TensorSpec, describe_artifact, open_bundle, save_manifest
from runtimes.client import Worker
from runtimes.reference import REFERENCE
from tests.mutants import child, file_faults, spec_faults
from tests.mutants.child import Options
from tests.mutants.kinds import FORMATS, Kind

LABELS = ("six", "two", "ten", "one", "four", "five", "nine", "three", "seven", "eight")
SAMPLES = 12


@dataclass(frozen=True)
class Planted:
    """A bundle with a fault. ``effect`` is the largest e/n of the float64 source with it, None where it is no number's.

    ``refused`` are the formats that a converter did not write, and why.
    """

    bundle: Bundle
    effect: float | None
    refused: dict[str, str]


class Planter:
    """Makes bundles in ``folder``; each clean one is built once."""

    def __init__(self, folder: Path, converters: Converters, formats: tuple[str, ...] = FORMATS) -> None:
        self.folder = folder
        self.converters = converters
        self.formats = formats

    def clean(self, options: Options) -> Bundle:
        """The bundle of a network without a fault."""
        place = self.folder / "clean" / options.name
        if not (place / "bundle").exists():
            self._bring(options, place)
            stage.build(place / "source", place / "bundle", self.formats, self.converters)
        return open_bundle(place / "bundle")

    def mutant(self, kind: Kind, framework: str) -> Planted:
        """The bundle of the network of this framework with this kind of fault."""
        clean = self.clean(Options(framework, probabilities=kind.probabilities))
        place = self.folder / "mutants" / f"{framework} {kind.name}"
        shutil.rmtree(place, ignore_errors=True)
        (place / "bundle").mkdir(parents=True)
        shutil.copyfile(clean.folder / REFERENCE, place / "bundle" / REFERENCE)
        effect, refused = None, dict[str, str]()
        if kind.place in ("source", "spec"):
            effect, refused = self._export(kind, clean, place)
        else:
            for artifact in clean.manifest.artifacts:
                _copy(clean.path(artifact), place / "bundle" / artifact.path)
        if kind.place == "file":
            effect = self._damage(kind, framework, clean, place)
        shutil.copytree(clean.folder / "source", place / "bundle" / "source")
        described = kind.name not in file_faults.UNDESCRIBED
        return Planted(_described(clean, place / "bundle", refused, described), effect, refused)

    def _bring(self, options: Options, place: Path) -> SourceFile:
        """The source folder of a clean network, with a few generated samples."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        model = options.model
        common = {
            "name": f"{options.framework}_network",
            "labels": LABELS,
            "preprocessing": model.preprocessing,
        }
        if options.framework == "torch":
            weights = place / "weights.pt"
            self.converters.get("torch").call(child.make_torch, options, weights)
            inputs = (TensorSpec("image", "", (None, *model.shape)),)
            given = Given(child.CODE, weights=weights, arguments=options.arguments, inputs=inputs, **common)
        else:
            file = place / "model.keras"
            self.converters.get("tensorflow").call(child.make_keras, options, file)
            given = Given(str(file), **common)
        source = bring(given, None, place / "source", self.converters)
        made = samples.generated(source.model)
        few = {name: array[:SAMPLES] for name, array in made.inputs.items()}
        samples.write_samples(place / "source", replace(made, inputs=few, labels=made.labels[:SAMPLES]))
        return source

    def _export(self, kind: Kind, clean: Bundle, place: Path) -> tuple[float | None, dict[str, str]]:
        """Every format from a source with the fault, by the shared converters: what it moves, what they refuse and why."""
        source, effect = place / "source", None
        told = spec_faults.FAULTS.get(kind.name)
        if kind.place == "source":
            effect = self._effect(kind, clean, place)
        else:
            shutil.copytree(clean.folder / "source", source)
        if told is not None:
            effect = None  # the numbers are the same
            self._worker(clean).call(child.describe, source, told(clean.manifest.model))
        # Where the conversions look for it; the clean one takes its place.
        shutil.copytree(source, place / "bundle" / "source")
        described = open_source(source)
        routes = plan(described.framework, self.formats, edges())
        made = stage._convert_all(place / "bundle", described, routes, self.converters, lambda step: None)
        shutil.rmtree(place / "bundle" / "source")
        return effect, {name: failure.message for name, failure in made.failures.items()}

    def _effect(self, kind: Kind, clean: Bundle, place: Path) -> float:
        """Plant the fault in the source, at ``place / "source"``: how far that moves its float64 outputs."""
        worker = self._worker(clean)
        worker.call(child.plant, clean.folder / "source", kind.name, place / "source")
        return worker.call(child.effect, place / "source", clean.folder / REFERENCE)

    def _damage(self, kind: Kind, framework: str, clean: Bundle, place: Path) -> float | None:
        """Change the artifacts themselves."""
        artifacts = [(artifact, place / "bundle" / artifact.path) for artifact in clean.manifest.artifacts]
        if kind.name in file_faults.DAMAGES:
            for _, path in artifacts:
                file_faults.DAMAGES[kind.name](path)
            return None
        if kind.name in file_faults.NUMBERS:
            return self._substitute(file_faults.NUMBERS[kind.name], clean, place)
        if kind.name == "slope changed in the file":
            for _, path in artifacts:
                file_faults.rewrite(path, file_faults.other_slope)
            return self._effect(kind, clean, place)
        other = Options(framework, seed=1)
        if kind.name == "file of another architecture":
            other = Options("keras" if framework == "torch" else "torch")
        foreign = self.clean(other)
        for artifact, path in artifacts:
            file_faults.remove(path)
            theirs = foreign.manifest.artifact(artifact.format)
            assert theirs is not None
            _copy(foreign.path(theirs), path)
        if kind.name == "file of another architecture":
            return None
        worker = self._worker(foreign)
        return worker.call(child.effect, foreign.folder / "source", clean.folder / REFERENCE)

    def _substitute(self, change: file_faults.Change, clean: Bundle, place: Path) -> float | None:
        """Other numbers in the head, in each file; the same in the source says how far that moves the outputs."""
        worker = self._worker(clean)
        old = worker.call(child.head, clean.folder / "source")
        new = change(old)
        for artifact in clean.manifest.artifacts:
            path = place / "bundle" / artifact.path
            if artifact.format == "savedmodel":
                self.converters.get("tensorflow").call(child.substitute_variables, path / "1", old, new)
            else:
                file_faults.rewrite(path, lambda content: file_faults.substituted(content, old, new))
        if not np.isfinite(new).all():
            return None
        worker.call(child.plant_head, clean.folder / "source", new, place / "source")
        return worker.call(child.effect, place / "source", clean.folder / REFERENCE)

    def _worker(self, bundle: Bundle) -> Worker:
        return self.converters.get(open_source(bundle.folder / "source").loader.PROCESS)


def _copy(have: Path, want: Path) -> None:
    copy: Callable[[Path, Path], object] = shutil.copytree if have.is_dir() else shutil.copyfile
    copy(have, want)


def _described(clean: Bundle, folder: Path, refused: dict[str, str], described: bool) -> Bundle:
    """The clean manifest about the files in ``folder``: what is wrong with them shows only when they are run."""
    artifacts = []
    for artifact in clean.manifest.artifacts:
        if artifact.format in refused:
            continue
        if described:
            path, sha256, size = describe_artifact(folder, folder / artifact.path)
            artifact = replace(artifact, path=path, sha256=sha256, size_bytes=size)
        artifacts.append(artifact)
    save_manifest(folder, replace(clean.manifest, artifacts=tuple(artifacts)))
    return open_bundle(folder)
