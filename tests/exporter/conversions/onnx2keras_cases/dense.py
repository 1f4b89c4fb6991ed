"""Products with constant weights."""

from __future__ import annotations

from onnx2keras_cases.case import N, case

DENSE = {
    "gemm": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(5,)),
    "gemm_transposed_scaled": case(
        "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)", x=(N, 6), w=(5, 6), b=(1, 5)
    ),
    "gemm_without_bias": case("y = Gemm(x, w)", x=(N, 6), w=(6, 5)),
    "gemm_scalar_bias": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(1,)),
    "matmul": case("y = MatMul(x, w)", x=(N, 6), w=(6, 5)),
    "matmul_add": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 6), w=(6, 5), b=(5,)),
    # Keras's Dense on rank 3 is tf.tensordot, which transposes by (0, 1, 2) where the batch is dynamic.
    "matmul_add_rank_3": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 3, 6), w=(6, 5), b=(5,), transposes=1),
    "matmul_add_read_twice": case("m = MatMul(x, w) a = Add(m, b) y = Mul(a, m)", x=(N, 6), w=(6, 5), b=(5,)),
}
