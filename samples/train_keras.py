"""Train the small CNN in Keras on scikit-learn's digits, and save it.

python samples/train_keras.py digits_cnn.keras
"""

import sys

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# 1797 real digits of 8x8, 0..16; each pixel becomes 3x3, with a border: 28x28, 0..1, NHWC.
digits = load_digits()
images = np.pad(digits.images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
images = (images[..., None] / 16).astype(np.float32)
train_images, held_images, train_labels, held_labels = train_test_split(
    images, digits.target, test_size=0.2, random_state=0, stratify=digits.target
)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train_images, train_labels, batch_size=32, epochs=3, validation_split=0.2, verbose=2)

path = sys.argv[1]
model.save(path)
model = keras.saving.load_model(path)

loss, accuracy = model.evaluate(held_images, held_labels, verbose=0)
print(f"accuracy {accuracy:.4f} on {len(held_labels)} held-out samples")
print(f"saved {path}")
