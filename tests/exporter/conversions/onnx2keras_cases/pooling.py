"""Pooling."""

from __future__ import annotations

from onnx2keras_cases.case import image

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
}
