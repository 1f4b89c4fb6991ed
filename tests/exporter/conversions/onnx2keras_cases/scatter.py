"""Elements put back by their indices."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case

SCATTER = {
    "scatter_nd_rows": case("i = Constant<value=int64[2,1] {1,2}>() y = ScatterND(x, i, u)", x=(4, 3, 5), u=(2, 3, 5)),
    "scatter_nd_run_of_channels": case(
        "t = Transpose<perm=[1,0,2,3]>(x) v = Transpose<perm=[1,0,2,3]>(x2) i = Constant<value=int64[2,1] {1,2}>() "
        "s = ScatterND(t, i, v) y = Transpose<perm=[1,0,2,3]>(s)",
        x=IMAGE, x2=(N, 2, 9, 8),
    ),
    "scatter_nd_elements": case("i = Constant<value=int64[3,2] {1,2,0,0,-1,1}>() y = ScatterND(x, i, u)", x=(4, 3, 5), u=(3, 5)),
    "scatter_nd_sum": case('i = Constant<value=int64[3,1] {1,2,1}>() y = ScatterND<reduction="add">(x, i, x2)', x=(4, 5), x2=(3, 5)),
    "scatter_elements": case("i = Constant<value=int64[2,2] {1,2,0,-1}>() y = ScatterElements<axis=1>(x, i, x2)", x=(4, 5), x2=(2, 2)),
}  # fmt: skip
