"""Products with constant weights."""

from __future__ import annotations

from onnx2keras_cases.case import IMAGE, Case, Dims, N, case, image


def tokens(text: str, transposes: int = 0, **shapes: Dims) -> Case:
    """Tensors of rank 4 that are no images."""
    return Case(text, shapes, transposes, layout="")


DENSE = {
    "gemm": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(5,)),
    "gemm_transposed_scaled": case(
        "y = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)", x=(N, 6), w=(5, 6), b=(1, 5)
    ),
    "gemm_without_bias": case("y = Gemm(x, w)", x=(N, 6), w=(6, 5)),
    "gemm_scalar_bias": case("y = Gemm(x, w, b)", x=(N, 6), w=(6, 5), b=(1,)),
    "matmul": case("y = MatMul(x, w)", x=(N, 6), w=(6, 5)),
    "matmul_add": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 6), w=(6, 5), b=(5,)),
    "matmul_add_rank_3": case("m = MatMul(x, w) y = Add(b, m)", x=(N, 3, 6), w=(6, 5), b=(5,)),
    "matmul_add_read_twice": case("m = MatMul(x, w) a = Add(m, b) y = Mul(a, m)", x=(N, 6), w=(6, 5), b=(5,)),
    "gemm_of_a_transposed_tensor": case("y = Gemm<transA=1>(x, w, b)", x=(6, N), w=(6, 5), b=(5,), transposes=1),
    "gemm_bias_for_each_row": case("y = Gemm<beta=0.5>(x, w, b)", x=(3, 6), w=(6, 5), b=(3, 5)),
    "gemm_bias_for_each_of_as_many_rows": case("y = Gemm(x, w, b)", x=(3, 6), w=(6, 3), b=(3, 1)),
    "gemm_computed_bias": case("y = Gemm<beta=0.5>(x, w, x2)", x=(N, 6), w=(6, 5), x2=(N, 5)),
    "gemm_computed_weights": case(
        "y = Gemm<transB=1, alpha=0.5>(x, x2, b)", x=(N, 6), x2=(5, 6), b=(5,), transposes=1
    ),
    "gemm_constant_on_the_left": case("y = Gemm<transA=1>(w, x)", x=(6, 5), w=(6, 3)),
    "matmul_of_tensors": tokens("y = MatMul(x, x2)", x=(N, 3, 4, 6), x2=(N, 3, 6, 5)),
    "matmul_broadcasting": tokens("y = MatMul(x, x2)", x=(N, 3, 4, 6), x2=(3, 6, 5)),
    "matmul_of_vectors": case("y = MatMul(x, x2)", x=(4, 6), x2=(6,)),
    "matmul_of_a_vector": case("y = MatMul(x, x2)", x=(6,), x2=(N, 6, 3), transposes=1),  # tf.tensordot's
    "matmul_constant_vector": case("y = MatMul(x, w)", x=(N, 3, 6), w=(6,), transposes=1),  # tf.tensordot's
    "matmul_constant_on_the_left": case("y = MatMul(w, x)", x=(N, 6, 3), w=(5, 6), transposes=2),
    "matmul_constant_on_the_left_of_an_image": case(
        "s = Constant<value_ints=[0,4,72]>() r = Reshape(x, s) m = MatMul(w, r) t = Constant<value_ints=[0,5,9,8]>() "
        "y = Reshape(m, t)",
        x=IMAGE, w=(5, 4),
    ),
    "matmul_stack_of_constants": tokens("y = MatMul(x, w)", x=(N, 3, 4, 6), w=(3, 6, 5)),
    "attention": tokens(
        "kt = Transpose<perm=[0,1,3,2]>(x2) s = MatMul(x, kt) p = Softmax(s) y = MatMul(p, x3)",
        x=(N, 2, 7, 4), x2=(N, 2, 5, 4), x3=(N, 2, 5, 3), transposes=1,
    ),
    "attention_over_the_positions_of_an_image": case(
        "s = Constant<value_ints=[0,4,72]>() r = Reshape(x, s) t = Transpose<perm=[0,2,1]>(r) a = MatMul(t, r) "
        "p = Softmax(a) q = Transpose<perm=[0,2,1]>(p) m = MatMul(r, q) u = Constant<value_ints=[0,4,9,8]>() "
        "y = Reshape(m, u)",
        x=IMAGE, transposes=1,
    ),
    "einsum_matmul": case('y = Einsum<equation="bij,bjk->bik">(x, x2)', x=(N, 4, 6), x2=(N, 6, 5)),
    "einsum_heads": tokens(
        'y = Einsum<equation="bqhd, bkhd -> bhqk">(x, x2)', x=(N, 5, 2, 3), x2=(N, 7, 2, 3), transposes=2
    ),
    "einsum_dense": tokens('y = Einsum<equation="bijc,cd->bijd">(x, w)', x=(N, 4, 3, 6), w=(6, 5)),
    "einsum_dense_of_two_axes": tokens(
        'y = Einsum<equation="bthd,hdc->btc">(x, w)', x=(N, 4, 2, 3), w=(2, 3, 5)
    ),
    "einsum_dense_to_two_axes": tokens('y = Einsum<equation="btc,hdc->bthd">(x, w)', x=(N, 4, 5), w=(2, 3, 5)),
    "einsum_constants_of_each_head": tokens(
        'y = Einsum<equation="bhtd,hde->bhte">(x, w)', x=(N, 2, 4, 3), w=(2, 3, 5), transposes=2
    ),
    "einsum_dots": tokens('y = Einsum<equation="...ij,...jk->...ik">(x, x2)', x=(N, 3, 4, 6), x2=(N, 3, 6, 5)),
    "einsum_of_channels": case(
        'y = Einsum<equation="nchw,nc->nhw">(x, x2)', x=IMAGE, x2=(N, 4),
    ),
    "einsum_outer": case('y = Einsum<equation="bi,bj->bij">(x, x2)', x=(N, 4), x2=(N, 5)),
    "einsum_elementwise": case('y = Einsum<equation="bi,bi->bi">(x, x2)', x=(N, 4), x2=(N, 4)),
    "einsum_transpose": case('y = Einsum<equation="bij->bji">(x)', x=(N, 4, 5), transposes=1),
    "einsum_sum": image('y = Einsum<equation="nchw->nh">(x)'),
    "einsum_implicit": case('y = Einsum<equation="ij,jk">(x, x2)', x=(N, 4), x2=(4, 5)),
}  # fmt: skip
