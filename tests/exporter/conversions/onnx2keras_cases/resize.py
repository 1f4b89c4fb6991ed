"""Images of another size."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, Case, N, case

DOUBLE = "s = Constant<value_floats=[1.0,1.0,2.0,2.0]>()"
BEFORE_12 = "s = Constant<value=float[4] {1.0,1.0,2.0,2.0}>()"
UNEVEN = "s = Constant<value_ints=[13,5]>()"


def by(scales_or_sizes: str, attributes: str, **options: float) -> Case:
    index = '"", s' if "floats" in scales_or_sizes else '"", "", s'
    axes = "" if "floats" in scales_or_sizes else "axes=[2,3], "
    return case(f"{scales_or_sizes} y = Resize<{axes}{attributes}>(x, {index})", x=IMAGE, **options)  # type: ignore[arg-type]


# Keras's bilinear resizing rounds to float32 on TensorFlow.
RESIZE = {
    "resize_nearest": by(DOUBLE, 'mode="nearest"'),
    "resize_nearest_of_torch": by(DOUBLE, 'coordinate_transformation_mode="asymmetric", nearest_mode="floor"'),
    "resize_nearest_uneven": by(UNEVEN, 'mode="nearest"'),
    "resize_nearest_ceil": by(UNEVEN, 'nearest_mode="ceil"'),
    "resize_nearest_dynamic": case(f"{DOUBLE} y = Resize(x, \"\", s)", x=(N, 4, "H", "W")),
    "resize_linear": by(DOUBLE, 'mode="linear"', within=1e-6),
    "resize_linear_uneven": by(UNEVEN, 'mode="linear"', within=1e-6),
    "resize_linear_align_corners": by(DOUBLE, 'mode="linear", coordinate_transformation_mode="align_corners"'),
    "resize_linear_antialias": by(UNEVEN, 'mode="linear", antialias=1'),
    "resize_cubic": by(UNEVEN, 'mode="cubic", coordinate_transformation_mode="pytorch_half_pixel"', within=1e-6),
    "resize_cubic_exclude_outside": by(DOUBLE, 'mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1'),
    "resize_linear_line": case("s = Constant<value_ints=[7]>() y = Resize<axes=[2], mode=\"linear\">(x, \"\", \"\", s)", x=(N, 3, 5)),
    "resize_linear_volume": case(
        "s = Constant<value_floats=[2.0,2.0,2.0]>() y = Resize<axes=[2,3,4], mode=\"linear\">(x, \"\", s)", x=(N, 2, 3, 4, 5)
    ),
    "upsample_opset_9": case(f"{BEFORE_12} y = Upsample<mode=\"nearest\">(x, s)", x=IMAGE, opset=9),
    "depth_to_space": case("y = DepthToSpace<blocksize=2>(x)", x=(N, 8, 3, 5)),
    "pixel_shuffle": case("y = DepthToSpace<blocksize=2, mode=\"CRD\">(x)", x=(N, 8, 3, 5)),
    "space_to_depth": case("y = SpaceToDepth<blocksize=2>(x)", x=(N, 3, 4, 6)),
}  # fmt: skip
