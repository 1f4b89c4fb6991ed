"""Pooling."""

from __future__ import annotations

from onnx2keras_cases.case import SIGNAL, VOLUME, N, case, image

POOLING = {
    "max_pool": image("y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    "max_pool_pads_of_negatives": image("y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    "max_pool_pads_after_relu": image(
        "r = Relu(x) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r)"
    ),
    "max_pool_same": image("y = MaxPool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]>(x)"),
    "max_pool_ceil": image("y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    "max_pool_ceil_pads": image(
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x)"
    ),
    "max_pool_same_lower": image('y = MaxPool<kernel_shape=[2,2], auto_pad="SAME_LOWER">(x)'),
    "average_pool": image("y = AveragePool<kernel_shape=[2,3], strides=[2,2]>(x)"),
    "average_pool_pads": image("y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    "average_pool_same": image("y = AveragePool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]>(x)"),
    "average_pool_counting_pads": image(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>(x)"
    ),
    "average_pool_ceil": image("y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    "average_pool_ceil_counting_pads": image(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1, count_include_pad=1>(x)"
    ),
    "global_average_pool": image("y = GlobalAveragePool(x)"),
    "global_max_pool": image("y = GlobalMaxPool(x)"),
    "max_pool_dilated": image("y = MaxPool<kernel_shape=[2,3], dilations=[3,2], strides=[2,1], pads=[1,2,2,2]>(x)"),
    "max_pool_dilated_rows": image("y = MaxPool<kernel_shape=[2,2], dilations=[2,1], strides=[1,2]>(x)"),
    "max_pool_ceil_of_a_dynamic_image": case(
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)", x=(N, 4, "H", "W")
    ),
    "max_pool_pads_of_a_dynamic_image": case(
        "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", x=(N, 4, "H", "W")
    ),
    "max_pool_same_upper_of_a_dynamic_image": case(
        'y = MaxPool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">(x)', x=(N, 4, "H", "W")
    ),
    "max_pool_1d": case("y = MaxPool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)", x=SIGNAL, layout="NCW"),
    "average_pool_dilated": image(
        "y = AveragePool<kernel_shape=[2,3], dilations=[3,1], strides=[1,2], pads=[1,1,1,1]>(x)"
    ),
    "average_pool_pads_of_a_dynamic_image": case(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", x=(N, 4, "H", "W")
    ),
    "average_pool_counting_pads_of_a_dynamic_image": case(
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>(x)",
        x=(N, 4, "H", "W"),
    ),
    "average_pool_1d": case(
        "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,0], ceil_mode=1>(x)", x=SIGNAL, layout="NCW"
    ),
    "lp_pool": image("y = LpPool<kernel_shape=[2,3], strides=[2,1]>(x)", ),
    "lp_pool_3_dilated": image("y = LpPool<kernel_shape=[2,2], p=3, dilations=[2,1]>(x)"),
    "global_lp_pool": image("y = GlobalLpPool(x)", means="a = Constant<value_ints=[2,3]>() y = ReduceL2(x, a)"),
    "global_l1_pool": image("y = GlobalLpPool<p=1>(x)", means="a = Constant<value_ints=[2,3]>() y = ReduceL1(x, a)"),
    "global_average_pool_1d": case("y = GlobalAveragePool(x)", x=SIGNAL, layout="NCW"),
    "global_max_pool_3d": case(
        "y = GlobalMaxPool(x)", x=VOLUME, layout="NCDHW",
        means="a = Constant<value_ints=[2,3,4]>() y = ReduceMax(x, a)",
    ),
    "global_average_pool_of_a_dynamic_image": case("y = GlobalAveragePool(x)", x=(N, 4, "H", "W")),
    "max_pool_3d": case(
        "y = MaxPool<kernel_shape=[2,3,2], strides=[1,2,2], pads=[0,1,0,1,1,0]>(x)", x=VOLUME, layout="NCDHW"
    ),
    "average_pool_3d": case(
        "y = AveragePool<kernel_shape=[2,3,2], strides=[1,2,2], pads=[0,1,1,1,1,0]>(x)", x=VOLUME, layout="NCDHW"
    ),
}  # fmt: skip
