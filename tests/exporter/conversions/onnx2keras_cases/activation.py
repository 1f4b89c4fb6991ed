"""Activation functions."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

ACTIVATION = {
    name.lower(): image(f"y = {name}(x)")
    for name in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Mish", "Elu", "LeakyRelu")
} | {
    "selu": case("y = Selu(x)", x=IMAGE, within=1e-7),
    "hardswish": case("y = HardSwish(x)", x=IMAGE, within=1e-7),
    "hardsigmoid": case("y = HardSigmoid(x)", x=IMAGE, within=1e-7),
    "gelu": case("y = Gelu(x)", x=IMAGE, within=1e-7),
    "hardsigmoid_of_torch": case("y = HardSigmoid<alpha=0.16666667>(x)", x=IMAGE, within=1e-7),
    "leakyrelu_alpha": image("y = LeakyRelu<alpha=0.2>(x)"),
    "elu_alpha": image("y = Elu<alpha=0.5>(x)"),
    "gelu_tanh": case('y = Gelu<approximate="tanh">(x)', x=IMAGE, within=1e-7),
    "prelu_channels": image("y = PRelu(x, s)", s=(4, 1, 1)),
    "prelu_one": image("y = PRelu(x, s)", s=(1,)),
    "prelu_rank_2": case("y = PRelu(x, s)", x=(N, 6), s=(6,)),
    "softmax": case("y = Softmax(x)", x=(N, 6)),
    "softmax_over_channels": image("y = Softmax<axis=1>(x)"),
    "softmax_opset_11": case("y = Softmax(x)", x=(N, 6), opset=11),
    "log_softmax": image("y = LogSoftmax<axis=1>(x)"),
    "clip": image(
        "l = Constant<value=double {-0.5}>() h = Constant<value=double {0.25}>() y = Clip(x, l, h)"
    ),
    "clip_relu6": image(
        "l = Constant<value=double {0.0}>() h = Constant<value=double {6.0}>() y = Clip(x, l, h)"
    ),
    "clip_below": image("l = Constant<value=double {-0.5}>() y = Clip(x, l)"),
    "clip_above": image('h = Constant<value=double {0.5}>() y = Clip(x, "", h)'),
}
