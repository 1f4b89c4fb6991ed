"""Reductions."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, case, image

REDUCTION = {
    "reduce_mean_image": image("a = Constant<value_ints=[2,3]>() y = ReduceMean(x, a)"),
    "reduce_mean_image_to_features": image(
        "a = Constant<value_ints=[-1,-2]>() y = ReduceMean<keepdims=0>(x, a)"
    ),
    "reduce_max_image": image("a = Constant<value_ints=[2,3]>() y = ReduceMax(x, a)"),
    "reduce_sum_channels": image("a = Constant<value_ints=[1]>() y = ReduceSum<keepdims=0>(x, a)"),
    "reduce_min_rows": image("a = Constant<value_ints=[2]>() y = ReduceMin(x, a)"),
    "reduce_prod": image("a = Constant<value_ints=[1,3]>() y = ReduceProd<keepdims=0>(x, a)"),
    "reduce_l1": image("a = Constant<value_ints=[1]>() y = ReduceL1(x, a)"),
    "reduce_l2": image("a = Constant<value_ints=[2,3]>() y = ReduceL2<keepdims=0>(x, a)"),
    "reduce_log_sum": image("e = Exp(x) a = Constant<value_ints=[1]>() y = ReduceLogSum(e, a)"),
    "reduce_log_sum_exp": image("a = Constant<value_ints=[1,2]>() y = ReduceLogSumExp(x, a)"),
    "reduce_sum_square": image("a = Constant<value_ints=[-1]>() y = ReduceSumSquare(x, a)"),
    "reduce_then_flatten": image("a = Constant<value_ints=[2,3]>() m = ReduceMean(x, a) y = Flatten(m)"),
    "reduce_then_squeeze_another": image(
        "a = Constant<value_ints=[1,2]>() m = ReduceMax(x, a) b = Constant<value_ints=[1]>() y = Squeeze(m, b)"
    ),
    "reduce_read_twice": image(
        "a = Constant<value_ints=[2,3]>() m = ReduceMean(x, a) f = Flatten(m) r = Mul(x, m) "
        "s = ReduceSum<keepdims=0>(r, a) y = Add(f, s)"
    ),
    "pool_then_reshape": image("p = GlobalMaxPool(x) s = Constant<value_ints=[-1,4]>() y = Reshape(p, s)"),
    "pool_then_gemm": image("p = GlobalAveragePool(x) f = Flatten(p) y = Gemm(f, w, b)", w=(4, 6), b=(6,)),
    "reduce_nothing": image("y = ReduceSum<noop_with_empty_axes=1>(x)"),
    "reduce_mean_opset_13": case("y = ReduceMean<axes=[2,3], keepdims=0>(x)", x=IMAGE, opset=13),
}
