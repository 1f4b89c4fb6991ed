"""The shipped CNN in PyTorch, and its training loop. Imported only in a torch child."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exporter import data as datasets
from exporter.source_folder import Epoch, History
from exporter.training.options import Trained, TrainOptions, model_spec, write_source
from runtimes.base import Array
from runtimes.errors import UnavailableError
from runtimes.files import write_atomically
from runtimes.machine import versions_of
from runtimes.worker import emit

log = logging.getLogger(__name__)

LEARNING_RATE = 1e-3
WEIGHTS = "weights.pt"


class ImageClassifier(nn.Module):  # type: ignore[misc]
    """Two convolutions and two dense layers: (n, 1, 28, 28) float32 in [0, 1] to (n, num_classes) logits."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(64 * 7 * 7, 128)
        self.dropout = nn.Dropout(0.5)
        self.dense2 = nn.Linear(128, num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of each image."""
        x = self.pool1(self.relu(self.conv1(image)))
        x = self.pool2(self.relu(self.conv2(x)))
        x = self.relu(self.dense1(self.flatten(x)))
        return self.dense2(self.dropout(x))


def train(out: Path, data: str, options: TrainOptions) -> History:
    """Train on ``data`` and write a source folder into the empty folder ``out``.

    Raises UnavailableError for a GPU that was asked for and is not there.
    """
    device = choose_device(options.device)
    dataset = datasets.load(data)
    torch.manual_seed(options.seed)
    torch.backends.cudnn.deterministic = True
    arguments = {"num_classes": len(dataset.labels)}
    model = ImageClassifier(**arguments).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    images, labels = _resident(dataset.train_images, dataset.train_labels, device)
    held_images, held_labels = _resident(dataset.heldout_images, dataset.heldout_labels, device)
    epochs = []
    for number in range(1, options.epochs + 1):
        begin = time.perf_counter()
        loss = _train_epoch(model, optimizer, images, labels, options)
        seconds = time.perf_counter() - begin
        epoch = Epoch(loss, _accuracy(model, held_images, held_labels), seconds)
        epochs.append(epoch)
        log.info(
            "epoch %d/%d: loss %.4f, held-out accuracy %.4f, %.1f s",
            number,
            options.epochs,
            epoch.loss,
            epoch.accuracy,
            seconds,
        )
        emit({"epoch": number, "of": options.epochs, **asdict(epoch)})
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    file = io.BytesIO()  # torch.save hides why it cannot write a file
    torch.save(state, file)
    write_atomically(out / WEIGHTS, file.getvalue())
    trained = Trained(
        framework="torch",
        backend="torch",
        device=str(device),
        weights=WEIGHTS,
        code=f"{__name__}:{ImageClassifier.__name__}",
        arguments=arguments,
        versions=versions_of("torch"),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        epochs=epochs,
        samples_per_epoch=len(labels),
    )
    return write_source(out, dataset, model_spec(dataset, "NCHW", "logits", "logits"), trained, data, options)


def choose_device(asked: str) -> torch.device:
    """The device that was asked for, or UnavailableError; ``auto`` is the first GPU where there is one."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return torch.device("cuda" if count else "cpu")
    device = torch.device(asked)
    if device.type == "cuda" and (device.index or 0) >= count:
        build = "a CPU build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        raise UnavailableError(
            f"--device {asked} was asked for, but PyTorch {torch.__version__} ({build}) sees {count} CUDA device(s). "
            "Install a CUDA build of torch and NVIDIA's driver, or use --device cpu."
        )
    return device


def _train_epoch(model: Any, optimizer: Any, images: Any, labels: Any, options: TrainOptions) -> float:
    """One pass over shuffled batches; the mean loss per sample."""
    model.train()
    device = images.device
    amp = torch.autocast(device.type, torch.bfloat16) if options.amp else contextlib.nullcontext()
    # Indices are drawn on the CPU: the order is then the same on every device.
    batches = torch.randperm(len(labels)).to(device).split(options.batch_size)
    total = torch.zeros((), device=device)
    told = time.monotonic()
    for number, index in enumerate(batches, 1):
        with amp:
            loss = nn.functional.cross_entropy(model(images[index]), labels[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(index)
        if time.monotonic() - told > 0.25:
            told = time.monotonic()
            emit({"batch": number, "of": len(batches)})
    return float(total) / len(labels)


def _accuracy(model: Any, images: Any, labels: Any) -> float:
    """The share of images whose largest logit is their label's."""
    model.eval()
    with torch.inference_mode():
        hits = sum(
            int((model(x).argmax(1) == y).sum())
            for x, y in zip(images.split(512), labels.split(512), strict=True)
        )
    return hits / len(labels)


def _resident(images: Array, labels: Array, device: torch.device) -> tuple[Any, Any]:
    """The whole set on the device once, scaled and channels_last: a batch is then one indexing."""
    pixels, classes = torch.from_numpy(images), torch.from_numpy(labels)
    if device.type == "cuda":
        pixels, classes = pixels.pin_memory(), classes.pin_memory()
    pixels = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2)
    return pixels.to(torch.float32).mul_(1 / 255), classes.to(device, non_blocking=True)
