"""The demo of a bundle as a list of files: by the path of its URL, a file of this machine or its content.

    index.html, demo.json
    modules/     the page's own modules and style, and the engines: the tree of ``runtimes/web/``
    packages/    what the engines import, with the layout of node_modules, and the notices of their licences
    models/      the artifacts, as they lie in the bundle
    samples/     pictures

The page names all others by relative URLs, so that the list can be served below any path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from runtimes.browser import engines
from runtimes.bundle import Bundle, ModelSpec
from runtimes.demo.description import Description, Entry, Sample
from runtimes.demo.entries import entries, web_runtimes
from runtimes.demo.licenses import notices
from runtimes.demo.pictures import Picture, as_png, is_drawable, pictures
from runtimes.errors import UsageError
from runtimes.files import files_of
from runtimes.frameworks import node
from runtimes.preprocess import completed
from runtimes.reference import REFERENCE, open_reference

PAGE = "index.html"
DESCRIPTION = "demo.json"
NOTICES = "packages/LICENSES.txt"

# What a person who draws should know of the data that the shipped CNN learns from.
HINTS = {"digits": "The people whose digits this network learned from cross their sevens."}

Site = Mapping[str, Path | bytes]


def site(bundle: Bundle, backends: Sequence[str] = ()) -> dict[str, Path | bytes]:
    """The demo of a bundle, with each web runtime on each of these backends; none named means every one.

    Raises UsageError for a model that takes no picture, for a backend that no web runtime has, and for a bundle that none
    can run; UnavailableError when npm packages are missing; ChecksumError for an artifact that is not the exported one.
    """
    model = bundle.manifest.model
    _check_input(bundle.folder, model)
    found = entries(bundle, backends)
    live = [entry for entry in found if not entry.reason]
    if not live:
        reasons = "; ".join(dict.fromkeys(f"{entry.title}: {entry.reason}" for entry in found))
        raise UsageError(f"no runtime in a browser can run {bundle.folder}. {reasons}")
    own = [
        path.relative_to(node.SCRIPTS).as_posix()
        for path in sorted((node.SCRIPTS / "demo").iterdir())
        if path.name != PAGE
    ]
    modules = engines.modules(*own, *dict.fromkeys(entry.module for entry in live))
    adapters = web_runtimes()
    packages = sorted({file for entry in live for file in adapters[entry.runtime].packages(entry.backend)})
    shown = pictures(model, open_reference(bundle.folder / REFERENCE))
    urls = [f"samples/{number}.png" for number in range(len(shown))]
    described = Description(
        model=model.name,
        labels=model.labels,
        source=bundle.manifest.source.framework,
        input=model.inputs[0],
        output=model.outputs[0],
        preprocessing=completed(model.preprocessing, model.inputs[0]),
        drawable=is_drawable(shown),
        hint=HINTS.get(_data(bundle), ""),
        samples=tuple(_sample(model, url, picture) for url, picture in zip(urls, shown, strict=True)),
        runtimes=tuple(found),
    )
    return {
        PAGE: node.SCRIPTS / "demo" / PAGE,
        DESCRIPTION: msgspec.json.format(msgspec.json.encode(described), indent=1),
        **{f"modules/{name}": node.SCRIPTS / name for name in modules},
        **{f"packages/{name}": node.modules_folder() / name for name in packages},
        NOTICES: notices(packages).encode(),
        **_models(bundle, live),
        **{url: as_png(picture.pixels) for url, picture in zip(urls, shown, strict=True)},
    }


def choose(bundles: Sequence[Bundle], source: str | None) -> Bundle:
    """The bundle from this framework; none named means the first. Raises UsageError where there is none."""
    found = [bundle for bundle in bundles if source in (None, bundle.manifest.source.framework)]
    if not found:
        have = ", ".join(bundle.manifest.source.framework for bundle in bundles)
        raise UsageError(f"no bundle here comes from {source!r}; what there is: {have}.")
    return found[0]


def _sample(model: ModelSpec, url: str, picture: Picture) -> Sample:
    classifies = model.outputs[0].kind in ("logits", "probabilities")
    known = picture.label is not None and picture.label < len(model.labels)
    return Sample(
        image=url,
        label=model.labels[picture.label] if picture.label is not None and known else None,
        top1=int(picture.y.argmax()) if classifies else None,
        y=tuple(picture.y.tolist()),
    )


def _check_input(folder: Path, model: ModelSpec) -> None:
    """Raise UsageError unless the manifest says how one picture becomes the model's input."""
    takes = "; ".join(f"{spec.name}: {spec.dtype} {list(spec.shape)}" for spec in model.inputs)
    if len(model.inputs) != 1 or model.inputs[0].kind != "image":
        raise UsageError(
            f"the page shows pictures to a model, and {model.name} in {folder} takes no single one, but {takes}. "
            "`fwexport predict` takes its arrays."
        )
    if None in model.inputs[0].shape[1:]:
        raise UsageError(
            f"the page needs one size of image, and {model.name} in {folder} takes many: {takes}."
        )
    if not model.preprocessing and model.inputs[0].dtype != "uint8":
        raise UsageError(
            f"nothing in {folder} says how pixels become the input {takes}. Build it with --preprocess, for instance "
            "--preprocess imagenet."
        )


def _models(bundle: Bundle, live: Sequence[Entry]) -> dict[str, Path]:
    """The files of the artifacts that these load, by their URLs. Raises ChecksumError."""
    found: dict[str, Path] = {}
    for artifact in bundle.manifest.artifacts:
        path = bundle.path(artifact)
        url = f"models/{artifact.path}"
        if any(entry.url == url or entry.url.startswith(f"{url}/") for entry in live):
            bundle.check(artifact)
            found |= {f"models/{file.relative_to(bundle.folder).as_posix()}": file for file in files_of(path)}
    return found


def _data(bundle: Bundle) -> str:
    """The data that the shipped CNN was trained on, "" for any other source."""
    try:
        return str(
            json.loads((bundle.folder / bundle.manifest.source.path / "history.json").read_text())["data"]
        )
    except (OSError, ValueError, KeyError):
        return ""
