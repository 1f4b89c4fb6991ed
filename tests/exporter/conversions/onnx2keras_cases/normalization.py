"""Normalisation."""

from __future__ import annotations

from onnx2keras_cases.case import BN, N, case, image

NORMALIZATION = {
    "batch_normalization": image("y = BatchNormalization<epsilon=0.001>(x, scale, bias, mean, var)", **BN),
    "batch_normalization_rank_2": case("y = BatchNormalization(x, scale, bias, mean, var)", x=(N, 4), **BN),
    "layer_normalization": case("y = LayerNormalization(x, g, b)", within=1e-6, x=(N, 3, 6), g=(6,), b=(6,)),
    "layer_normalization_without_bias": case(
        "y = LayerNormalization<axis=1>(x, g)", within=1e-6, x=(N, 6), g=(6,)
    ),
}
