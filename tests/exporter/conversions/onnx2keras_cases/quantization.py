"""Numbers on a grid."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, case

ONE = "f = Cast<to=1>(x) s = Constant<value=float {0.02}>() z = Constant<value=uint8 {120}>()"
EACH = "f = Cast<to=1>(x) s = Constant<value=float[4] {0.02,0.01,0.03,0.5}>() z = Constant<value=int8[4] {0,1,-5,3}>()"

QUANTIZATION = {
    "quantize_image": case(f"{ONE} q = QuantizeLinear(f, s, z) d = DequantizeLinear(q, s, z) y = Cast<to=11>(d)", x=IMAGE),
    "quantize_channels": case(f"{EACH} q = QuantizeLinear(f, s, z) d = DequantizeLinear(q, s, z) y = Cast<to=11>(d)", x=IMAGE),
    "quantize_without_zero_point": case("f = Cast<to=1>(x) s = Constant<value=float {0.02}>() q = QuantizeLinear(f, s) y = Cast<to=11>(q)", x=IMAGE),
}  # fmt: skip
