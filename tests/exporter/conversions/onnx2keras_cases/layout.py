"""Chains of operators, for the order of axes between them."""

from __future__ import annotations

from onnx2keras_cases.case import BN, IMAGE, N, case, image

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
        x=IMAGE, w=(5, 4, 2, 2), v=(5, 6),
    ),
    "channel_shuffle": case(
        "t = Constant<value_ints=[-1,2,2,9,8]>() a = Reshape(x, t) b = Transpose<perm=[0,2,1,3,4]>(a) "
        "u = Constant<value_ints=[-1,4,9,8]>() c = Reshape(b, u) y = Conv(c, w)",
        x=IMAGE, w=(5, 4, 3, 3), transposes=1,
    ),
    "undeclared_layout": case("y = Conv(x, w)", x=IMAGE, w=(5, 4, 3, 3), layout="", transposes=2),
    "reduce_then_conv": image("a = Constant<value_ints=[2]>() r = ReduceMax(x, a) y = Conv(r, w)", w=(5, 4, 1, 3)),
    "residual": image("a = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(a, scale, bias, mean, var) s = Add(x, n) y = Relu(s)", w=(4, 4, 3, 3), **BN),
    "input_as_output": image("z = Relu(x) y = Identity(x)"),
    "defined_by_onnx_alone": case("b = ThresholdedRelu(x) y = Shrink<bias=0.1>(b)", x=IMAGE, within=1e-7),
    "group_normalization_taken_apart": case(
        "t = Constant<value_ints=[0,2,-1]>() g = Reshape(x, t) s = Constant<value=double[2] {1.0,1.0}>() z = Constant<value=double[2] {0.0,0.0}>() "
        "n = InstanceNormalization(g, s, z) u = Constant<value_ints=[0,4,9,8]>() r = Reshape(n, u) m = Mul(r, w) y = Add(m, b)",
        x=IMAGE, w=(4, 1, 1), b=(4, 1, 1), within=1e-5,
    ),
    "group_normalization_of_rows": case(  # its scale is no channel's: nothing to put together
        "t = Constant<value_ints=[0,2,-1]>() g = Reshape(x, t) s = Constant<value=double[2] {1.0,1.0}>() z = Constant<value=double[2] {0.0,0.0}>() "
        "n = InstanceNormalization(g, s, z) u = Constant<value_ints=[0,4,9,8]>() r = Reshape(n, u) y = Mul(r, w)",
        x=IMAGE, w=(9, 1), within=1e-5,
    ),
    # What is added comes turned and stays turned: the sum is taken in ONNX's order, for what reads it.
    "tokens_mixed_and_added": case(
        "n = Relu(x) a = Transpose<perm=[0,2,1]>(n) b = MatMul(a, w) c = Transpose<perm=[0,2,1]>(b) s = Add(c, x) "
        "d = MatMul(s, v) t = Add(d, s) y = MatMul(t, v)",
        x=(N, 5, 6), w=(5, 5), v=(6, 6), transposes=2,
    ),
    # One move for all three, and the transposed factor of the product.
    "attention_from_one_product": case(
        "s = Constant<value_ints=[0,5,3,2,4]>() r = Reshape(x, s) t = Transpose<perm=[2,0,3,1,4]>(r) "
        "a, b, c = Split<axis=0, num_outputs=3>(t) o = Constant<value_ints=[0]>() q = Squeeze(a, o) k = Squeeze(b, o) "
        "v = Squeeze(c, o) kt = Transpose<perm=[0,1,3,2]>(k) m = MatMul(q, kt) p = Softmax(m) n = MatMul(p, v) "
        "u = Transpose<perm=[0,2,1,3]>(n) z = Constant<value_ints=[0,5,8]>() y = Reshape(u, z)",
        x=(N, 5, 24), transposes=3,
    ),
    # Batch and heads are merged, and split again behind the transpose.
    "attention_keys_as_torch_turns_them": case(
        "s = Constant<value_ints=[-1,5,4]>() r = Reshape(x, s) t = Transpose<perm=[0,2,1]>(r) "
        "u = Constant<value_ints=[-1,2,4,5]>() k = Reshape(t, u) y = MatMul(x, k)",
        x=(N, 2, 5, 4), layout="", transposes=1,
    ),
    "attention_heads_of_sequences_first": case(
        "s = Constant<value_ints=[5,-1,4]>() r = Reshape(x, s) t = Transpose<perm=[1,0,2]>(r) "
        "u = Constant<value_ints=[-1,2,5,4]>() y = Reshape(t, u)",
        x=(5, N, 8), transposes=1,
    ),
    "gemm_between_flat_rows": case(
        "s = Constant<value_ints=[-1,8]>() r = Reshape(x, s) g = Gemm<transB=1>(r, w, b) "
        "u = Constant<value_ints=[5,-1,6]>() a = Reshape(g, u) y = Transpose<perm=[1,0,2]>(a)",
        x=(5, N, 2, 4), layout="", w=(6, 8), b=(6,), transposes=1,
    ),
    "gemm_between_other_rows": case(
        "s = Constant<value_ints=[-1,8]>() r = Reshape(x, s) g = Gemm(r, w) u = Constant<value_ints=[-1,5,3,6]>() "
        "y = Reshape(g, u)",
        x=(N, 3, 5, 8), layout="", w=(8, 6),
    ),
    # The heads come to stand before the features, with which they are merged, and the sequences stay where they are.
    "attention_heads_merged_again": case(
        "t = Transpose<perm=[2,0,1,3]>(x) s = Constant<value_ints=[5,-1,8]>() r = Reshape(t, s) d = MatMul(r, w) "
        "y = Transpose<perm=[1,0,2]>(d)",
        x=(N, 2, 5, 4), layout="", w=(8, 6), transposes=1,
    ),
}  # fmt: skip
