"""What one writes to run TorchScript in PyTorch. ``plain.py`` is the loop around it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

around = torch.inference_mode


def load(path: str, threads: int) -> Callable[[np.ndarray], Callable[[], Any]]:
    torch.set_num_threads(threads)
    module = torch.jit.load(path)

    def bound(image: np.ndarray) -> Callable[[], Any]:
        tensor = torch.from_numpy(image)
        return lambda: module(tensor)

    return bound
