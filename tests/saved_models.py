"""Small SavedModels for tests, made and answered by TensorFlow in a child process: ``make(kind, folder)``.

A Keras model is left out on purpose: each kind is a tf.Module with the variables that it needs, as exported models
are, and states the one thing that it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec

IMAGE = TensorSpec("image", "float32", (None, 28, 28, 1), "NHWC", "image")
SMALL = TensorSpec("image", "float32", (None, 8, 8, 3), "NHWC", "image")
ROW = TensorSpec("row", "float32", (None, 4), "NC")


def _out(name: str = "logits", channels: int = 10) -> TensorSpec:
    return TensorSpec(name, "float32", (None, channels), "NC", "logits")


SPECS = {
    "cnn": ModelSpec("cnn", (IMAGE,), (_out(),), labels=tuple("0123456789")),
    "two": ModelSpec(
        "two",
        (TensorSpec("z_left", "float32", (None, 4)), TensorSpec("a_right", "float32", (None, 4))),
        (TensorSpec("z_sum", "float32", (None, 4)), TensorSpec("a_product", "float32", (None, 4))),
    ),
    "unused": ModelSpec("unused", (ROW, TensorSpec("ignored", "float32", (None, 2))), (_out("out", 4),)),
    "integers": ModelSpec(
        "integers",
        (TensorSpec("index", "int64", (None,)),),
        (TensorSpec("row", "float32", (None, 3)), TensorSpec("next", "int64", (None,))),
    ),
    "scalars": ModelSpec("scalars", (ROW,), (_out("out", 4),)),
    "no_weights": ModelSpec("no_weights", (ROW,), (_out("out", 4),)),
    "large": ModelSpec("large", (ROW,), (_out("out", 1),)),
    "activations": ModelSpec("activations", (SMALL,), (_out("out", 8),)),
    "batch_norms": ModelSpec("batch_norms", (SMALL,), (_out("out", 8),)),
    "views": ModelSpec("views", (SMALL,), (_out("out", 8),)),
    "grouped": ModelSpec("grouped", (SMALL,), (_out("out", 8),)),
    "products": ModelSpec("products", (SMALL,), (_out("out", 6),)),
    "einsums": ModelSpec("einsums", (SMALL,), (_out("out", 8),)),
    "substitutes": ModelSpec("substitutes", (SMALL,), (_out("out", 12),)),
    "mobile": ModelSpec("mobile", (SMALL,), (_out("out", 8),)),
    "branch": ModelSpec("branch", (ROW,), (_out("out", 4),)),
    "loop": ModelSpec("loop", (ROW,), (_out("out", 4),)),
    "where": ModelSpec("where", (ROW,), (_out("out", 4),)),
    "refused": ModelSpec("refused", (ROW,), (_out("out", 4),)),
    "huge_integer": ModelSpec("huge_integer", (TensorSpec("index", "int64", (None,)),), (_out("out", 1),)),
}

# The float32 weights of "cnn": two convolutions, two dense layers, each with its bias.
CNN_PARAMETERS = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 7 * 7 * 128 + 128) + (128 * 10 + 10)


def make(kind: str, folder: Path, signature_name: str = "serving_default") -> None:
    """Write the SavedModel ``folder/1`` of this kind, its weights seeded."""
    import tensorflow as tf

    module = tf.Module()
    module.variables_ = []
    generator = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        fan_in = max(1, int(np.prod(shape[:-1])))
        value = generator.normal(0.0, fan_in**-0.5, shape).astype(np.float32)
        module.variables_.append(tf.Variable(value))
        return module.variables_[-1]

    forward = _KINDS[kind](tf, weight)
    spec = SPECS[kind]
    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in spec.inputs]
    names = [tensor.name for tensor in spec.outputs]
    module.serve = tf.function(
        lambda *tensors: dict(zip(names, forward(*tensors), strict=True)), input_signature=signature
    )
    tf.saved_model.save(module, str(folder / "1"), signatures={signature_name: module.serve})


def answer(folder: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    """What TensorFlow itself computes from the SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "1"))
    results = loaded.signatures["serving_default"](**{k: tf.constant(v) for k, v in feeds.items()})
    return {name: value.numpy() for name, value in results.items()}


def feeds(kind: str, batch: int, seed: int = 1) -> dict[str, Array]:
    """Random inputs in [0, 1), or indices below 4."""
    generator = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for tensor in SPECS[kind].inputs:
        shape = [batch if size is None else size for size in tensor.shape]
        if tensor.dtype.startswith("int"):
            made[tensor.name] = generator.integers(0, 4, shape).astype(tensor.dtype)
        else:
            made[tensor.name] = generator.random(shape, dtype=np.float32)
    return made


Weight = Callable[..., Any]
Forward = Callable[..., tuple[Any, ...]]


def _cnn(tf: Any, weight: Weight) -> Forward:
    k1, b1, k2, b2 = weight(3, 3, 1, 32), weight(32), weight(3, 3, 32, 64), weight(64)
    k3, b3, k4, b4 = weight(3136, 128), weight(128), weight(128, 10), weight(10)

    def forward(x: Any) -> tuple[Any, ...]:
        for kernel, bias in ((k1, b1), (k2, b2)):
            x = tf.nn.max_pool2d(
                tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)), 2, 2, "VALID"
            )
        x = tf.nn.relu(tf.nn.bias_add(tf.reshape(x, (-1, 3136)) @ k3, b3))
        return (tf.nn.bias_add(x @ k4, b4),)

    return forward


def _two(tf: Any, weight: Weight) -> Forward:
    scale = weight(4)
    return lambda left, right: (left + right * scale, left * right)


def _unused(tf: Any, weight: Weight) -> Forward:
    kernel = weight(4, 4)
    return lambda row, ignored: (row @ kernel,)


def _integers(tf: Any, weight: Weight) -> Forward:
    table = weight(4, 3)
    return lambda index: (tf.gather(table, index), index + tf.constant(1, tf.int64))


def _scalars(tf: Any, weight: Weight) -> Forward:
    scale = weight()
    return lambda row: (tf.clip_by_value(row * scale + 0.25, 0.1, 0.9),)


def _no_weights(tf: Any, weight: Weight) -> Forward:
    return lambda row: (tf.nn.relu(row),)


def _large(tf: Any, weight: Weight) -> Forward:
    """A kernel of 9.6 MB; a maximum, because a sum of so many terms would round."""
    wide = weight(4, 600_000)
    return lambda row: (tf.reduce_max(row @ wide, 1, keepdims=True),)


def _activations(tf: Any, weight: Weight) -> Forward:
    """Each after a convolution, a depthwise one and a dense layer; TF.js has kernels for some of them fused.

    The first and the last, a PReLU, also without a bias.
    """
    k1, b1, k2, b2 = weight(3, 3, 3, 8), weight(8), weight(3, 3, 8, 8), weight(8)
    depthwise, b3 = weight(3, 3, 8, 1), weight(8)
    dense, bias, alpha = weight(8, 8), weight(8), weight(8)
    each = (
        tf.nn.relu,
        tf.nn.relu6,
        tf.nn.elu,
        tf.nn.leaky_relu,
        tf.nn.tanh,
        tf.nn.sigmoid,
        lambda y: y * tf.nn.relu6(y + 3) / 6,
        tf.nn.softplus,
        lambda y: tf.nn.relu(y) + -alpha * tf.nn.relu(-y),
    )

    def by_depth(x: Any) -> Any:
        return tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "SAME")

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.bias_add(tf.nn.conv2d(x, k1, 1, "SAME"), b1)
        for activation in each:
            x = activation(tf.nn.bias_add(tf.nn.conv2d(x, k2, 1, "SAME"), b2))
            x = activation(tf.nn.bias_add(by_depth(x), b3))
        for activation in each[::8]:
            x += tf.tanh(activation(by_depth(activation(tf.nn.conv2d(x, k2, 1, "SAME")))))
        x = tf.reduce_mean(x, (1, 2))
        for activation in each:
            x = activation(tf.nn.bias_add(x @ dense, bias))
        for activation in each[::8]:
            x += tf.tanh(activation(x @ dense))
        return (x,)

    return forward


def _batch_norms(tf: Any, weight: Weight) -> Forward:
    """In both forms, after a convolution with and without a bias, and before one."""
    k0, k1, k2, bias = weight(3, 3, 3, 8), weight(3, 3, 8, 8), weight(3, 3, 8, 8), weight(8)
    gamma, beta, mean, spread = weight(8), weight(8), weight(8), weight(8)

    def fused(x: Any) -> Any:
        return tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, mean, spread * spread, 1e-3, is_training=False
        )[0]

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.conv2d(x, k0, 1, "SAME")
        x = tf.nn.relu(tf.nn.batch_normalization(x, mean, spread * spread, beta, gamma, 1e-3))
        x = tf.nn.relu(fused(tf.nn.conv2d(x, k1, 1, "SAME")))
        x = tf.nn.relu(fused(tf.nn.bias_add(tf.nn.conv2d(x, k2, 1, "SAME"), bias)))
        return (tf.reduce_mean(tf.nn.relu(fused(x)), (1, 2)),)

    return forward


def _views(tf: Any, weight: Weight) -> Forward:
    """Biases, batch norms and activations behind the reshapes that dense layers and 1-D convolutions have around them."""
    k1, b1, dense, b2, k3, last = (
        weight(3, 3, 8),
        weight(8),
        weight(8, 8),
        weight(8),
        weight(2, 2, 8, 8),
        weight(8, 8),
    )
    first, second = ([weight(8) for _ in range(4)] for _ in range(2))

    def norm(x: Any, mean: Any, spread: Any, beta: Any, gamma: Any) -> Any:
        return tf.nn.batch_normalization(x, mean, spread * spread + 0.5, beta, gamma, 1e-3)

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.relu(tf.nn.conv1d(tf.reshape(x, (-1, 64, 3)), k1, 1, "SAME") + b1)
        x = tf.nn.sigmoid(tf.reshape(tf.reshape(x, (-1, 8)) @ dense, (-1, 64, 8)) + b2)
        x = tf.reshape(x, (-1, 8, 8, 8))
        x = tf.nn.relu(norm(tf.nn.conv2d_transpose(x, k3, (tf.shape(x)[0], 16, 16, 8), 2), *first))
        return (tf.nn.elu(norm(tf.matmul(tf.reduce_mean(x, (1, 2)), last, transpose_b=True), *second)),)

    return forward


def _grouped(tf: Any, weight: Weight) -> Forward:
    """In two groups, one compiled by XLA as Keras has it; in as many as there are channels; strided unevenly."""
    k1, k2, k3, k4 = weight(3, 3, 3, 8), weight(3, 3, 4, 8), weight(3, 3, 1, 16), weight(3, 3, 1, 8)

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.relu(tf.nn.conv2d(x, k1, 1, "SAME"))
        x = tf.function(lambda y: tf.nn.conv2d(y, k2, 1, "SAME"), jit_compile=True)(x)
        x = tf.nn.relu(tf.nn.conv2d(tf.nn.relu(x), k3, 1, "SAME", dilations=2))[..., ::2]
        x = tf.nn.conv2d(x, k4, (2, 1), "SAME")
        return (tf.reduce_mean(tf.nn.relu(x), (1, 2)),)

    return forward


def _products(tf: Any, weight: Weight) -> Forward:
    """Matrix products that broadcast: one for all, the right and the left for all heads, crosswise, by rank."""
    one, heads, cross = weight(3, 4), weight(4, 3, 5), weight(1, 4, 3, 16)

    def forward(x: Any) -> tuple[Any, ...]:
        many, single = tf.reshape(x, (-1, 4, 16, 3)), tf.reshape(x, (-1, 1, 64, 3))
        made = (
            tf.reshape(many, (-1, 16, 3)) @ one,
            many @ heads,
            tf.matmul(many, single, transpose_b=True),
            tf.matmul(single, many, transpose_b=True),
            tf.reshape(x, (-1, 1, 64, 3)) @ cross,
            tf.reshape(many, (-1, 2, 2, 16, 3)) @ tf.reshape(x[:1], (2, 1, 3, 32)),
        )
        means = [tf.reduce_mean(y * y, range(1, len(y.shape))) for y in made]
        means[0] = tf.reduce_mean(tf.reshape(means[0], (-1, 4)), 1)
        return (tf.stack(means, 1),)

    return forward


def _einsums(tf: Any, weight: Weight) -> Forward:
    """Attention as Keras writes it, with biases of two axes."""
    query, key, value, output = weight(3, 2, 4), weight(3, 2, 4), weight(3, 2, 4), weight(2, 4, 8)
    bias, last = weight(2, 4), weight(8)

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.reshape(x, (-1, 64, 3))
        q, k, v = (tf.einsum("abc,cde->abde", x, kernel) + bias for kernel in (query, key, value))
        scores = tf.nn.softmax(tf.einsum("aecd,abcd->acbe", k, q))
        attended = tf.einsum("acbe,aecd->abcd", scores, v)
        return (tf.reduce_mean(tf.einsum("abcd,cde->abe", attended, output) + last, 1),)

    return forward


def _substitutes(tf: Any, weight: Weight) -> Forward:
    """What else TF.js has no kernel for; rolled by both signs, along one axis and two."""
    scale, bias = weight(3), weight(8)

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.bias_add(x, bias, data_format="NCHW")
        x = tf.nn.softsign(tf.nn.gelu(4 * x - 2, approximate=False) * scale)
        x = tf.roll(tf.roll(x, (-3, 2), (1, 2)), 9, 1)
        ramp = tf.reshape(tf.range(16.0), (4, 4, 1))
        return (tf.reduce_mean(tf.nn.space_to_depth(x, 2) * ramp, (1, 2)),)

    return forward


def _mobile(tf: Any, weight: Weight) -> Forward:
    """Depthwise and plain convolutions with batch norms as Keras writes them, a PReLU and a residual."""
    depthwise, pointwise, bias, alpha = weight(3, 3, 3, 2), weight(1, 1, 6, 8), weight(8), weight(1, 1, 8)
    project = weight(1, 1, 8, 8)
    first, second, third = ([weight(channels) for _ in range(4)] for channels in (6, 8, 8))

    def norm(x: Any, mean: Any, spread: Any, beta: Any, gamma: Any) -> Any:
        return tf.nn.batch_normalization(x, mean, spread * spread + 0.5, beta, gamma, 1e-3)

    def forward(x: Any) -> tuple[Any, ...]:
        x = tf.nn.relu6(norm(tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "SAME"), *first))
        x = norm(tf.nn.bias_add(tf.nn.conv2d(x, pointwise, 1, "SAME"), bias), *second)
        x = tf.nn.relu(x) + -alpha * tf.nn.relu(-x)
        x = x + norm(tf.nn.conv2d(x, project, 1, "SAME"), *third)
        return (tf.reduce_mean(x, (1, 2)),)

    return forward


def _branch(tf: Any, weight: Weight) -> Forward:
    """One of two ways, chosen by the data."""
    kernel, bias = weight(4, 4), weight(4)

    def forward(row: Any) -> tuple[Any, ...]:
        large = tf.reduce_mean(row) > 0.49
        return (tf.cond(large, lambda: tf.nn.relu(tf.nn.bias_add(row @ kernel, bias)), lambda: row * bias),)

    return forward


def _loop(tf: Any, weight: Weight) -> Forward:
    """As often as the data say."""
    kernel = weight(4, 4)

    def forward(row: Any) -> tuple[Any, ...]:
        steps = tf.cast(tf.reduce_max(row) * 8, tf.int32)
        return (
            tf.while_loop(lambda i, x: i < steps, lambda i, x: (i + 1, tf.tanh(x @ kernel)), (0, row))[1],
        )

    return forward


def _where(tf: Any, weight: Weight) -> Forward:
    """An operator whose output's shape depends on the data."""
    scale = weight(4)
    return lambda row: (row * scale + tf.reduce_max(tf.cast(tf.where(row > 0.5), tf.float32), 0)[1],)


def _refused(tf: Any, weight: Weight) -> Forward:
    scale = weight(4)
    return lambda row: (tf.math.lgamma(row) + tf.math.bessel_i0e(row) * scale,)


def _huge_integer(tf: Any, weight: Weight) -> Forward:
    return lambda index: (tf.cast(index[:, None] // tf.constant(2**40, tf.int64), tf.float32),)


_KINDS: dict[str, Callable[[Any, Weight], Forward]] = {
    "cnn": _cnn,
    "two": _two,
    "unused": _unused,
    "integers": _integers,
    "scalars": _scalars,
    "no_weights": _no_weights,
    "large": _large,
    "activations": _activations,
    "batch_norms": _batch_norms,
    "views": _views,
    "grouped": _grouped,
    "products": _products,
    "einsums": _einsums,
    "substitutes": _substitutes,
    "mobile": _mobile,
    "branch": _branch,
    "loop": _loop,
    "where": _where,
    "refused": _refused,
    "huge_integer": _huge_integer,
}
