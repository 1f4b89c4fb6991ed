"""What the earlier stages left in a folder, read and typed. Reads; judges nothing."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from runtimes.bundle import Bundle, Manifest, find_bundles
from runtimes.errors import UsageError
from runtimes.remote.connection import TARGETS
from runtimes.rows import (
    AGREEMENT,
    BENCH,
    VERIFY,
    Agreement,
    BenchResult,
    BenchRow,
    VerifyResult,
    VerifyRow,
    load_agreement,
    load_bench,
    load_verify,
)

STALE = "stale"
FRAMEWORKS = ("torch", "keras", "onnx", "savedmodel")  # in this order, then the others
HISTORY = Path("source") / "history.json"


@dataclass(frozen=True)
class Epoch:
    """One epoch of training: mean loss, held-out accuracy in [0, 1], wall seconds."""

    loss: float | None = None
    accuracy: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class History:
    """``history.json`` as the exporter wrote it. Any field may be missing: a person may have written it."""

    backend: str | None = None
    device: str | None = None
    data: str | None = None
    seed: int | None = None
    batch_size: int | None = None
    amp: bool | None = None
    train_samples: int | None = None
    heldout_samples: int | None = None
    parameters: int | None = None
    epochs: tuple[Epoch, ...] = ()
    final_loss: float | None = None
    final_accuracy: float | None = None
    samples_per_s: float | None = None


@dataclass(frozen=True)
class BundleInputs:
    """One bundle's files. ``label`` names it in every row; ``folder`` is how to type it in a shell.

    ``targets`` are the same bundle as other machines verified and benched it, by their names.
    """

    label: str
    folder: str
    manifest: Manifest
    verify: VerifyResult | None = None
    bench: BenchResult | None = None
    history: History | None = None
    targets: Mapping[str, BundleInputs] = field(default_factory=dict)

    def name(self, row: VerifyRow | BenchRow) -> str:
        """``source/artifact/runtime/device/backend``, as in ``agreement.json``."""
        return "/".join((self.label, row.artifact, row.runtime, row.device, row.backend))

    def starred(self, row: VerifyRow | BenchRow) -> str:
        """The name, with a star behind the backend of a device that software played."""
        return self.name(row) + ("*" if row.emulated else "")

    def outcome(self, row: VerifyRow | BenchRow) -> str:
        """The row's outcome, or "stale" when it is about another file than the manifest describes now."""
        artifact = self.manifest.artifact(row.artifact)
        if artifact and row.artifact_sha256 and row.artifact_sha256 != artifact.sha256:
            return STALE
        return row.outcome


@dataclass(frozen=True)
class Inputs:
    """All that a report is made of. ``parent`` is the folder to run the commands from, "" for any."""

    folder: str
    parent: str
    bundles: tuple[BundleInputs, ...]
    agreement: Agreement | None = None

    @property
    def targets(self) -> dict[str, Inputs]:
        """The bundles as each other machine verified and benched them, by its name."""
        names = sorted({name for bundle in self.bundles for name in bundle.targets})
        return {
            name: replace(
                self,
                bundles=tuple(b.targets[name] for b in self.bundles if name in b.targets),
                agreement=None,
            )
            for name in names
        }


def read(folder: Path) -> Inputs:
    """Read the bundle in ``folder``, or those directly inside it. A stage that did not run leaves None.

    Raises UsageError when there is no bundle, or a file is there and damaged.
    """
    bundles = find_bundles(folder)
    frameworks = Counter(bundle.manifest.source.framework for bundle in bundles)
    # An absolute path says more about the machine than a report that is passed on should.
    shown = Path(folder.name or ".") if folder.is_absolute() else folder
    return Inputs(
        folder=shlex.quote(str(shown)),
        parent="the folder that holds it" if folder.is_absolute() else "",
        bundles=tuple(
            _read_bundle(b, shown / b.folder.relative_to(folder), frameworks)
            for b in sorted(bundles, key=_order)
        ),
        agreement=load_agreement(folder / AGREEMENT),
    )


def _order(bundle: Bundle) -> tuple[int, str]:
    framework = bundle.manifest.source.framework
    return FRAMEWORKS.index(framework) if framework in FRAMEWORKS else len(FRAMEWORKS), bundle.folder.name


def _read_bundle(bundle: Bundle, shown: Path, frameworks: Counter[str]) -> BundleInputs:
    framework = bundle.manifest.source.framework
    here = BundleInputs(
        label=framework if frameworks[framework] == 1 else bundle.folder.name,
        folder=shlex.quote(str(shown)),
        manifest=bundle.manifest,
        verify=load_verify(bundle.folder / VERIFY),
        bench=load_bench(bundle.folder / BENCH),
        history=_read_history(bundle.folder / HISTORY),
    )
    folders = sorted(folder for folder in (bundle.folder / TARGETS).glob("*") if folder.is_dir())
    there = {
        folder.name: replace(here, verify=load_verify(folder / VERIFY), bench=load_bench(folder / BENCH))
        for folder in folders
    }
    found = {name: target for name, target in there.items() if target.verify or target.bench}
    return replace(here, targets=found)


def _read_history(path: Path) -> History | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=History)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged ({error}). Train again, or remove the file.") from None
