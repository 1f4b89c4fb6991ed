"""Elements picked by their indices."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, N, case, image

PLACES = "h = Constant<value=double {3.9}>() a = Abs(x) b = Min(a, h) i = Cast<to=7>(b)"

GATHER = {
    "gather_channel": image("i = Constant<value_int=-1>() y = Gather<axis=1>(x, i)"),
    "gather_run_of_channels": image("i = Constant<value_ints=[1,2]>() y = Gather<axis=1>(x, i)"),
    "gather_rows": image("i = Constant<value_ints=[7,-9,2]>() y = Gather<axis=2>(x, i)"),
    "gather_grid": case("i = Constant<value=int64[2,2] {0,3,-1,1}>() y = Gather<axis=3>(x, i)", x=IMAGE, transposes=1),
    "gather_computed": case(f"{PLACES} y = Gather<axis=1>(x2, i)", x=(5,), x2=IMAGE),
    "gather_table": case(f"{PLACES} y = Gather(t, i)", x=(N, 5), t=(4, 6)),
    "gather_table_of_vectors": case(f"{PLACES} y = Gather(t, i)", x=(N, 5), t=(4,)),
    "gather_elements": case(f"{PLACES} y = GatherElements<axis=1>(x, i)", x=IMAGE),
    "gather_elements_of_fewer_rows": case(
        "i = Constant<value=int64[2,3] {0,4,2,1,1,3}>() y = GatherElements<axis=0>(x, i)",
        means="i = Constant<value=int64[2,3] {0,4,2,1,1,3}>() s = Constant<value_ints=[0]>() e = Constant<value_ints=[3]>() a = Constant<value_ints=[1]>() "
        "c = Slice(x, s, e, a) y = GatherElements<axis=0>(c, i)",
        x=(5, 4), transposes=3,
    ),
    "gather_nd": case("i = Constant<value=int64[3,2] {0,1,-1,0,2,3}>() y = GatherND(x, i)", x=(4, 5, N, 2), layout=""),
    "gather_nd_within_a_batch": case("i = Constant<value=int64[2,3,1] {0,1,-1,0,2,3}>() y = GatherND<batch_dims=1>(x, i)", x=(2, 4, N)),
    "gather_nd_computed": case(f"{PLACES} y = GatherND(x2, i)", x=(3, 2), x2=(4, 5, 6)),
}  # fmt: skip
