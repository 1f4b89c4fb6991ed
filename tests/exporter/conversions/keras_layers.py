"""Networks of the Keras layers that people use, one idea each: ``NETS[name]`` builds one, given the module ``keras``.

Each is small enough for every route to take seconds in all. The images are 8x8x3 unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Net = Callable[[Any], Any]


def net(*shape: int, dtype: str = "float32") -> Callable[[Callable[[Any, Any], Any]], Net]:
    """A functional model of one input, from a function of ``keras.layers`` and that input."""

    def decorate(layers: Callable[[Any, Any], Any]) -> Net:
        def build(keras: Any) -> Any:
            x = keras.Input(shape, name="x", dtype=dtype)
            return keras.Model(x, layers(keras.layers, x))

        return build

    return decorate


def image(layers: Callable[[Any, Any], Any]) -> Net:
    """A functional model of one 8x8x3 image."""
    return net(8, 8, 3)(layers)


def sequence(layers: Callable[[Any, Any], Any]) -> Net:
    """A functional model of one sequence of 6 vectors of 4."""
    return net(6, 4)(layers)


def _nested(keras: Any) -> Any:
    k = keras.layers
    inner = keras.Sequential([k.Conv2D(4, 3), k.BatchNormalization(), k.Flatten(), k.Dense(5)], name="inner")
    x = keras.Input((8, 8, 3), name="x")
    y = keras.Input((8, 8, 3))
    branch = keras.Model(y, k.Dense(5)(k.Flatten()(k.AveragePooling2D(2)(y))), name="branch")
    return keras.Model(x, k.Add()([inner(x), branch(x)]))


def _shared(keras: Any) -> Any:
    k = keras.layers
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    tower = keras.Sequential([k.Conv2D(4, 3), k.Flatten(), k.Dense(5)])
    return keras.Model([left, right], k.Subtract()([tower(left), tower(right)]))


def _several(keras: Any) -> Any:
    k = keras.layers
    z, a = keras.Input((8, 8, 3), name="z_image"), keras.Input((4,), name="a_row")
    features = k.Flatten()(k.Conv2D(2, 3)(z))
    first = k.Dense(3, name="z_scores", activation="softmax")(k.Concatenate()([features, a]))
    return keras.Model([z, a], [first, k.Dense(2, name="a_values")(features)])


def _arg_max(keras: Any) -> Any:
    x = keras.Input((8, 8, 3), name="x")
    y = keras.layers.Conv2D(4, 3)(x)
    place = keras.ops.argmax(y, axis=-1, keepdims=True) - keras.ops.argmin(y, axis=1, keepdims=True)
    return keras.Model(x, y * keras.ops.cast(place, "float32"))


def _compiled(keras: Any) -> Any:
    k = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 3)), k.Conv2D(4, 3), k.GlobalMaxPooling2D(), k.Dense(2)])
    model.compile(optimizer="adam", loss=lambda wanted, found: keras.ops.mean(wanted - found))
    return model


def _normalization(keras: Any) -> Any:
    k = keras.layers
    x = keras.Input((8, 8, 3), name="x")
    y = k.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(k.Rescaling(1 / 127.5, -1)(x))
    return keras.Model(x, k.Conv2D(4, 3)(y))


ACTIVATIONS = (
    *(
        "relu",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "sigmoid",
        "tanh",
        "hard_sigmoid",
        "hard_silu",
        "silu",
        "gelu",
    ),
    *("mish", "relu6", "leaky_relu", "exponential", "log_softmax", "softmax", "celu", "glu"),
)

# A recurrent layer of more steps than are written out.
LONG = net(130, 3)(lambda k, x: k.LSTM(2)(x))


def _stem(k: Any, x: Any) -> Any:
    """As a ResNet begins: pads in front of the convolution and of the pooling."""
    x = k.Conv2D(4, 3, strides=2)(k.ZeroPadding2D(((1, 0), (1, 0)))(x))
    x = k.ReLU()(k.BatchNormalization()(x))
    return k.MaxPooling2D(3, strides=2)(k.ZeroPadding2D(((1, 0), (1, 1)))(x))


NETS: dict[str, Net] = {
    "max_pool_padded_in_front": net(16, 16, 3)(_stem),
    "conv_same_stride": image(lambda k, x: k.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)),
    "conv_dilated": image(lambda k, x: k.Conv2D(4, 3, dilation_rate=2, padding="same")(x)),
    "conv_grouped": net(8, 8, 4)(lambda k, x: k.Conv2D(6, 3, groups=2)(x)),
    "conv_1d": sequence(lambda k, x: k.Conv1D(5, 3, padding="causal", dilation_rate=2)(x)),
    "conv_3d": net(4, 6, 6, 2)(lambda k, x: k.MaxPooling3D(2)(k.Conv3D(3, 2)(x))),
    "conv_transpose": image(lambda k, x: k.Conv2DTranspose(4, 3, strides=2, padding="same")(x)),
    "conv_transpose_valid": image(lambda k, x: k.Conv2DTranspose(4, 4, strides=3)(x)),
    "conv_transpose_1d": sequence(lambda k, x: k.Conv1DTranspose(5, 3, strides=2, padding="same")(x)),
    "conv_transpose_cropped": image(
        lambda k, x: k.Cropping2D(((1, 0), (1, 2)))(k.Conv2DTranspose(4, 3, strides=2, activation="relu")(x))
    ),
    "conv_transpose_output_padding": image(
        lambda k, x: k.Conv2DTranspose(4, 2, strides=3, output_padding=2)(x)
    ),
    "conv_transpose_unequal": image(lambda k, x: k.Conv2DTranspose(4, (3, 2), strides=(2, 1))(x)),
    "depthwise_dilated": image(lambda k, x: k.DepthwiseConv2D(3, dilation_rate=2, activation="relu")(x)),
    "slices": net(8, 9, 4)(lambda k, x: k.Dense(3)(k.Add()([x[:, 1::2, ::3, 1:], x[:, 0::2, 1::3, 1:]]))),
    "indices": net(8, 9, 4)(lambda k, x: k.Dense(3)(x[:, -1, 2])),
    "depthwise_1d": sequence(
        lambda k, x: k.DepthwiseConv1D(3, strides=2, padding="same", activation="relu")(x)
    ),
    "average_pool_1d": sequence(lambda k, x: k.AveragePooling1D(3, 2, "same")(k.Conv1D(4, 3, 2)(x))),
    "dense_of_images": image(lambda k, x: k.Dense(4, activation="gelu")(k.Dense(5, use_bias=False)(x))),
    "layer_norm_of_rows": net(6, 6, 4)(lambda k, x: k.LayerNormalization(axis=1)(x)),
    "instance_norm": net(8, 8, 4)(lambda k, x: k.GroupNormalization(-1)(x)),
    "depthwise": image(
        lambda k, x: k.ReLU(6.0)(k.BatchNormalization()(k.DepthwiseConv2D(3, padding="same")(x)))
    ),
    "depthwise_multiplier": image(lambda k, x: k.DepthwiseConv2D(3, depth_multiplier=2, strides=2)(x)),
    "separable": image(lambda k, x: k.SeparableConv2D(4, 3, padding="same")(x)),
    "separable_1d": sequence(lambda k, x: k.SeparableConv1D(5, 3)(x)),
    "batch_norm_before": image(lambda k, x: k.Conv2D(4, 3)(k.BatchNormalization()(x))),
    "batch_norm_axis": image(lambda k, x: k.BatchNormalization(axis=1)(x)),
    "layer_norm": image(lambda k, x: k.LayerNormalization()(x)),
    "layer_norm_axes": image(lambda k, x: k.LayerNormalization(axis=[1, 2])(x)),
    "group_norm": net(8, 8, 4)(lambda k, x: k.GroupNormalization(2)(x)),
    "unit_norm": net(12)(lambda k, x: k.UnitNormalization()(k.Dense(6)(x))),
    "max_pool": image(lambda k, x: k.MaxPooling2D(3, strides=2, padding="same")(k.Conv2D(4, 1)(x))),
    "average_pool": image(lambda k, x: k.AveragePooling2D(3, strides=2, padding="same")(k.Conv2D(4, 1)(x))),
    "pool_1d": sequence(lambda k, x: k.GlobalAveragePooling1D()(k.MaxPooling1D(2)(k.Conv1D(5, 1)(x)))),
    "global_pools": image(
        lambda k, x: k.Concatenate()(
            [k.GlobalAveragePooling2D()(k.Conv2D(4, 1)(x)), k.GlobalMaxPooling2D()(x)]
        )
    ),
    "global_average": net(24, 17, 3)(lambda k, x: k.GlobalAveragePooling2D()(k.Conv2D(4, 3)(x))),
    "arg_max": _arg_max,
    "up_nearest": image(lambda k, x: k.UpSampling2D((2, 3))(k.Conv2D(4, 1)(x))),
    "up_bilinear": image(lambda k, x: k.UpSampling2D(3, interpolation="bilinear")(k.Conv2D(4, 1)(x))),
    "up_1d": sequence(lambda k, x: k.UpSampling1D(2)(k.Conv1D(4, 1)(x))),
    "padding_and_cropping": image(
        lambda k, x: k.Cropping2D(((1, 0), (2, 1)))(k.Conv2D(4, 2)(k.ZeroPadding2D(((0, 1), (2, 0)))(x)))
    ),
    "padding_1d": sequence(lambda k, x: k.Cropping1D((1, 0))(k.Conv1D(4, 2)(k.ZeroPadding1D((0, 2))(x)))),
    "resizing": image(lambda k, x: k.Conv2D(4, 3)(k.Resizing(5, 11)(x))),
    "center_crop": image(lambda k, x: k.Conv2D(4, 3)(k.CenterCrop(5, 6)(x))),
    "normalization": _normalization,
    "activations": image(
        lambda k, x: k.Concatenate()([k.Conv2D(2, 3, activation=name)(x) for name in ACTIVATIONS])
    ),
    "activation_layers": image(
        lambda k, x: k.Add()(
            [k.LeakyReLU(0.3)(x), k.ELU(0.5)(x), k.ReLU(1.0, 0.1, 0.2)(x), k.Softmax(axis=2)(x)]
        )
    ),
    "prelu": image(lambda k, x: k.PReLU(shared_axes=[1, 2], alpha_initializer="uniform")(k.Conv2D(4, 3)(x))),
    "merges": image(
        lambda k, x: k.Concatenate()(
            [
                merge([k.Conv2D(3, 1)(x), k.Conv2D(3, 1)(x)])
                for merge in (k.Add(), k.Subtract(), k.Multiply(), k.Average(), k.Maximum(), k.Minimum())
            ]
        )
    ),
    "squeeze_excite": image(
        lambda k, x: k.Multiply()(
            [x, k.Reshape((1, 1, 3))(k.Dense(3, activation="sigmoid")(k.GlobalAveragePooling2D()(x)))]
        )
    ),
    "reshapes": image(
        lambda k, x: k.RepeatVector(2)(k.Flatten()(k.Permute((2, 1))(k.Reshape((-1, 6))(k.Conv2D(4, 3)(x)))))
    ),
    "flatten_dense": image(lambda k, x: k.Dense(3, activation="softmax")(k.Flatten()(k.Conv2D(4, 3)(x)))),
    "dot": sequence(lambda k, x: k.Dot(axes=2)([k.Dense(5)(x), k.Dense(5)(x)])),
    "embedding": net(6, dtype="int32")(lambda k, x: k.GlobalAveragePooling1D()(k.Embedding(2, 4)(x))),
    "time_distributed": net(3, 8, 8, 2)(lambda k, x: k.TimeDistributed(k.Conv2D(4, 3))(x)),
    "attention": sequence(lambda k, x: k.MultiHeadAttention(2, 3)(x, x)),
    "lstm": sequence(lambda k, x: k.Dense(2)(k.LSTM(5)(x))),
    "lstm_stacked": sequence(lambda k, x: k.LSTM(3, go_backwards=True)(k.LSTM(5, return_sequences=True)(x))),
    "gru": sequence(lambda k, x: k.GRU(5, return_sequences=True)(x)),
    "gru_reset_before": sequence(lambda k, x: k.GRU(5, reset_after=False)(x)),
    "simple_rnn": sequence(lambda k, x: k.SimpleRNN(5)(x)),
    "bidirectional": sequence(lambda k, x: k.Bidirectional(k.LSTM(5, return_sequences=True))(x)),
    "conv_lstm": net(3, 6, 6, 2)(lambda k, x: k.ConvLSTM2D(3, 2)(x)),
    "dropout": image(
        lambda k, x: k.GaussianNoise(0.5)(k.SpatialDropout2D(0.5)(k.Dropout(0.5)(k.Conv2D(4, 3)(x))))
    ),
    "nested": _nested,
    "shared": _shared,
    "several": _several,
    "compiled": _compiled,
}
