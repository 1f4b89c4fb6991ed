"""Every kind of fault, by name: where it is planted, and what ``--explain`` should say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FRAMEWORKS = ("torch", "keras")
FORMATS = ("torchscript", "onnx", "keras", "savedmodel", "tflite", "tfjs")

# source: the network before conversion; spec: what the conversion is told of its tensors; file: the artifact itself,
# its manifest renewed; runtime: what runs it.
Place = Literal["source", "spec", "file", "runtime"]


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    ``frameworks`` are the networks that it is planted in. ``probabilities`` takes the one that ends in a softmax.
    ``layers`` are those of the source where it sits: the right answer of ``--explain`` has one of them; ``causes`` are the
    names under which it may be found, one of which is right. ``unseen`` says why no output can show it. ``refusable``
    formats have a converter that rightly refuses it.
    """

    name: str
    place: Place = "source"
    frameworks: tuple[str, ...] = FRAMEWORKS
    layers: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    probabilities: bool = False
    unseen: str = ""
    refusable: tuple[str, ...] = ()


TORCH, KERAS = ("torch",), ("keras",)

KINDS = {
    kind.name: kind
    for kind in (
        # What goes in.
        Kind("height and width transposed", causes=("height and width transposed",)),
        Kind("layout reinterpreted", causes=("layout reinterpreted (NCHW/NHWC)",)),
        Kind("channels reversed", causes=("channels reversed (RGB/BGR)",)),
        Kind("image flipped", causes=("flipped",)),
        Kind("scale missing", causes=("scale 1/255 missing",)),
        Kind("scale doubled", causes=("scale 1/255 doubled",)),
        Kind("mean and std missing", causes=("mean and std missing",)),
        Kind("mean and std doubled", causes=("mean and std doubled",)),
        # What comes out.
        Kind("softmax missing", probabilities=True, causes=("softmax missing",)),
        Kind("softmax doubled", probabilities=True, causes=("softmax doubled",)),
        Kind("softmax added", causes=("softmax added",)),
        Kind("log softmax for logits", frameworks=TORCH, causes=("log-softmax added",)),
        Kind("labels permuted", causes=("labels permuted",)),
        Kind("outputs swapped", causes=("outputs swapped",)),
        Kind("sign flipped", layers=("head",), causes=("outputs scaled",)),
        Kind("scale of 1.01", causes=("outputs scaled",)),
        # Layers with other settings.
        Kind(
            "batch norm in training mode", layers=("depthwise_norm",), causes=("batch norm in training mode",)
        ),
        Kind(
            "dropout active",
            frameworks=TORCH,
            layers=("dropout",),
            causes=("dropout active",),
            refusable=FORMATS,
        ),
        Kind("dropout traced", layers=("dropout", "flatten")),
        Kind("another epsilon", layers=("norm",), causes=("another epsilon",)),
        Kind(
            "epsilon below the noise",
            unseen="a relative change of 1e-6 in epsilon moves no output beyond rounding",
        ),
        Kind("padding off by one", layers=("pad", "stem"), causes=("padding off by one",)),
        Kind("padding reflected", frameworks=TORCH, layers=("pad", "stem"), causes=("another padding",)),
        Kind("stride's phase", layers=("resize", "mix")),
        Kind("dilation dropped", layers=("grouped", "dilated"), causes=("dilation dropped",)),
        Kind(
            "groups interleaved",
            frameworks=TORCH,
            layers=("max_pool", "grouped"),
            causes=("groups interleaved",),
        ),
        Kind("clip at 6", layers=("hidden_activation",), causes=("activation changed",)),
        Kind("activation changed", layers=("swish",), causes=("activation changed",)),
        Kind("activation's slope", layers=("second_activation",), causes=("activation changed",)),
        Kind("gelu by tanh", layers=("gelu",), causes=("activation changed",)),
        Kind("residual dropped", layers=("residual",), causes=("branch dropped",)),
        Kind("pooling kind", layers=("max_pool",), causes=("another pooling",)),
        Kind("pads counted", layers=("average_pool",), causes=("pooling counts padding",)),
        Kind("resize by nearest", layers=("resize",), causes=("another resize",)),
        Kind("align corners", frameworks=TORCH, layers=("resize",), causes=("align corners",)),
        Kind("flatten order", layers=("flatten", "hidden"), causes=("flatten order",)),
        Kind("fp16 saturation", layers=("depthwise", "depthwise_norm"), causes=("fp16 saturation",)),
        Kind(
            "first of the batch",
            frameworks=TORCH,
            layers=("hidden_activation",),
            causes=("batch mixed",),
        ),
        Kind("batch folded into one", layers=("hidden_activation",), causes=("batch mixed",)),
        # Weights, changed before conversion.
        Kind("weight changed", layers=("third",)),
        Kind("dead weight changed", unseen="the bias of a neuron that no input wakes"),
        Kind("bias dropped", layers=("mix",), causes=("bias dropped",)),
        Kind("channel swapped", layers=("stem",)),
        Kind("kernel flipped", layers=("mix",), causes=("kernel flipped",)),
        Kind("kernel transposed", layers=("mix",), causes=("weight transposed",)),
        Kind("weights transposed", layers=("second",), causes=("weight transposed",)),
        Kind("layers exchanged", layers=("second",), causes=("another layer's weights",)),
        Kind("stale weights"),
        Kind("stale statistics", layers=("norm",)),
        Kind("statistics missing", layers=("norm",), causes=("batch norm statistics missing",)),
        Kind("gamma dropped", layers=("norm",), causes=("norm scale missing",)),
        Kind("truncated weights", causes=("truncated weights",)),
        Kind("weights through float16", causes=("truncated weights", "fp16 saturation")),
        Kind("one layer through float16", layers=("third",), causes=("truncated weights",)),
        Kind("int8 posing as float", layers=("hidden",), causes=("truncated weights",)),
        # What the conversion is told.
        Kind("batch fixed at 1", "spec"),
        Kind("input renamed", "spec"),
        Kind("output renamed", "spec"),
        Kind("output names swapped", "spec", causes=("outputs swapped",)),
        Kind("type of the input", frameworks=TORCH),
        Kind("labels of the file permuted", "spec"),
        Kind("preprocessing of the file dropped", "spec"),
        # The file.
        Kind("NaN in the file", "file", layers=("head",)),
        Kind("Inf in the file", "file", layers=("head",)),
        Kind("weight changed in the file", "file", layers=("head",)),
        Kind(
            "slope changed in the file",
            "file",
            layers=("second_activation",),
            causes=("activation changed",),
        ),
        Kind("stale head in the file", "file", layers=("head",)),
        Kind("file of another model", "file"),
        Kind("file of another architecture", "file"),
        Kind("file cut short", "file"),
        Kind("file empty", "file"),
        Kind("file missing", "file"),
        Kind("file changed after export", "file"),
        # What runs it.
        Kind("the answer before", "runtime"),
        Kind("state kept between runs", "runtime"),
        Kind("another answer by threads", "runtime"),
        Kind("device fallback", "runtime"),
    )
}
