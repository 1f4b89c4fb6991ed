"""Operators that move, cut and name elements."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

SHAPE = {
    "identity": image("y = Identity(x)"),
    "dropout": image("y = Dropout(x)"),
    "dropout_mask": image("a, m = Dropout(x) c = Cast<to=11>(m) y = Add(a, c)"),
    "concat_channels": image("a = Relu(x) y = Concat<axis=1>(x, a)"),
    "concat_width": image("a = Relu(x) y = Concat<axis=-1>(a, x)"),
    "concat_features": case("a = Relu(x) y = Concat<axis=1>(x, a)", x=(N, 6)),
    "pad": image("p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad(x, p)"),
    "pad_value_of_channels": image("p = Constant<value_ints=[1,2]>() v = Constant<value=double {3.0}>() a = Constant<value_ints=[1]>() y = Pad(x, p, v, a)"),
    "pad_reflect": image('p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad<mode="reflect">(x, p)'),
    "concat_constant": case("y = Concat<axis=2>(c, x)", x=(2, 4, 9, 8), c=(2, 4, 1, 8)),
    "pad_edge": image('p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad<mode="edge">(x, p)'),
    "pad_wrap": image('p = Constant<value_ints=[0,0,1,2,0,0,3,1]>() y = Pad<mode="wrap">(x, p)'),
    "pad_negative": case(
        "p = Constant<value_ints=[0,0,-1,2,0,0,3,-2]>() y = Pad(x, p)",
        means="s = Constant<value_ints=[1,0]>() e = Constant<value_ints=[9,6]>() a = Constant<value_ints=[2,3]>() c = Slice(x, s, e, a) "
        "p = Constant<value_ints=[0,0,0,2,0,0,3,0]>() y = Pad(c, p)",
        x=IMAGE,
    ),
    "slice_backwards": image("s = Constant<value_ints=[-1,7]>() e = Constant<value_ints=[-9223372036854775807,1]>() a = Constant<value_ints=[1,2]>() t = Constant<value_ints=[-1,-2]>() y = Slice(x, s, e, a, t)"),
    "slice_channels": image("s = Constant<value_ints=[1]>() e = Constant<value_ints=[3]>() a = Constant<value_ints=[1]>() y = Slice(x, s, e, a)"),
    "slice_steps": image("s = Constant<value_ints=[1,-7]>() e = Constant<value_ints=[9223372036854775807,-1]>() a = Constant<value_ints=[2,3]>() t = Constant<value_ints=[2,3]>() y = Slice(x, s, e, a, t)"),
    "split_channels": image("s = Constant<value_ints=[1,3]>() a, b = Split<axis=1>(x, s) y = Concat<axis=1>(b, a)"),
    "split_evenly": image("a, b = Split<axis=1, num_outputs=2>(x) y = Add(a, b)"),
    "reshape_tokens_of_any_number": case("t = Constant<value_ints=[0,0,2,3]>() y = Reshape(x, t)", x=(N, "H", 6), layout=""),
    "reshape_image_of_any_size": case("t = Constant<value_ints=[0,4,-1]>() y = Reshape(x, t)", x=(N, 4, "H", "W"), transposes=1),
    "unsqueeze_image_of_any_size": case("a = Constant<value_ints=[1]>() u = Unsqueeze(x, a) r = Relu(u) y = Squeeze(r, a)", x=(N, 4, "H", "W")),
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
