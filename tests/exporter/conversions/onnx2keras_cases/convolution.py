"""Convolutions."""

from __future__ import annotations

from onnx2keras_cases.case import SIGNAL, VOLUME, N, case, image

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
    "conv_strides_divide_dilations": image(
        "y = Conv<strides=[2,2], dilations=[2,4], pads=[2,1,2,3]>(x, w)", w=(5, 4, 3, 2)
    ),
    "conv_strides_and_dilations": image("y = Conv<strides=[2,3], dilations=[3,2]>(x, w, b)", w=(5, 4, 2, 2), b=(5,)),
    "conv_dilation_of_one_column": image("y = Conv<strides=[2,2], dilations=[1,3]>(x, w)", w=(5, 4, 3, 1)),
    "conv_depthwise_unequal_strides": image("y = Conv<group=4, strides=[2,1], pads=[1,1,1,1]>(x, w)", w=(4, 1, 3, 3)),
    "conv_depthwise_strides_and_dilations": image(
        "y = Conv<group=4, strides=[2,2], dilations=[3,2], pads=[3,2,3,2]>(x, w)", w=(8, 1, 3, 3)
    ),
    "conv_grouped_strides_and_dilations": image(
        "y = Conv<group=2, strides=[2,2], dilations=[2,2], pads=[2,2,2,2]>(x, w)", w=(6, 2, 3, 3)
    ),
    "conv_same_upper_of_a_dynamic_image": case(
        'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', x=(N, 4, "H", "W"), w=(5, 4, 3, 3)
    ),
    "conv_1d": case("y = Conv<pads=[1,1]>(x, w, b)", x=SIGNAL, w=(5, 4, 3), b=(5,), layout="NCW"),
    "conv_1d_strided": case("y = Conv<strides=[3], pads=[2,0]>(x, w)", x=SIGNAL, w=(5, 4, 4), layout="NCW"),
    "conv_1d_causal": case("y = Conv<dilations=[2], pads=[4,0]>(x, w)", x=SIGNAL, w=(5, 4, 3), layout="NCW"),
    "conv_1d_grouped": case("y = Conv<group=2>(x, w)", x=SIGNAL, w=(6, 2, 3), layout="NCW"),
    "conv_1d_depthwise": case(
        "y = Conv<group=4, strides=[2], pads=[1,1]>(x, w, b)", x=SIGNAL, w=(8, 1, 3), b=(8,), layout="NCW"
    ),
    "conv_1d_depthwise_dilated": case("y = Conv<group=4, dilations=[2]>(x, w)", x=SIGNAL, w=(4, 1, 3), layout="NCW"),
    "conv_3d": case("y = Conv<pads=[1,0,1,1,0,1]>(x, w, b)", x=VOLUME, w=(3, 2, 3, 1, 3), b=(3,), layout="NCDHW"),
    "conv_3d_strided": case(
        "y = Conv<strides=[1,2,2], pads=[0,1,1,1,1,1]>(x, w)", x=VOLUME, w=(3, 2, 2, 3, 3), layout="NCDHW"
    ),
    "conv_3d_dilated": case("y = Conv<dilations=[1,2,1]>(x, w)", x=VOLUME, w=(3, 2, 2, 2, 2), layout="NCDHW"),
    "conv_3d_grouped": case("y = Conv<group=2>(x, w, b)", x=VOLUME, w=(4, 1, 2, 2, 2), b=(4,), layout="NCDHW"),
    "conv_transpose": image("y = ConvTranspose<strides=[2,2]>(x, w, b)", w=(4, 5, 2, 2), b=(5,)),
    "conv_transpose_same": image("y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, w)", w=(4, 5, 4, 4)),
    "conv_transpose_pads_and_output_padding": image(
        "y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, w, b)", w=(4, 5, 3, 3), b=(5,)
    ),
    "conv_transpose_output_padding_beyond_the_window": image(
        "y = ConvTranspose<strides=[3,3], output_padding=[2,1]>(x, w, b)", w=(4, 5, 3, 3), b=(5,)
    ),
    "conv_transpose_stride_beyond_the_window": image(
        "y = ConvTranspose<strides=[3,2]>(x, w, b)", w=(4, 5, 2, 1), b=(5,)
    ),
    "conv_transpose_unequal": image("y = ConvTranspose<strides=[1,2], pads=[0,2,1,0]>(x, w)", w=(4, 5, 2, 5)),
    "conv_transpose_dilated": image("y = ConvTranspose<dilations=[2,2], strides=[2,2]>(x, w)", w=(4, 5, 2, 3)),
    "conv_transpose_output_shape": image("y = ConvTranspose<strides=[3,2], output_shape=[27,17]>(x, w)", w=(4, 5, 3, 3)),
    "conv_transpose_same_upper": image('y = ConvTranspose<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', w=(4, 5, 3, 3)),
    "conv_transpose_same_lower": image('y = ConvTranspose<auto_pad="SAME_LOWER", strides=[2,2]>(x, w)', w=(4, 5, 3, 3)),
    "conv_transpose_grouped": image(
        "y = ConvTranspose<group=2, strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, w, b)",
        w=(4, 3, 3, 3), b=(6,),
        means="c, d = Split<axis=1, num_outputs=2>(x) e, f = Split<axis=0, num_outputs=2>(w) "
        "g, h = Split<axis=0, num_outputs=2>(b) "
        "i = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(c, e, g) "
        "j = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(d, f, h) y = Concat<axis=1>(i, j)",
    ),
    "conv_transpose_depthwise": image("y = ConvTranspose<group=4, strides=[2,2], pads=[1,1,1,1]>(x, w)", w=(4, 1, 4, 4)),
    "conv_transpose_grouped_cut_short": image(
        "y = ConvTranspose<group=2, pads=[3,3,3,2]>(x, w)",
        w=(4, 1, 3, 2),
        means="c, d = Split<axis=1, num_outputs=2>(x) e, f = Split<axis=0, num_outputs=2>(w) "
        "i = ConvTranspose<pads=[3,3,3,2]>(c, e) j = ConvTranspose<pads=[3,3,3,2]>(d, f) y = Concat<axis=1>(i, j)",
    ),
    "conv_transpose_dynamic_image": case(
        "y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, w)", x=(N, 4, "H", "W"), w=(4, 5, 4, 4)
    ),
    "conv_transpose_1d": case(
        "y = ConvTranspose<strides=[2], pads=[1,0]>(x, w, b)", x=SIGNAL, w=(4, 5, 3), b=(5,), layout="NCW"
    ),
    "conv_transpose_3d": case(
        "y = ConvTranspose<strides=[1,2,2], pads=[0,1,1,0,0,1]>(x, w)", x=VOLUME, w=(2, 3, 2, 3, 3), layout="NCDHW"
    ),
}  # fmt: skip
