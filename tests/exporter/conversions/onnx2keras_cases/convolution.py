"""Convolutions."""

from __future__ import annotations

from onnx2keras_cases.case import N, case, image

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
