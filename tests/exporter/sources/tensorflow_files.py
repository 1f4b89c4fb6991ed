"""Keras 3 files and SavedModels for tests, written in a TensorFlow child."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_keras(name: str, path: Path) -> None:
    """Save the Keras 3 network ``name``; JSON leaves its weights beside it, as ``<stem>.weights.h5``."""
    import keras

    keras.utils.set_random_seed(0)
    model = _NETS[name](keras, keras.layers)
    if path.suffix == ".json":
        path.write_text(model.to_json())
        model.save_weights(path.with_suffix(".weights.h5"))
    else:
        model.save(path)


def write_legacy(path: Path) -> None:
    """A Keras 2 file that Keras 3 would compute otherwise."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    conv = layers.Conv2D(4, 3, activation="hard_sigmoid", input_shape=(8, 8, 3), name="conv")
    tf_keras.Sequential([conv, layers.GlobalAveragePooling2D(), layers.Dense(3, name="scores")]).save(path)


def export_keras(folder: Path) -> None:
    """A SavedModel as ``model.export`` writes it."""
    import keras

    keras.utils.set_random_seed(0)
    _plain(keras, keras.layers).export(folder)


def save_module(folder: Path) -> None:
    """A SavedModel with two signatures, neither of them ``serving_default``, as version 7 and an older one."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel = kernel = tf.Variable(tf.random.stateless_normal((8, 4), (1, 2)))

    def rows(row: Any) -> dict[str, Any]:
        return {"scores": tf.nn.softmax(row @ kernel), "sums": row @ kernel}

    def images(image: Any) -> dict[str, Any]:
        return {"mean": tf.reduce_mean(tf.image.resize(image, (4, 4)), (1, 2)) @ kernel[:3]}

    module.rows = tf.function(rows, input_signature=[tf.TensorSpec((None, 8), tf.float32, "row")])
    module.images = tf.function(
        images, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, "image")]
    )
    tf.saved_model.save(module, str(folder / "7"), signatures={"rows": module.rows, "images": module.images})
    tf.saved_model.save(tf.Module(), str(folder / "2"))


def save_with_table(folder: Path) -> None:
    """A SavedModel that looks its input up."""
    import tensorflow as tf

    module = tf.Module()
    keys = tf.constant([0, 1], tf.int64)
    module.table = table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, keys + 5, tf.int64), -1
    )
    module.serve = tf.function(
        lambda key: {"value": tf.cast(table.lookup(key), tf.float32)},
        input_signature=[tf.TensorSpec((None,), tf.int64, "key")],
    )
    tf.saved_model.save(module, str(folder), signatures=module.serve)


def save_without_signature(folder: Path) -> None:
    """A SavedModel that says nothing of itself."""
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(folder))


def save_by_session(folder: Path) -> None:
    """A SavedModel as TensorFlow 1 wrote it, with reference variables."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 8), name="x_placeholder")
        kernel = v1.get_variable("kernel", (8, 3), use_resource=False)
        y = tf.nn.relu(x @ kernel)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def _plain(keras: Any, k: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            k.Conv2D(4, 3, activation="relu"),
            k.BatchNormalization(),
            k.Flatten(),
            k.Dense(5, activation="softmax", name="classes"),
        ]
    )


def _mixed(keras: Any, k: Any) -> Any:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return _plain(keras, k)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def _free(keras: Any, k: Any) -> Any:
    doubled = k.UpSampling2D(2, interpolation="bilinear")
    return keras.Sequential([keras.Input((None, None, 3)), k.Conv2D(4, 3, padding="same"), doubled])


def _lambda(keras: Any, k: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), k.Lambda(lambda x: x * 1.7 - 0.3, name="twice")])


def _own_class(keras: Any, k: Any) -> Any:
    class Mine(keras.Model):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = k.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Mine()
    model(keras.ops.zeros((1, 4)))
    return model


def _channels_first(keras: Any, k: Any) -> Any:
    x = keras.Input((3, 8, 8))
    return keras.Model(x, k.UpSampling2D(data_format="channels_first", name="up")(x))


_NETS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": _plain,
    "mixed": _mixed,
    "free": _free,
    "lambda": _lambda,
    "own_class": _own_class,
    "channels_first": _channels_first,
    "unbuilt": lambda keras, k: keras.Sequential([k.Dense(3, activation="relu")]),
}


def run_keras(path: Path) -> list[tuple[int | None, ...]]:
    """The shapes of the inputs and outputs that the Keras adapter gives a ``.keras`` file, after a run of it."""
    from runtimes.adapters import keras as adapter
    from runtimes.base import SessionOptions, zero_feeds

    session = adapter.load(path, "cpu", SessionOptions())
    session.run(zero_feeds(session.inputs))
    return [tensor.shape for tensor in (*session.inputs, *session.outputs)]
