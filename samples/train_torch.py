"""Train the small CNN in PyTorch on scikit-learn's digits, and save its weights.

python samples/train_torch.py digits_cnn.pt
"""

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

# 1797 real digits of 8x8, 0..16; each pixel becomes 3x3, with a border: 28x28, 0..1, NCHW.
digits = load_digits()
images = np.pad(digits.images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
images = torch.tensor(images[:, None] / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
train_images, held_images, train_labels, held_labels = train_test_split(
    images, labels, test_size=0.2, random_state=0, stratify=labels
)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(64 * 7 * 7, 128),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(128, 10),
).to(memory_format=torch.channels_last)  # several times faster on a CPU
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(1, 4):
    model.train()
    total = 0.0
    for batch in torch.randperm(len(train_labels)).split(32):
        loss = loss_of(model(train_images[batch]), train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch}: loss {total / len(train_labels):.4f}")

path = sys.argv[1]
torch.save(model.state_dict(), path)
model.load_state_dict(torch.load(path, weights_only=True))

model.eval()
with torch.inference_mode():
    classes = model(held_images).argmax(dim=1)
print(f"accuracy {(classes == held_labels).float().mean():.4f} on {len(held_labels)} held-out samples")
print(f"saved {path}")
