"""The stage ``bring``: what a person gave becomes a source folder, described and with samples to be judged on."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from exporter import describe, real_samples, samples
from exporter.closest_samples import closest
from exporter.converters import Converters
from exporter.source_folder import SCHEMA, SOURCE, SourceFile, open_source, save_source
from exporter.source_kind import Given, recognise, source_kind
from runtimes.errors import UnavailableError, UsageError
from runtimes.files import writing_to

# How the options of the command line spell the fields that only some kinds read.
SPELLED = {
    "weights": "--weights",
    "arguments": "--arg",
    "signature": "--signature",
    "allow_pickle": "--allow-pickle",
    "allow_extra_keys": "--allow-extra-keys",
}
# Those that say what the tensors are, which every kind reads.
DESCRIBING = {
    "inputs": "--input",
    "layout": "--layout",
    "labels": "--labels",
    "preprocessing": "--preprocess",
    "output_kind": "--output-kind",
}


def bring(given: Given, chosen_samples: str | None, folder: Path, converters: Converters) -> SourceFile:
    """Load what was given in a child of its framework, and write the source folder ``folder``.

    Raises UsageError for options that do not fit, NotAModelError for a model that cannot be loaded,
    UnavailableError for a framework that is not here.
    """
    name = recognise(given)
    kind = source_kind(name)
    unread = unread_options(given, (*kind.OPTIONS, *DESCRIBING))
    if unread:
        raise UsageError(
            f"{', '.join(unread)}: {given.source} ({name.replace('_', ' ')}) takes no such option."
        )
    reason = kind.check()
    if reason:
        raise UnavailableError(reason)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    brought = converters.get(kind.PROCESS).call(kind.bring, given, folder)
    model = describe.checked(brought.model)
    found = real_samples.load(chosen_samples, model) if chosen_samples else samples.generated(model)
    source = SourceFile(
        schema=SCHEMA,
        framework=brought.framework or kind.FRAMEWORK,  # type: ignore[arg-type]
        weights=brought.weights,
        model=model,
        kind=brought.kind or name,
        code=brought.code,
        arguments=brought.arguments,
        parameters=brought.parameters,
        versions=brought.versions,
        notes=brought.notes + found.notes,
    )
    save_source(folder, source)
    if chosen_samples and model.outputs[0].kind in ("logits", "probabilities"):
        total = len(real_samples.opened(chosen_samples, model))
        if total > len(found.labels):
            near = converters.get(source.loader.PROCESS).call(closest, folder, chosen_samples)
            found = replace(found, closest=near.inputs)
            note = f"the smallest margins are those of {near.seen:,} of {total:,} samples"
            source = replace(source, notes=(*source.notes, note))
            save_source(folder, source)
    samples.write_samples(folder, found)
    return source


def unread_options(given: Given, read: tuple[str, ...]) -> list[str]:
    """The options that were given and that this kind does not read, as the command line spells them."""
    defaults = {field.name: field.default for field in fields(Given)}
    return [
        option
        for name, option in (SPELLED | DESCRIBING).items()
        if name not in read and getattr(given, name) not in (defaults[name], {})
    ]


def source_folder(given: Given, chosen_samples: str | None, scratch: Path, converters: Converters) -> Path:
    """The source folder of what was given: itself when it is one already, else the one that is written at ``scratch``.

    A folder that names code other than fwexport's own is refused: giving a folder is no permission to run that.
    """
    if not (given.path / SOURCE).exists():
        bring(given, chosen_samples, scratch, converters)
        return scratch
    idle = [*unread_options(given, ("allow_pickle",)), *(["--samples"] if chosen_samples else [])]
    if idle:
        raise UsageError(
            f"{', '.join(idle)}: {given.source} is a source folder; it says and holds all that by itself. "
            "Give these where the model itself is the source."
        )
    source = open_source(given.path)
    code = source.code
    if source.arguments.get("allow_pickle") and not given.allow_pickle:
        raise UsageError(
            f"{given.path / SOURCE} asks to load weights that can run code. If you trust them, use --allow-pickle."
        )
    if code and not code.startswith("exporter.training."):
        raise UsageError(
            f"{given.path / SOURCE} names the code {code}, which is not fwexport's own, so it is not run. "
            f"If you trust it, name it yourself: fwexport build {code} --weights {given.path / 'weights.pt'}"
        )
    return given.path
