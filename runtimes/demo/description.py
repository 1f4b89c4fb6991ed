"""``demo.json``: what the page is told of its model and of the runtimes that it may load. URLs are relative to the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtimes.bundle import TensorSpec


@dataclass(frozen=True)
class Sample:
    """A picture and what the source makes of it in float64.

    ``image`` has the sizes of the model's input and is not scaled or normalised yet: of the preprocessing, resizing and
    cropping leave it as it is. ``y`` are the probabilities of a classifier, else the first output as it is, flattened;
    ``top1`` is None for what is no classifier, ``label``, of the data, None where nobody gave one.
    """

    image: str
    label: str | None
    top1: int | None
    y: tuple[float, ...]


@dataclass(frozen=True)
class Entry:
    """A runtime on one backend, or the ``reason`` why it is not here and how to get it.

    ``module`` is the engine's, below ``modules/``; ``packages`` the folder with the layout of node_modules; ``bytes`` all
    that is downloaded for it, uncompressed. ``inputs`` and ``outputs`` are the artifact's.
    """

    runtime: str
    title: str
    backend: str
    reason: str = ""
    version: str = ""
    module: str = ""
    url: str = ""
    packages: str = ""
    bytes: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True)
class Description:
    """The whole of ``demo.json``.

    ``source`` is the framework that the answers of the samples come from. ``drawable`` says that the model takes a small
    grey image with light ink; ``hint`` is what a person should know who draws one.
    """

    model: str
    labels: tuple[str, ...]
    source: str
    input: TensorSpec
    output: TensorSpec
    preprocessing: tuple[dict[str, Any], ...]
    drawable: bool
    hint: str
    samples: tuple[Sample, ...]
    runtimes: tuple[Entry, ...]
