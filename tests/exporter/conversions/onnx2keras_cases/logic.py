"""Comparisons and logic; the result is cast, so that it can be compared."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, case, image

LOGIC = {
    f"compare_{op.lower()}": case(f"f = Floor(x) o = Neg(f) b = {op}(f, o) y = Cast<to=11>(b)", x=IMAGE)
    for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
} | {
    "logic_of_masks": image(
        "z = Constant<value=double {0.0}>() p = Greater(x, z) q = Less(x, c) a = And(p, q) o = Or(a, q) e = Xor(o, p) n = Not(e) y = Cast<to=11>(n)",
        c=(4, 1, 1),
    ),
    "where_mask": image("z = Constant<value=double {0.5}>() p = Greater(x, z) n = Neg(x) y = Where(p, n, z)"),
    "where_constant_mask": image("z = Constant<value=double {0.5}>() p = Greater(c, z) y = Where(p, x, c)", c=(4, 1, 8)),
    "nan_and_infinity": image("l = Log(x) n = IsNaN(l) i = IsInf(l) j = IsInf<detect_negative=0>(l) k = Or(n, i) m = Or(k, j) y = Cast<to=11>(m)"),
    "bits": image(
        "t = Constant<value=double {9.0}>() s = Mul(x, t) i = Cast<to=6>(s) m = Constant<value=int32 {12}>() a = BitwiseAnd(i, m) o = BitwiseOr(a, m) "
        "e = BitwiseXor(o, i) n = BitwiseNot(e) y = Cast<to=11>(n)"
    ),
    "shift_bits": image(
        "t = Constant<value=double {9.0}>() s = Mul(x, t) i = Cast<to=6>(s) m = Constant<value=int32 {2}>() l = BitShift<direction=\"LEFT\">(i, m) y = Cast<to=11>(l)"
    ),
}  # fmt: skip
