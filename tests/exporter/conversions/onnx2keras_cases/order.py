"""Along one axis: the largest, running sums, one-hot codes, triangles."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, case, image

ORDER = {
    "top_k": case("k = Constant<value_ints=[3]>() v, i = TopK<axis=-1>(x, k) c = Cast<to=11>(i) y = Add(v, c)", x=IMAGE, transposes=2),
    "top_k_smallest_channels": image("k = Constant<value_ints=[2]>() y, i = TopK<axis=1, largest=0>(x, k)"),
    "arg_max_channels": image("i = ArgMax<axis=1>(x) y = Cast<to=11>(i)"),
    "arg_min_last_of_equals": case("f = Floor(x) i = ArgMin<axis=3, select_last_index=1, keepdims=0>(f) y = Cast<to=11>(i)", x=IMAGE, transposes=1),
    "cumulative_sum": image("a = Constant<value_int=2>() y = CumSum(x, a)"),
    "cumulative_sum_exclusive_reverse": image("a = Constant<value_int=-1>() y = CumSum<exclusive=1, reverse=1>(x, a)"),
    "cumulative_product": case("a = Constant<value_int=1>() y = CumProd<exclusive=1>(x, a)", x=IMAGE, opset=26),
    "one_hot": case(
        "h = Constant<value=double {3.9}>() a = Abs(x) b = Min(a, h) i = Cast<to=7>(b) d = Constant<value_int=5>() v = Constant<value=double[2] {-1.0, 2.0}>() "
        "y = OneHot<axis=1>(i, d, v)",
        x=(3, 4),
    ),
    "upper_triangle": image("k = Constant<value_int=1>() y = Trilu(x, k)"),
    "lower_triangle": image("y = Trilu<upper=0>(x)"),
}  # fmt: skip
