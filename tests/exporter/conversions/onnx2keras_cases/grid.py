"""Images read at computed places."""

from __future__ import annotations

from onnx2keras_cases.case import N, case

GRID = {
    f"grid_sample_{mode}_{padding}_{aligned}": case(
        f'y = GridSample<mode="{mode}", padding_mode="{padding}", align_corners={aligned}>(x, x2)',
        x=(N, 3, 4, 5), x2=(N, 6, 7, 2), layout="", transposes=2, within=1e-6,
    )
    for mode, padding, aligned in (
        ("linear", "zeros", 0), ("linear", "border", 1), ("nearest", "reflection", 0), ("cubic", "zeros", 1)
    )
}  # fmt: skip
