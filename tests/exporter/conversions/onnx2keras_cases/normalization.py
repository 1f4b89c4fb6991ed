"""Normalisation."""

from __future__ import annotations

from onnx2keras_cases.case import BN, IMAGE, SIGNAL, VOLUME, N, case, image

NORMALIZATION = {
    "batch_normalization": image("y = BatchNormalization<epsilon=0.001>(x, scale, bias, mean, var)", **BN),
    "batch_normalization_rank_2": case("y = BatchNormalization(x, scale, bias, mean, var)", x=(N, 4), **BN),
    "layer_normalization": case("y = LayerNormalization(x, g, b)", within=1e-6, x=(N, 3, 6), g=(6,), b=(6,)),
    "layer_normalization_without_bias": case(
        "y = LayerNormalization<axis=1>(x, g)", within=1e-6, x=(N, 6), g=(6,)
    ),
    "batch_normalization_1d": case("y = BatchNormalization(x, scale, bias, mean, var)", x=SIGNAL, layout="NCW", **BN),
    "batch_normalization_3d": case(
        "y = BatchNormalization(x, scale, bias, mean, var)", x=(N, 4, 3, 2, 2), layout="NCDHW", **BN
    ),
    "instance_normalization": image("y = InstanceNormalization(x, g, b)", within=1e-6, g=(4,), b=(4,)),
    "instance_normalization_1d": case(
        "y = InstanceNormalization<epsilon=0.01>(x, g, b)", within=1e-6, x=SIGNAL, layout="NCW", g=(4,), b=(4,)
    ),
    "instance_normalization_3d": case(
        "y = InstanceNormalization(x, g, b)", within=1e-6, x=VOLUME, layout="NCDHW", g=(2,), b=(2,)
    ),
    "group_normalization": case(
        "y = GroupNormalization<num_groups=2>(x, g, b)", within=1e-6, x=IMAGE, g=(4,), b=(4,), opset=21
    ),
    "group_normalization_opset_18": case(
        "y = GroupNormalization<num_groups=2>(x, g, b)", within=1e-6, x=IMAGE, g=(2,), b=(2,), opset=18
    ),
    "layer_normalization_of_images": image("y = LayerNormalization<axis=1>(x, g, b)", within=1e-6, g=(4, 9, 8), b=(4, 9, 8)),
    "layer_normalization_of_planes": image(
        "y = LayerNormalization<axis=-2>(x, g)", within=1e-6, g=(9, 8), transposes=2
    ),
    "layer_normalization_one_scale": case("y = LayerNormalization(x, g)", within=1e-6, x=(N, 3, 6), g=(1,)),
    "rms_normalization": case("y = RMSNormalization(x, g)", within=1e-6, x=(N, 3, 6), g=(6,), opset=23),
    "rms_normalization_of_images": case(
        "y = RMSNormalization<axis=1, epsilon=0.01>(x, g)", within=1e-6, x=IMAGE, g=(4, 9, 8), opset=23
    ),
    "lp_normalization": image("y = LpNormalization<axis=1>(x)"),
    "l1_normalization": image("a = Abs(x) y = LpNormalization<axis=2, p=1>(a)"),
    "lp_normalization_of_nothing": image("z = Sub(x, x) n = LpNormalization<axis=1>(z) y = Add(n, x)"),
    "local_response_normalization": image(
        "y = LRN<size=2, alpha=0.5, beta=0.5, bias=2.0>(x)",
        means="s = Mul(x, x) c = Constant<value_ints=[0,1,4,72]>() r = Reshape(s, c) "
        "m = AveragePool<kernel_shape=[2,1], pads=[0,0,1,0], count_include_pad=1>(r) d = Constant<value_ints=[0,4,9,8]>() "
        "t = Reshape(m, d) h = Constant<value=double {0.5}>() u = Mul(t, h) b = Constant<value=double {2.0}>() "
        "v = Add(u, b) w = Sqrt(v) y = Div(x, w)",
    ),
    "layer_normalization_with_statistics": image(
        "n, m, d = LayerNormalization<axis=1>(x, g) s = Mul(m, d) y = Cast<to=11>(s)", g=(4, 9, 8), within=1e-5
    ),
}  # fmt: skip
