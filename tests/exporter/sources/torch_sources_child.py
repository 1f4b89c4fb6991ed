"""What the tests of PyTorch sources run in a torch child: networks to bring, and checkpoints of every wrapping."""

from __future__ import annotations

import argparse
import contextlib
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from exporter.frameworks import torch_weights

ARRAY = np.ndarray[Any, Any]


class Net(nn.Module):
    """(n, 3, 8, 8) to (n, 4) logits, with a batch norm whose statistics are not those of a fresh one."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(image))).mean((2, 3)))


class Named(nn.Module):
    """Two inputs, a dictionary of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(3, 5)
        self.right = nn.Linear(2, 5)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        total = torch.tanh(self.left(a) + self.right(b))
        return {"total": total, "norm": (total.float() ** 2).sum(1).sqrt()}


class Casting(nn.Module):
    """Float32 in its own words, and a constant: what a float64 reference must see through."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.softmax(self.head(x), dim=1, dtype=torch.float32)
        return y + torch.linspace(0, 1, 4)


def seeded(kind: type[nn.Module] = Net, seed: int = 3) -> nn.Module:
    """A network whose every tensor is drawn."""
    torch.manual_seed(seed)
    model = kind()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if name.endswith("var") else tensor.normal_(0, 0.5)
    return model.eval()


def save(how: str, path: Path) -> None:
    """Write a checkpoint of ``seeded()`` in this wrapping."""
    model = seeded()
    state = dict(model.state_dict())
    without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    contents: dict[str, Any] = {
        "bare": state,
        "state_dict": {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        "model": {"model": state},
        "nested": {"state_dict": {"model": state}},
        "list": [state],
        "DataParallel": {f"module.{key}": value for key, value in state.items()},
        "compiled": {"model": {f"_orig_mod.{key}": value for key, value in state.items()}},
        "half": {key: value.half() if value.is_floating_point() else value for key, value in state.items()},
        "without counters": without,
        "surplus": {**state, "head.extra": torch.ones(2), "aux.weight": torch.ones(1)},
        "missing": {key: value for key, value in state.items() if not key.startswith("head")},
        "shape": {**state, "head.weight": torch.ones(5, 6)},
        "no weights": {"epoch": 3, "lr": 0.1},
        "number": 7,
        "pickle": {"state_dict": state, "args": argparse.Namespace(lr=0.1)},
        "module": model,
    }
    if how == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    elif how == "truncated":
        file = io.BytesIO()
        torch.save(state, file)
        path.write_bytes(file.getvalue()[:-300])
    elif how == "plain pickle":
        path.write_bytes(pickle.dumps({"weights": np.ones(3)}))
    elif how == "text":
        path.write_text("not a checkpoint")
    else:
        torch.save(contents[how], path)


def loaded(path: Path, allow_pickle: bool = False, allow_extra_keys: bool = False) -> bool:
    """Whether ``torch_weights`` gives a fresh network the weights of ``seeded()``, but for their precision."""
    model = Net().eval()
    torch_weights.load_into(model, path, allow_pickle, allow_extra_keys)
    wanted = seeded().state_dict()
    close = [
        torch.allclose(value, wanted[key], atol=1e-3)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    ]
    return all(close)


def write(how: str, path: Path) -> None:
    """Write a network as a file that describes itself more or less: TorchScript or a .pt2 program."""
    image, table = torch.rand(2, 3, 8, 8), torch.rand(2, 3)
    batch = torch.export.Dim("batch", min=1, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "traced":
            torch.jit.trace(seeded(), image).save(path)
        elif how == "scripted":
            torch.jit.script(seeded()).save(path)
        elif how == "frozen":
            torch.jit.freeze(torch.jit.trace(seeded(), image)).save(path)
        elif how == "casting":
            torch.jit.trace(seeded(Casting), table).save(path)
        elif how == "casting frozen":
            torch.jit.freeze(torch.jit.script(seeded(Casting))).save(path)
        elif how == "fixed":
            torch.export.save(torch.export.export(seeded(), (image,)), path)
        elif how == "dynamic":
            torch.export.save(torch.export.export(seeded(), (image,), dynamic_shapes=({0: batch},)), path)
        elif how == "named":
            shapes = ({0: batch}, {0: batch})
            program = torch.export.export(
                seeded(Named), (torch.rand(2, 3), torch.rand(2, 2)), dynamic_shapes=shapes
            )
            torch.export.save(program, path)


def exact(how: str, feeds: dict[str, ARRAY]) -> list[ARRAY]:
    """Float64 outputs of the network that ``write(how, ...)`` writes, computed here from the network itself."""
    tensors = [torch.from_numpy(array).double() for array in feeds.values()]
    if "casting" in how:
        model = seeded(Casting).double()
        return [
            (torch.softmax(model.head(tensors[0]), 1) + torch.linspace(0, 1, 4).double()).detach().numpy()
        ]
    model = seeded(Named if how == "named" else Net).double()
    with torch.inference_mode():
        if how == "named":
            total = torch.tanh(model.left(tensors[0]) + model.right(tensors[1]))
            return [total.numpy(), (total**2).sum(1).sqrt().numpy()]
        return [model(*tensors).numpy()]


def run(kind: str, folder: Path, precision: str, feeds: dict[str, ARRAY]) -> dict[str, ARRAY]:
    """Outputs of a source folder by its own kind's session."""
    from exporter.source_kind import source_kind
    from runtimes.reference import Variant

    with contextlib.redirect_stdout(io.StringIO()):
        return source_kind(kind).open_session(folder, Variant(precision)).run(feeds)
