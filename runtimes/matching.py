"""Which tensor of a file is which of the model, when somebody else named and laid them out. Pure.

Tensors are paired by name, the rest by place. The axes of a pair are the same, or those of an image with its channels
at the other end (NCHW and NHWC, also with one or three spatial axes): whichever the sizes allow, when it is but one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from runtimes.bundle import TensorSpec
from runtimes.errors import UsageError

# The letters of a tensor whose layout nobody named, by its number of axes: an image of one, two or three sides.
LETTERS = {3: "NCW", 4: "NCHW", 5: "NCDHW"}


@dataclass(frozen=True)
class Match:
    """Pairs in the order of the model's tensors, each laid out so that one can be brought to the other.

    ``fault`` says in words what could not be paired; then there are no pairs.
    """

    model: tuple[TensorSpec, ...] = ()
    file: tuple[TensorSpec, ...] = ()
    fault: str = ""


def match(
    side: str,
    model: Sequence[TensorSpec],
    file: Sequence[TensorSpec],
    layout: str = "",
    usual: str = "",
    alike: bool = False,
) -> Match:
    """Pair the tensors of one ``side``, "input" or "output".

    ``layout`` is what the person said of the file's images; ``usual`` is that of its format, and holds only where the
    file does not say its sizes. ``alike`` says that both are of one format, so that axes keep their order where they
    can. Raises UsageError where the sizes allow more than one order of the axes.
    """
    partners = _partners(model, file)
    if partners is None:
        return Match(fault=f"the {side}s do not fit: {_lists(model, file)}")
    pairs = [
        _laid_out(side, spec, own, layout, usual, alike) for spec, own in zip(model, partners, strict=True)
    ]
    return Match(tuple(spec for spec, _ in pairs), tuple(own for _, own in pairs))


def _partners(model: Sequence[TensorSpec], file: Sequence[TensorSpec]) -> list[TensorSpec] | None:
    """The file's tensor for each of the model's: by name, then the first of the others that fits; None when one is left."""
    if len(model) != len(file):
        return None
    named = {_plain(spec.name): spec for spec in file}
    own_names = {_plain(spec.name) for spec in model}
    others = [spec for spec in file if _plain(spec.name) not in own_names]
    partners = []
    for spec in model:
        partner = named.get(_plain(spec.name))
        if partner is None:
            partner = next((one for one in others if _fit(spec, one)), None)
            if partner is not None:
                others.remove(partner)
        if partner is None or not _fit(spec, partner):
            return None
        partners.append(partner)
    return partners


def _plain(name: str) -> str:
    """A name without what TensorFlow puts around it: ``serving_default_x:0`` is x."""
    return name.removeprefix("serving_default_").removesuffix(":0")


def _fit(spec: TensorSpec, own: TensorSpec) -> bool:
    """Whether one can be brought to the other: numbers to numbers, in an order of axes with equal sizes."""
    return _numbers(spec) == _numbers(own) and bool(_orders(spec.shape, own.shape))


def _numbers(spec: TensorSpec) -> str:
    """What the tensor holds: real numbers (also as quantised integers), integers, or truth values."""
    kind = "f" if spec.quantization or "float" in spec.dtype else np.dtype(spec.dtype).kind
    return "i" if kind == "u" else kind


def _orders(wanted: Sequence[int | None], own: Sequence[int | None]) -> list[tuple[int, ...]]:
    """The axes of ``wanted`` in the order of ``own``, each way that the sizes allow and that moves numbers differently.

    The first axis is the batch, whatever its size; a file that does not say its sizes may have any.
    """
    rank = len(wanted)
    if not own:
        return [tuple(range(rank))]
    if len(own) != rank:
        return []
    same = tuple(range(rank))
    ways = {same: None}
    if rank in LETTERS:
        ways |= {(0, *same[2:], 1): None, (0, rank - 1, *same[1:-1]): None}
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for way in ways:
        if all(
            None in (wanted[axis], size) or wanted[axis] == size
            for axis, size in zip(way[1:], own[1:], strict=True)
        ):
            found.setdefault(tuple(axis for axis in way if wanted[axis] != 1), way)
    return list(found.values())


def _laid_out(
    side: str, spec: TensorSpec, own: TensorSpec, layout: str, usual: str, alike: bool
) -> tuple[TensorSpec, TensorSpec]:
    letters = spec.layout or LETTERS.get(len(spec.shape), "")
    if not letters:
        return spec, replace(own, layout="", kind=spec.kind)
    spec = replace(spec, layout=letters)
    named = layout or own.layout or (usual if not own.shape else letters if alike else "")
    orders = {"".join(letters[axis] for axis in way): way for way in _orders(spec.shape, own.shape)}
    if not own.shape and sorted(named) == sorted(letters):
        orders = {named: tuple(map(letters.index, named))}
    if len(orders) > 1 and named not in orders:
        raise UsageError(
            f"{side} {own.name} has shape {_shape(own)}, and {spec.name} of the model {_shape(spec)} ({letters}): the axes "
            f"may be {' or '.join(orders)}. Say which: --layout {' or --layout '.join(orders)}."
        )
    if layout and sorted(layout) == sorted(letters) and layout not in orders:
        raise UsageError(
            f"--layout {layout}: {side} {own.name} has shape {_shape(own)}, which is not {_shape(spec)} ({letters}) in "
            "that order."
        )
    return spec, replace(own, layout=named if named in orders else next(iter(orders)), kind=spec.kind)


def _lists(model: Sequence[TensorSpec], file: Sequence[TensorSpec]) -> str:
    wanted, have = (", ".join(f"{s.name} ({s.dtype} {_shape(s)})" for s in specs) for specs in (model, file))
    return f"the model's are {wanted or 'none'}; the file's are {have or 'none'}"


def _shape(spec: TensorSpec) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in spec.shape) + "]"
