"""Small ONNX graphs, each a line or a few in ONNX's own text form, with the shapes of its inputs and weights.

Everything is float64, so that an error is an error and not rounding. Names that start with ``x`` are inputs (``N`` is
the dynamic batch), all others become random weights; ``var`` is positive, and ``k`` distinct small integers.
"""

from __future__ import annotations

from dataclasses import dataclass

N = "N"
Dims = tuple[int | str, ...]

IMAGE: Dims = (N, 4, 9, 8)
BN = {"scale": (4,), "bias": (4,), "mean": (4,), "var": (4,)}


@dataclass(frozen=True)
class Case:
    """``transposes`` is how many are left in the TensorFlow graph; ``within`` the largest relative error."""

    text: str
    shapes: dict[str, Dims]
    transposes: int = 0
    within: float = 1e-13
    opset: int = 20
    layout: str = "NCHW"


def case(
    text: str,
    *,
    transposes: int = 0,
    within: float = 1e-13,
    opset: int = 20,
    layout: str = "NCHW",
    **shapes: Dims,
) -> Case:
    return Case(text, shapes, transposes, within, opset, layout)


def image(text: str, **shapes: Dims) -> Case:
    """One image in."""
    return Case(text, {"x": IMAGE, **shapes})


CONVOLUTION = {
    "conv_valid": image("y = Conv(x, w)", w=(5, 4, 3, 3)),
    "conv_same_bias": image("y = Conv<pads=[1,1,1,1]>(x, w, b)", w=(5, 4, 3, 3), b=(5,)),
    "conv_same_even_kernel_pads_after": image("y = Conv<pads=[0,0,1,1]>(x, w)", w=(5, 4, 2, 2)),
    "conv_even_kernel_pads_before": image("y = Conv<pads=[1,1,0,0]>(x, w)", w=(5, 4, 2, 2)),
    "conv_stride_2_pads_1": image("y = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)", w=(5, 4, 3, 3)),
    "conv_stride_2_1": image("y = Conv<strides=[2,1], pads=[1,1,1,1]>(x, w)", w=(5, 4, 3, 3)),
    "conv_asymmetric_pads": image("y = Conv<pads=[0,2,1,3]>(x, w)", w=(5, 4, 3, 3)),
    "conv_dilated": image("y = Conv<dilations=[2,2], pads=[2,2,2,2]>(x, w)", w=(5, 4, 3, 3)),
    "conv_dilated_valid": image("y = Conv<dilations=[3,2]>(x, w)", w=(5, 4, 2, 3)),
    "conv_1x7": image("y = Conv<pads=[0,3,0,3]>(x, w)", w=(5, 4, 1, 7)),
    "conv_1x1_stride_2": image("y = Conv<strides=[2,2]>(x, w)", w=(5, 4, 1, 1)),
    "conv_grouped": image("y = Conv<group=2, pads=[1,1,1,1]>(x, w, b)", w=(6, 2, 3, 3), b=(6,)),
    "conv_depthwise": image("y = Conv<group=4, pads=[1,1,1,1]>(x, w, b)", w=(4, 1, 3, 3), b=(4,)),
    "conv_depthwise_multiplier": image("y = Conv<group=4, strides=[2,2]>(x, w)", w=(12, 1, 3, 3)),
    "conv_depthwise_dilated": image("y = Conv<group=4, dilations=[2,2]>(x, w)", w=(4, 1, 3, 3)),
    "conv_one_channel_group_1": case("y = Conv<pads=[1,1,1,1]>(x, w)", x=(N, 1, 8, 8), w=(3, 1, 3, 3)),
    "conv_same_upper": image('y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', w=(5, 4, 3, 3)),
    "conv_same_lower": image('y = Conv<auto_pad="SAME_LOWER", strides=[2,2]>(x, w)', w=(5, 4, 3, 3)),
    "conv_auto_valid": image('y = Conv<auto_pad="VALID">(x, w)', w=(5, 4, 3, 3)),
    "conv_dynamic_image": case(
        "y = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)", x=(N, 4, "H", "W"), w=(5, 4, 3, 3)
    ),
    "conv_twice_with_the_same_weights": image(
        "a = Conv<pads=[1,1,1,1]>(x, w) y = Conv<pads=[1,1,1,1]>(a, w)", w=(4, 4, 3, 3)
    ),
    "conv_fixed_batch": case("y = Conv(x, w)", x=(2, 4, 9, 8), w=(5, 4, 3, 3)),
}
POOLING = {
    "max_pool": image("y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    "max_pool_pads_of_negatives": image("y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    "max_pool_pads_after_relu": image(
        "r = Relu(x) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r)"
    ),
    "max_pool_same": image("y = MaxPool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]>(x)"),
    "max_pool_ceil": image("y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    "max_pool_ceil_pads": image(
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x)"
    ),
    "max_pool_same_lower": image('y = MaxPool<kernel_shape=[2,2], auto_pad="SAME_LOWER">(x)'),
    "average_pool": image("y = AveragePool<kernel_shape=[2,3], strides=[2,2]>(x)"),
    "average_pool_pads": image("y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    "average_pool_same": image("y = AveragePool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]>(x)"),
    "average_pool_counting_pads": image(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>(x)"
    ),
    "average_pool_ceil": image("y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    "average_pool_ceil_counting_pads": image(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1, count_include_pad=1>(x)"
    ),
    "global_average_pool": image("y = GlobalAveragePool(x)"),
    "global_max_pool": image("y = GlobalMaxPool(x)"),
}
DENSE = {
    "gemm": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(5,)),
    "gemm_transposed_scaled": case(
        "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)", x=(N, 6), w=(5, 6), b=(1, 5)
    ),
    "gemm_without_bias": case("y = Gemm(x, w)", x=(N, 6), w=(6, 5)),
    "gemm_scalar_bias": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(1,)),
    "matmul": case("y = MatMul(x, w)", x=(N, 6), w=(6, 5)),
    "matmul_add": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 6), w=(6, 5), b=(5,)),
    # Keras's Dense on rank 3 is tf.tensordot, which transposes by (0, 1, 2) where the batch is dynamic.
    "matmul_add_rank_3": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 3, 6), w=(6, 5), b=(5,), transposes=1),
    "matmul_add_read_twice": case("m = MatMul(x, w) a = Add(m, b) y = Mul(a, m)", x=(N, 6), w=(6, 5), b=(5,)),
}
NORMALIZATION = {
    "batch_normalization": image("y = BatchNormalization<epsilon=0.001>(x, scale, bias, mean, var)", **BN),
    "batch_normalization_rank_2": case("y = BatchNormalization(x, scale, bias, mean, var)", x=(N, 4), **BN),
    "layer_normalization": case("y = LayerNormalization(x, g, b)", within=1e-6, x=(N, 3, 6), g=(6,), b=(6,)),
    "layer_normalization_without_bias": case(
        "y = LayerNormalization<axis=1>(x, g)", within=1e-6, x=(N, 6), g=(6,)
    ),
}
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
ELEMENTWISE = {
    "add_channels": image("y = Add(x, c)", c=(4, 1, 1)),
    "add_columns": image("y = Add(c, x)", c=(8,)),
    "add_image": image("y = Add(x, c)", c=(1, 4, 9, 8)),
    "sub_from_one": image("c = Constant<value=double {1.0}>() y = Sub(c, x)"),
    "mul_rows": image("y = Mul(x, c)", c=(9, 1)),
    "div": image("y = Div(x, var)", var=(1, 4, 1, 1)),
    "pow": image("e = Constant<value=double {2.0}>() y = Pow(x, e)"),
    "pow_integer_exponent": image("e = Constant<value_int=3>() y = Pow(x, e)"),
    "add_itself": image("y = Add(x, x)"),
    "max_of_three": image("a = Neg(x) b = Exp(x) y = Max(x, a, b)"),
    "min": image("y = Min(x, c)", c=(4, 1, 1)),
    "sum": image("a = Neg(x) b = Sin(x) y = Sum(a, b, x)"),
    "unary": case("a = Abs(x) b = Sqrt(a) c = Log(b) d = Cos(c) e = Erf(d) f = Reciprocal(e) g = Sign(f) h = Floor(c) i = Ceil(c) j = Round(f) y = Sum(f, g, h, i, j)", x=IMAGE, within=1e-7),
    "channels_times_image": image("p = GlobalAveragePool(x) y = Mul(p, x)"),
    "lower_rank_tensor": case("y = Add(x, x2)", x=IMAGE, x2=(9, 8), transposes=2),
}  # fmt: skip
SHAPE = {
    "identity": image("y = Identity(x)"),
    "dropout": image("y = Dropout(x)"),
    "concat_channels": image("a = Relu(x) y = Concat<axis=1>(x, a)"),
    "concat_width": image("a = Relu(x) y = Concat<axis=-1>(a, x)"),
    "concat_features": case("a = Relu(x) y = Concat<axis=1>(x, a)", x=(N, 6)),
    "pad": image("p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad(x, p)"),
    "pad_value_of_channels": image("p = Constant<value_ints=[1,2]>() v = Constant<value=double {3.0}>() a = Constant<value_ints=[1]>() y = Pad(x, p, v, a)"),
    "pad_reflect": image('p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad<mode="reflect">(x, p)'),
    "slice_channels": image("s = Constant<value_ints=[1]>() e = Constant<value_ints=[3]>() a = Constant<value_ints=[1]>() y = Slice(x, s, e, a)"),
    "slice_steps": image("s = Constant<value_ints=[1,-7]>() e = Constant<value_ints=[9223372036854775807,-1]>() a = Constant<value_ints=[2,3]>() t = Constant<value_ints=[2,3]>() y = Slice(x, s, e, a, t)"),
    "split_channels": image("s = Constant<value_ints=[1,3]>() a, b = Split<axis=1>(x, s) y = Concat<axis=1>(b, a)"),
    "split_evenly": image("a, b = Split<axis=1, num_outputs=2>(x) y = Add(a, b)"),
    "squeeze": case("a = Constant<value_ints=[2,3]>() p = GlobalAveragePool(x) y = Squeeze(p, a)", x=IMAGE),
    "unsqueeze": case("a = Constant<value_ints=[2,3]>() y = Unsqueeze(x, a)", x=(N, 6)),
    "cast": case("a = Cast<to=1>(x) y = Cast<to=11>(a)", x=IMAGE, within=1e-6),
    "cast_like": image("e = Constant<value_int=2>() c = CastLike(e, x) y = Mul(x, c)"),
    "pad_opset_10": case("y = Pad<pads=[0,0,1,1,0,0,1,1]>(x)", x=IMAGE, opset=10),
    "slice_opset_9": case("y = Slice<starts=[1], ends=[3], axes=[1]>(x)", x=IMAGE, opset=9),
    "squeeze_opset_11": case("p = GlobalAveragePool(x) y = Squeeze<axes=[2,3]>(p)", x=IMAGE, opset=11),
    "dropout_opset_10": case("y = Dropout<ratio=0.3>(x)", x=IMAGE, opset=10),
    "clip_opset_10": case("y = Clip<min=-0.5, max=0.5>(x)", x=IMAGE, opset=10, within=1e-7),
}  # fmt: skip
REDUCTION = {
    "reduce_mean_image": image("a = Constant<value_ints=[2,3]>() y = ReduceMean(x, a)"),
    "reduce_mean_image_to_features": image(
        "a = Constant<value_ints=[-1,-2]>() y = ReduceMean<keepdims=0>(x, a)"
    ),
    "reduce_max_image": image("a = Constant<value_ints=[2,3]>() y = ReduceMax(x, a)"),
    "reduce_sum_channels": image("a = Constant<value_ints=[1]>() y = ReduceSum<keepdims=0>(x, a)"),
    "reduce_min_rows": image("a = Constant<value_ints=[2]>() y = ReduceMin(x, a)"),
    "reduce_prod": image("a = Constant<value_ints=[1,3]>() y = ReduceProd<keepdims=0>(x, a)"),
    "reduce_mean_opset_13": case("y = ReduceMean<axes=[2,3], keepdims=0>(x)", x=IMAGE, opset=13),
}
LAYOUT = {
    "flatten_into_gemm": image("f = Flatten(x) y = Gemm(f, w, b)", w=(288, 5), b=(5,)),
    "flatten_relu_norm_dropout_into_gemm": image(
        "f = Flatten(x) r = Relu(f) n = BatchNormalization(r, scale, bias, mean, var) d = Dropout(n) m = Mul(d, k) "
        "y = Gemm<transB=1>(m, w)",
        scale=(288,), bias=(288,), mean=(288,), var=(288,), k=(288,), w=(5, 288),
    ),
    "flatten_sum_of_two_into_matmul": image("f = Flatten(x) r = Relu(f) s = Sigmoid(f) a = Add(r, s) y = MatMul(a, w)", w=(288, 5)),
    "reshape_into_gemm": image("t = Constant<value_ints=[-1,288]>() f = Reshape(x, t) y = Gemm(f, w)", w=(288, 5)),
    "reshape_by_running_shape": image(
        "s = Shape<start=0, end=1>(x) m = Constant<value_ints=[288]>() t = Concat<axis=0>(s, m) "
        "f = Reshape(x, t) y = Gemm(f, w)",
        w=(288, 5),
    ),
    "flatten_as_output": case("y = Flatten(x)", x=IMAGE, transposes=1),
    "flatten_of_one_channel": case("y = Flatten(x)", x=(N, 1, 9, 8)),
    "flatten_after_global_pool": image("p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, w)", w=(4, 5)),
    "flatten_softmax_into_gemm": image("f = Flatten(x) s = Softmax(f) y = Gemm(s, w)", w=(288, 5)),
    "flatten_into_concat": case("f = Flatten(x) y = Concat<axis=1>(f, x2)", x=IMAGE, x2=(N, 3), transposes=1),
    "flatten_meets_features": case("f = Flatten(x) y = Add(f, x2)", x=IMAGE, x2=(N, 288), transposes=1),
    "flatten_meets_one_column": case("f = Flatten(x) a = Add(f, x2) y = Gemm(a, w)", x=IMAGE, x2=(N, 1), w=(288, 5)),
    "squeeze_and_excite": image(
        "p = GlobalAveragePool(x) a = Conv(p, v) r = Relu(a) b = Conv(r, w) s = Sigmoid(b) y = Mul(x, s)",
        v=(2, 4, 1, 1), w=(4, 2, 1, 1),
    ),
    "squeeze_and_excite_dense": image(
        "p = GlobalAveragePool(x) f = Flatten(p) a = Gemm(f, v) r = Relu(a) b = Gemm(r, w) s = Sigmoid(b) "
        "t = Constant<value_ints=[2,3]>() u = Unsqueeze(s, t) y = Mul(x, u)",
        v=(4, 2), w=(2, 4),
    ),
    "transposes_cancel": image("a = Transpose<perm=[0,2,3,1]>(x) b = Relu(a) y = Transpose<perm=[0,3,1,2]>(b)"),
    "norm_between_transposes": case(
        "a = Transpose<perm=[0,2,3,1]>(x) b = LayerNormalization(a, g, h) c = Transpose<perm=[0,3,1,2]>(b) y = Conv(c, w)",
        x=IMAGE, g=(4,), h=(4,), w=(5, 4, 3, 3), within=1e-6,
    ),
    "channels_last_from_the_start": case(
        "a = Transpose<perm=[0,3,1,2]>(x) b = Conv(a, w) y = Transpose<perm=[0,2,3,1]>(b)",
        x=(N, 9, 8, 4), w=(5, 4, 3, 3), layout="NHWC",
    ),
    "image_to_tokens": case(
        "c = Conv<strides=[2,2]>(x, w) t = Constant<value_ints=[0,5,16]>() r = Reshape(c, t) "
        "a = Transpose<perm=[0,2,1]>(r) y = MatMul(a, v)",
        x=IMAGE, w=(5, 4, 2, 2), v=(5, 6), transposes=1,  # tf.tensordot, as above
    ),
    "channel_shuffle": case(
        "t = Constant<value_ints=[-1,2,2,9,8]>() a = Reshape(x, t) b = Transpose<perm=[0,2,1,3,4]>(a) "
        "u = Constant<value_ints=[-1,4,9,8]>() c = Reshape(b, u) y = Conv(c, w)",
        x=IMAGE, w=(5, 4, 3, 3), transposes=2,
    ),
    "undeclared_layout": case("y = Conv(x, w)", x=IMAGE, w=(5, 4, 3, 3), layout="", transposes=2),
    "reduce_then_conv": image("a = Constant<value_ints=[2]>() r = ReduceMax(x, a) y = Conv(r, w)", w=(5, 4, 1, 3)),
    "residual": image("a = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(a, scale, bias, mean, var) s = Add(x, n) y = Relu(s)", w=(4, 4, 3, 3), **BN),
    "input_as_output": image("z = Relu(x) y = Identity(x)"),
}  # fmt: skip

CASES = CONVOLUTION | POOLING | DENSE | NORMALIZATION | ACTIVATION | ELEMENTWISE | SHAPE | REDUCTION | LAYOUT
