"""Arithmetic, element by element."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

ELEMENTWISE = {
    "add_channels": image("y = Add(x, c)", c=(4, 1, 1)),
    "add_rows_as_many_as_channels": case("y = Add(x, c)", x=(N, 4, 4, 8), c=(4, 1)),
    "add_rows_of_one_sample": case("y = Add(x, x2)", x=(1, 4, 4, 8), x2=(1, 1, 4, 1)),
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
    # A vector as long as two axes: Keras's addition on TensorFlow takes it for a bias of the last one, or of axis 1.
    "add_rows_of_a_cube": case("y = Add(x, r)", x=(N, 5, 5, 5), r=(5, 1)),
    "add_columns_of_a_cube": case("y = Add(x, x2)", x=(3, 5, 5), x2=(1, 5, 1)),
    "add_two_vectors_across": case("y = Add(x, x2)", x=(1, 5, 1), x2=(1, 1, 5)),
    "add_samples_as_many_as_features": case("y = Add(x, x2)", x=(N, 3), x2=(N, 1)),
    "gelu_written_out": case(
        "r = Constant<value=double {1.4142135623730951}>() o = Constant<value=double {1.0}>() h = Constant<value=double {0.5}>() "
        "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m, h)", x=IMAGE, within=1e-7,
    ),
    "lower_rank_tensor": case("y = Add(x, x2)", x=IMAGE, x2=(9, 8)),
    "lower_rank_columns": case("y = Mul(x2, x)", x=IMAGE, x2=(8,)),
    "mean_of_three": image("a = Neg(x) b = Exp(x) y = Mean(x, a, b)"),
    "trigonometry": case("a = Sinh(x) b = Tan(x) c = Atan(b) d = Asinh(a) e = Cosh(x) f = Acosh(e) g = Sin(x) h = Asin(g) i = Acos(g) j = Tanh(g) k = Atanh(j) y = Sum(c, d, f, h, i, k)", x=IMAGE, within=1e-12),
    "integer_division": image("t = Constant<value=double {9.0}>() s = Mul(x, t) i = Cast<to=7>(s) d = Constant<value=int64 {4}>() q = Div(i, d) y = Cast<to=11>(q)"),
    "mod": image("t = Constant<value=double {9.0}>() s = Mul(x, t) i = Cast<to=7>(s) d = Constant<value=int64 {-4}>() q = Mod(i, d) y = Cast<to=11>(q)"),
    "fmod": case("d = Constant<value=double {0.25}>() y = Mod<fmod=1>(x, d)", x=IMAGE),
    "pow_fraction_of_whole": image("i = Cast<to=7>(x) e = Constant<value=double {0.5}>() a = Abs(i) p = Pow(a, e) y = Cast<to=11>(p)"),
}  # fmt: skip
