"""The bundle: a folder with ``manifest.json``, the artifacts it describes and the reference they are judged by.

The dataclasses here are the schema. ``SCHEMA`` goes up when a reader of the old one would misread the new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtimes.errors import ChecksumError, UsageError
from runtimes.files import digest, recover_swap, size_of, write_atomically

SCHEMA = 1
MANIFEST = "manifest.json"
# The name under which an artifact carries its ModelSpec, as JSON.
METADATA = "fwexport"

Kind = Literal["image", "logits", "probabilities", "tensor"]


@dataclass(frozen=True)
class Quantization:
    """What the integers of a tensor stand for: ``scale * (integer - zero_point)``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    ``shape`` has None where an axis is dynamic. ``layout`` names each axis with a letter (``NCHW``, ``NHWC``,
    ``NC``), or is empty when unknown. ``kind`` says what the numbers are, which decides how they are compared.
    ``quantization`` is there where integers stand for real numbers.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    layout: str = ""
    kind: Kind = "tensor"
    quantization: Quantization | None = None


@dataclass(frozen=True)
class ModelSpec:
    """What a model is, whatever its format: its source's tensors, its labels and its preprocessing as data."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...] = ()
    preprocessing: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Source:
    """Where the model came from. ``path`` is inside the bundle; ``framework`` is the one that defines y64."""

    framework: str
    kind: str
    path: str
    versions: dict[str, str] = field(default_factory=dict)
    parameters: int | None = None


@dataclass(frozen=True)
class Artifact:
    """One exported file or folder, with its own names, layouts and the road it came by.

    ``edges`` are the conversions in order, ``versions`` the libraries that ran them; ``inputs`` and ``outputs``
    are in the order of the model's. ``quantized`` names the types, below float32, in which it keeps or computes numbers.
    ``variant`` tells it from the plain one of its format: "batch1" is a file of that one batch size, for runtimes that take
    no dynamic one.
    """

    format: str
    path: str
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    edges: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    convert_s: float | None = None
    quantized: str = ""
    variant: str = ""

    @property
    def name(self) -> str:
        """What its rows call it: the format, and the variant where it is one (``tflite-batch1``)."""
        return f"{self.format}-{self.variant}" if self.variant else self.format


def format_of(name: str) -> str:
    """The format of the artifact that rows call ``name``."""
    return name.partition("-")[0]


@dataclass(frozen=True)
class Failure:
    """An artifact that was asked for and could not be written, and why.

    ``format`` is its name: the format, and the variant where it is one (``tflite-batch1``). ``edge`` is the conversion that failed, "" where there is none: this source cannot become that format.
    """

    format: str
    edge: str
    message: str

    @property
    def is_unreachable(self) -> bool:
        """Whether no conversion leads there, rather than one that failed."""
        return not self.edge


@dataclass(frozen=True)
class Manifest:
    """The whole of ``manifest.json``."""

    schema: int
    created: str
    fwexport: str
    model: ModelSpec
    source: Source
    artifacts: tuple[Artifact, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """Whether it describes a file that was made elsewhere, which is judged by a model that it did not come from."""
        return not self.source.path

    @property
    def checksums(self) -> dict[str, str]:
        """The sha256 of each artifact by its name, in their order."""
        return {artifact.name: artifact.sha256 for artifact in self.artifacts}

    def artifact(self, name: str) -> Artifact | None:
        """The artifact of this name, or None; a format is the name of its plain artifact."""
        return next((a for a in self.artifacts if a.name == name), None)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    def path(self, artifact: Artifact) -> Path:
        """Where the artifact lies on this machine."""
        return self.folder / artifact.path

    def check(self, artifact: Artifact) -> None:
        """Raise ChecksumError unless the artifact is byte for byte what the manifest describes."""
        path = self.path(artifact)
        if not path.exists():
            raise ChecksumError(f"{path} is missing, though {MANIFEST} lists it. Build the bundle again.")
        try:
            found = digest(path)
        except OSError as error:
            raise ChecksumError(f"{path} cannot be read: {error.strerror}.") from error
        if found != artifact.sha256:
            raise ChecksumError(
                f"{path} was changed after it was exported: its sha256 is {found[:12]}..., {MANIFEST} says "
                f"{artifact.sha256[:12]}.... Build the bundle again, or restore the file."
            )


def describe_artifact(folder: Path, artifact_path: Path) -> tuple[str, str, int]:
    """``(path relative to the bundle, sha256, bytes)`` of a file or folder just written."""
    return artifact_path.relative_to(folder).as_posix(), digest(artifact_path), size_of(artifact_path)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``."""
    write_atomically(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def open_bundle(folder: Path) -> Bundle:
    """Read the bundle in ``folder``, finishing a swap that was interrupted.

    Raises UsageError when there is none, or when a newer fwexport wrote it.
    """
    recover_swap(folder)
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(_no_bundle(folder)) from None
    try:
        schema = msgspec.json.decode(raw, type=dict[str, Any]).get("schema")
        if schema != SCHEMA:
            raise UsageError(
                f"{path} has schema {schema}; this fwexport reads schema {SCHEMA}. Use the fwexport that wrote it."
            )
        return Bundle(folder, msgspec.json.decode(raw, type=Manifest))
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged ({error}). Build the bundle again.") from None


def find_bundles(folder: Path) -> list[Bundle]:
    """The bundle in ``folder``, or the bundles directly inside it, by name.

    Raises UsageError when there is none.
    """
    recover_swap(folder)
    if (folder / MANIFEST).exists():
        return [open_bundle(folder)]
    if folder.is_dir():
        for interrupted in folder.glob(".*.old"):
            recover_swap(folder / interrupted.name[1:].removesuffix(".old"))
        inside = sorted(
            path.parent for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")
        )
        if inside:
            return [open_bundle(path) for path in inside]
    raise UsageError(_no_bundle(folder))


def _no_bundle(folder: Path) -> str:
    if not folder.exists():
        return f"{folder} does not exist. `fwexport build -o {folder}` makes a bundle there."
    return f"{folder} is no bundle: it has no {MANIFEST}. `fwexport build -o DIR` makes one."
