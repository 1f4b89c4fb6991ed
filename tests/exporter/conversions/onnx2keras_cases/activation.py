"""Activation functions."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

# The reference implementation takes float32 alone.
CELU = """a = Constant<value=double {2.0}>() z = Constant<value=double {0.0}>() o = Constant<value=double {1.0}>()
s = Div(x, a) e = Exp(s) m = Sub(e, o) t = Mul(m, a) l = Min(t, z) h = Max(x, z) y = Add(h, l)"""

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
    "selu_constants": image("y = Selu<alpha=2.0, gamma=3.0>(x)"),
    "celu": case("y = Celu<alpha=2.0>(x)", x=IMAGE, within=1e-7, means=CELU),
    "celu_of_1": case("y = Celu(x)", x=IMAGE, means="y = Elu(x)"),
    "thresholdedrelu": image("y = ThresholdedRelu<alpha=0.5>(x)"),
    "shrink": image("y = Shrink<lambd=0.75, bias=0.25>(x)"),
    "shrink_hard": image("y = Shrink(x)"),
    "swish": case("y = Swish(x)", x=IMAGE, opset=24, means="s = Sigmoid(x) y = Mul(x, s)"),
    "swish_alpha": case(
        "y = Swish<alpha=0.5>(x)", x=IMAGE, opset=24,
        means="a = Constant<value=double {0.5}>() h = Mul(x, a) s = Sigmoid(h) y = Mul(x, s)",
    ),
    "prelu_images": image("y = PRelu(x, s)", s=(4, 9, 8)),
    "prelu_columns": image("y = PRelu(x, s)", s=(8,)),
    "prelu_computed": image("s = Neg(x) y = PRelu(x, s)"),
    "prelu_of_each_sample": case("y = PRelu(x, s)", x=(3, 6), s=(3, 1)),
    "prelu_of_a_vector": case("y = PRelu(x, s)", x=(6,), s=(1,)),
    "softmax_opset_11_of_images": case(
        "y = Softmax<axis=1>(x)", x=IMAGE, opset=11,
        means="f = Flatten<axis=1>(x) s = Softmax<axis=1>(f) t = Shape(x) y = Reshape(s, t)",
    ),
    "softmax_opset_11_of_points": case(
        "p = GlobalAveragePool(x) y = Softmax<axis=1>(p)", x=IMAGE, opset=11, transposes=0
    ),
    "log_softmax_opset_11_of_images": case(
        "y = LogSoftmax<axis=2>(x)", x=IMAGE, opset=11,
        means="f = Flatten<axis=2>(x) s = LogSoftmax<axis=1>(f) t = Shape(x) y = Reshape(s, t)",
    ),
    "hardmax": image("y = Hardmax<axis=1>(x)"),
    "hardmax_of_rows": case("y = Hardmax(x)", x=(N, 6)),
    "clip_computed": case("y = Clip(x, x2, x3)", x=IMAGE, x2=(), x3=()),
    "clip_computed_above": case('y = Clip(x, "", x2)', x=IMAGE, x2=()),
}  # fmt: skip
