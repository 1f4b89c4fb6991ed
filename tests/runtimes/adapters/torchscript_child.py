"""What the tests of TorchScript's adapter do in a child process."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, frozen: bool) -> None:
    """``x @ w + b`` as a file that says nothing of its sizes."""
    import torch

    module = torch.jit.script(torch.nn.Linear(3, 2).eval())
    torch.jit.save(torch.jit.freeze(module) if frozen else module, str(path))
