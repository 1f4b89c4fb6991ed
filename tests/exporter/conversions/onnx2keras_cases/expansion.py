"""Tensors of a wanted shape, with a dynamic batch."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

EXPANSION = {
    "expand_channels": case(
        "s = Constant<value_ints=[1,5,1,1]>() y = Expand(x, s)", x=(N, 1, 9, 8)
    ),
    "expand_rank": case("s = Constant<value_ints=[2,1,6]>() y = Expand(x, s)", x=(N, 6), transposes=0),
    "class_token": case(
        "b = Shape<start=0, end=1>(x) r = Constant<value_ints=[1,8]>() s = Concat<axis=0>(b, r) e = Expand(c, s) "
        "t = Constant<value_ints=[0,36,8]>() p = Reshape(x, t) y = Concat<axis=1>(e, p)",
        x=IMAGE, c=(1, 1, 8), transposes=1,
    ),
    "zeros_of_the_batch": image(
        "b = Shape<start=0, end=1>(x) two = Constant<value_ints=[2]>() d = Mul(b, two) r = Constant<value_ints=[3]>() "
        "s = Concat<axis=0>(d, r) z = ConstantOfShape<value=double[1] {0.5}>(s) y = Identity(z)"
    ),
    "tile": image("t = Constant<value_ints=[1,2,1,3]>() y = Tile(x, t)"),
    "shape_as_output": image("s = Shape(x) y = Cast<to=11>(s)"),
    "size_as_output": image("s = Size(x) y = Cast<to=11>(s)"),
    "reshape_by_batch_times_constant": case(
        "s = Shape(x) z = Constant<value_ints=[0]>() b = Gather(s, z) f = Constant<value_ints=[4]>() m = Mul(b, f) "
        "r = Constant<value_ints=[9,8]>() t = Concat<axis=0>(m, r) y = Reshape(x, t)", x=IMAGE, transposes=1
    ),
    "branch_by_shape": image(
        "i = Constant<value_int=1>() s = Shape(x) n = Gather(s, i) f = Constant<value_int=4>() c = Equal(n, f) "
        "y = If(c) <then_branch = t () => (double[N,4,9,8] p) { p = Relu(x) }, else_branch = e () => (double[N,4,9,8] q) { q = Neg(x) }>"
    ),
}  # fmt: skip
