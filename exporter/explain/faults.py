"""The closed list of faults in what a source computes, each as a change of one operator. Pure.

They are written in the order in which they are reported. A fault that has ``values`` is tried with each; a ``tuned`` one
then also between them, for a number that nobody could list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from exporter.explain.operators import ACTIVATIONS, Op, compute
from runtimes.base import Array

PadMode = Literal["reflect", "edge", "wrap"]
Rounding = Callable[[Array], Array]

FP16_MAX = 65504.0


@dataclass(frozen=True)
class Fault:
    """``change`` gives the operator as it would be with the fault, or what that computes.

    ``fits`` says, without computing much, whether an operator can have it. ``whole_batch``: what it gives for one sample
    depends on the others. ``detail`` has the value where it says ``{value}``.
    """

    name: str
    detail: str
    fits: Callable[[Op], bool]
    change: Callable[[Op, float], Op | Array]
    values: tuple[float, ...] = (0.0,)
    tuned: bool = False
    whole_batch: bool = False


def faults() -> Iterator[Fault]:
    """Every fault, the simplest first."""
    yield from _flattened()
    yield from _norms()
    yield from _windows()
    yield from _resizes()
    yield from _activations()
    yield from _parts()
    yield from _weights()


def _kind(*kinds: str) -> Callable[[Op], bool]:
    return lambda op: op.kind in kinds


def _but(**changes: object) -> Callable[[Op, float], Op]:
    return lambda op, _: op.but(**changes)


def _flattened() -> Iterator[Fault]:
    def spatial(op: Op) -> bool:
        shape = op.x[0].shape
        return op.kind == "flatten" and len(shape) > 3 and sum(size > 1 for size in shape[1:]) > 1

    def other(op: Op, _: float) -> Op:
        axes = tuple(range(1, op.x[0].ndim))
        first, last = axes, (*axes[1:], axes[0])
        return op.but(order=last if op.values["order"] == first else first)

    def turned(op: Op, _: float) -> Op:
        rows, columns = op.x[0].ndim - 2, op.x[0].ndim - 1
        swapped = {rows: columns, columns: rows}
        return op.but(order=tuple(swapped.get(axis, axis) for axis in op.values["order"]))

    yield Fault("flatten order", "flattened in the other order (NCHW/NHWC)", spatial, other)
    yield Fault("flatten order", "flattened with height and width exchanged", spatial, turned)


EPSILONS = (1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def _norms() -> Iterator[Fault]:
    batch, norm = _kind("batch norm"), _kind("batch norm", "layer norm", "group norm")

    def without_statistics(op: Op, _: float) -> Op:
        return op.but(mean=np.zeros_like(op.values["mean"]), variance=np.ones_like(op.values["variance"]))

    yield Fault(
        "batch norm in training mode",
        "normalised with the batch's own mean and variance",
        batch,
        _but(training=True),
        whole_batch=True,
    )
    yield Fault("batch norm statistics missing", "mean 0 and variance 1", batch, without_statistics)
    yield Fault(
        "another epsilon",
        "epsilon is {value:.3g}",
        norm,
        lambda op, value: op.but(epsilon=value),
        EPSILONS,
        tuned=True,
    )
    yield Fault(
        "another epsilon", "epsilon is added to the deviation, outside the root", norm, _but(outside=True)
    )
    yield Fault(
        "norm scale missing", "the factor of the normalisation is dropped", _has("scale"), _but(scale=None)
    )


def _has(value: str) -> Callable[[Op], bool]:
    return lambda op: op.values.get(value) is not None


def _windows() -> Iterator[Fault]:
    def is_window(op: Op) -> bool:
        return op.kind in ("convolution", "pool", "pad") and any(
            low or high for low, high in op.values["pads"]
        )

    def shifted(amount: tuple[int, ...]) -> Callable[[Op, float], Op]:
        def change(op: Op, _: float) -> Op:
            by = (*amount, *(0,) * len(op.values["pads"]))
            pads = op.values["pads"]
            return op.but(pads=tuple((low + n, high - n) for (low, high), n in zip(pads, by, strict=False)))

        return change

    every, rows, columns = "every side", "the rows", "the columns"
    for amount, where in (((1, 1, 1), every), ((1, 0, 0), rows), ((0, 1, 0), columns)):
        for sign, side in ((-1, "end"), (1, "start")):
            detail = f"one pixel of the padding of {where} is at the {side} instead"
            yield Fault("padding off by one", detail, is_window, shifted(tuple(sign * n for n in amount)))
    for mode, said in _PADDINGS.items():
        detail = f"the padding {said} instead of being zero"
        yield Fault(
            "another padding", detail, lambda op: is_window(op) and op.kind != "pool", _padded_by(mode)
        )
    yield Fault(
        "dilation dropped",
        "the kernel is not dilated",
        lambda op: op.kind == "convolution" and max(op.values["dilations"]) > 1,
        _undilated,
    )
    for place, detail in ((0, "dealt out to the groups in turn"), (1, "taken in turn from as many groups")):
        yield Fault(
            "groups interleaved",
            f"the channels are {detail}, not in blocks",
            lambda op: op.kind == "convolution" and op.values["groups"] > 1 < op.values["weight"].shape[1],
            _interleaved(place),
        )
    pool = _kind("pool")
    yield Fault(
        "pooling counts padding",
        "the average counts padding where the source's does not, or the reverse",
        lambda op: op.kind == "pool" and op.values["mode"] == "average",
        lambda op, _: op.but(count_pads=not op.values["count_pads"]),
    )
    yield Fault(
        "ceil mode",
        "the number of windows is rounded the other way",
        pool,
        lambda op, _: op.but(ceil=not op.values.get("ceil", False)),
    )
    yield Fault(
        "another pooling",
        "average instead of maximum, or the reverse",
        pool,
        lambda op, _: op.but(mode="average" if op.values["mode"] == "max" else "max"),
    )


_PADDINGS: dict[PadMode, str] = {
    "reflect": "mirrors the image",
    "edge": "repeats the border",
    "wrap": "wraps around",
}


def _padded_by(mode: PadMode) -> Callable[[Op, float], Op | Array]:
    def change(op: Op, _: float) -> Op | Array:
        pads = [(max(0, low), max(0, high)) for low, high in op.values["pads"]]
        x = np.pad(op.x[0], [(0, 0), (0, 0), *pads], mode=mode)
        return x if op.kind == "pad" else op.but(x, pads=tuple((0, 0) for _ in pads))

    return change


def _undilated(op: Op, _: float) -> Op:
    """With so much less padding that the result has the same size."""
    less = [
        (k - 1) * (d - 1) for k, d in zip(op.values["weight"].shape[2:], op.values["dilations"], strict=True)
    ]
    pads = tuple(
        (low - n // 2, high - (n - n // 2)) for (low, high), n in zip(op.values["pads"], less, strict=True)
    )
    return op.but(pads=pads, dilations=(1,) * len(less))


def _interleaved(place: int) -> Callable[[Op, float], Op]:
    def change(op: Op, _: float) -> Op:
        x, groups = op.x[0], op.values["groups"]
        sizes = (groups, -1) if place else (-1, groups)
        return op.but(x.reshape(len(x), *sizes, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape))

    return change


def _resizes() -> Iterator[Fault]:
    def of(mode: str, coordinates: str) -> Iterator[Fault]:
        said = {"half_pixel": "half-pixel centres", "align_corners": "aligned corners"}.get(
            coordinates, "origin at the corner"
        )

        def same_mode(op: Op) -> bool:
            return (
                op.kind == "resize" and op.values["mode"] == mode and op.values["coordinates"] != coordinates
            )

        def other_mode(op: Op) -> bool:
            return op.kind == "resize" and op.values["mode"] != mode

        change = _but(mode=mode, coordinates=coordinates)
        yield Fault("align corners", f"resized with {said}", same_mode, change)
        yield Fault("another resize", f"{mode} interpolation, with {said}", other_mode, change)

    for mode in ("linear", "nearest"):
        for coordinates in ("asymmetric", "half_pixel", "align_corners"):
            yield from of(mode, coordinates)


SLOPES = (0.01, 0.1, 0.2, 0.3, 1.0)


def _activations() -> Iterator[Fault]:
    def to(source: str, function: str) -> Fault:
        slope = function in ("leaky relu", "elu")
        return Fault(
            "activation changed",
            f"{source} has become {function}" + (" with {value:.3g}" if slope else ""),
            lambda op: op.kind == "activation" and op.values["function"] == source,
            lambda op, value: op.but(function=function, parameter=value),
            SLOPES if slope else (0.0,),
            tuned=slope,
        )

    for source in ACTIVATIONS:
        for function in ACTIVATIONS:
            if source != "nothing" and (source != function or function in ("leaky relu", "elu")):
                yield to(source, function)
    yield Fault(
        "activation added",
        "a relu that the source has not",
        _kind("convolution", "dense", "batch norm"),
        lambda op, _: np.maximum(compute(op), 0.0),
    )
    yield Fault(
        "softmax over another axis",
        "normalised over another axis",
        lambda op: op.kind == "softmax" and op.x[0].ndim > 2,
        lambda op, _: op.but(axis=-1 if op.values["axis"] % op.x[0].ndim == 1 else 1),
    )


def _parts() -> Iterator[Fault]:
    yield Fault("bias dropped", "the bias is dropped", _has("bias"), _but(bias=None))
    yield Fault(
        "bias dropped", "the offset of the normalisation is dropped", _has("offset"), _but(offset=None)
    )
    yield Fault(
        "concatenation order",
        "the parts are joined in the opposite order",
        lambda op: op.kind == "concat" and len(op.x) > 1,
        lambda op, _: op.but(*op.x[::-1]),
    )
    for place, word in enumerate(("second", "first")):
        yield Fault(
            "branch dropped",
            f"only the {word} of the two summands is there",
            lambda op: op.kind == "add" and len(op.x) == 2 and op.x[0].shape == op.x[1].shape,
            lambda op, _, place=place: op.x[1 - place],  # type: ignore[misc]
        )
    yield Fault(
        "layer missing",
        "its input is its output",
        lambda op: op.kind in ("convolution", "dense", "batch norm", "layer norm", "group norm", "softmax"),
        lambda op, _: op.x[0],
    )


def _weights() -> Iterator[Fault]:
    def squares(first: int, second: int) -> Callable[[Op], bool]:
        def fits(op: Op) -> bool:
            shape = np.shape(op.values.get("weight", ()))
            return len(shape) > second and shape[first] == shape[second] > 1

        return fits

    def kernel(change: Callable[[Array], Array]) -> Callable[[Op, float], Op]:
        return lambda op, _: op.but(weight=change(op.values["weight"]))

    yield Fault(
        "weight transposed",
        "inputs and outputs of the weights are exchanged",
        squares(0, 1),
        kernel(lambda w: w.swapaxes(0, 1)),
    )
    yield Fault(
        "weight transposed",
        "height and width of the kernel are exchanged",
        squares(2, 3),
        kernel(lambda w: w.swapaxes(2, 3)),
    )
    yield Fault(
        "kernel flipped",
        "the kernel is turned by 180 degrees: a true convolution instead of a correlation",
        squares(2, 3),
        kernel(lambda w: w[:, :, ::-1, ::-1]),
    )
    yield Fault(
        "channels reversed",
        "the input channels of the weights are in the opposite order",
        lambda op: op.kind == "convolution" and op.values["weight"].shape[1] > 1,
        kernel(lambda w: w[:, ::-1]),
    )
    weighted = _has("weight")
    for detail, rounding in ROUNDINGS.items():
        yield Fault(
            "truncated weights", f"the weights are {detail}", weighted, _rounded(rounding, ("weight",))
        )
        for which, names in _PARAMETERS.items() if "int8" not in detail else ():
            yield Fault(
                "truncated weights",
                f"{which} are {detail}",
                lambda op: "weight" in op.values or op.kind.endswith("norm"),
                _rounded(rounding, names),
            )
        yield Fault(
            "truncated weights",
            f"the weights, with the batch norm folded into them, are {detail}",
            lambda op: op.kind == "batch norm" and op.values.get("convolution") is not None,
            _folded(rounding),
        )
    for detail, limit in _SATURATIONS.items():
        yield Fault("fp16 saturation", detail, lambda op: op.kind != "flatten", limit)


_PARAMETERS = {
    "all parameters": ("weight", "bias", "scale", "offset"),
    "all parameters and statistics": ("weight", "bias", "scale", "offset", "mean", "variance"),
}


def _rounded(rounding: Rounding, names: tuple[str, ...]) -> Callable[[Op, float], Op]:
    def change(op: Op, _: float) -> Op:
        present = {name: op.values[name] for name in names if op.values.get(name) is not None}
        return op.but(**{name: rounding(np.asarray(array)) for name, array in present.items()})

    return change


def _folded(rounding: Rounding) -> Callable[[Op, float], Array]:
    """The convolution before a batch norm, with both in one rounded kernel, as converters fold them."""

    def change(op: Op, _: float) -> Array:
        before, norm = op.values["convolution"], op.values
        deviation = np.sqrt(np.asarray(norm["variance"], np.float64) + norm["epsilon"])
        factor = (1.0 if norm.get("scale") is None else norm["scale"]) / deviation
        weight = before.values["weight"]
        folded = weight * np.reshape(factor, (-1, *(1,) * (weight.ndim - 1)))
        bias = 0.0 if before.values.get("bias") is None else before.values["bias"]
        offset = 0.0 if norm.get("offset") is None else norm["offset"]
        return compute(
            before.but(
                weight=rounding(folded.astype(np.float32).astype(np.float64)),
                bias=(bias - norm["mean"]) * factor + offset,
            )
        )

    return change


def _mantissa(bits: int, cut: bool) -> Rounding:
    """Float32 with so many bits behind the point: rounded to even, or cut off."""
    drop = 23 - bits

    def change(w: Array) -> Array:
        raw = w.astype(np.float32).view(np.uint32)
        if not cut:
            raw = raw + np.uint32((1 << (drop - 1)) - 1) + ((raw >> np.uint32(drop)) & np.uint32(1))
        kept: Array = (raw & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)
        return kept.astype(np.float64)

    return change


def _half(w: Array) -> Array:
    """As converters do it: what float16 cannot hold is its largest number."""
    half: Array = np.clip(w, -FP16_MAX, FP16_MAX).astype(np.float16).astype(np.float64)
    return half


def _int8(axes_kept: int) -> Rounding:
    """Symmetric: the largest magnitude, of the tensor or of each output channel, becomes 127."""

    def change(w: Array) -> Array:
        over = tuple(range(axes_kept, w.ndim))
        step = np.abs(w).max(axis=over, keepdims=True) / 127.0
        whole: Array = np.rint(np.divide(w, step, out=np.zeros(w.shape), where=step > 0)) * step
        return whole

    return change


def _decimals(count: int) -> Rounding:
    return lambda w: np.round(w.astype(np.float64), count)


ROUNDINGS: dict[str, Rounding] = {
    "float16": _half,
    "bfloat16": _mantissa(7, cut=False),
    "bfloat16, cut off": _mantissa(7, cut=True),
    "TF32": _mantissa(10, cut=False),
    "TF32, cut off": _mantissa(10, cut=True),
    "int8, one scale for each tensor": _int8(0),
    "int8, one scale for each output channel": _int8(1),
    **{f"rounded to {count} decimals": _decimals(count) for count in (2, 3, 4, 5, 6)},
}


def _clipped(op: Op, _: float) -> Array:
    return np.clip(compute(op), -FP16_MAX, FP16_MAX)


def _overflowing(op: Op, _: float) -> Array:
    y = compute(op)
    # Numbers from 65520 on round to infinity.
    return np.where(np.abs(y) < 65520.0, y, np.copysign(np.inf, y))


_SATURATIONS: dict[str, Callable[[Op, float], Array]] = {
    "what exceeds 65504 is 65504": _clipped,
    "what exceeds 65504 is infinite": _overflowing,
}
