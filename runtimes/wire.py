"""Values across a process boundary: JSON for what JSON can say, one ``.npy`` file for each array.

An array becomes ``{"npy": "<file>"}``, a Path its string, a dataclass its fields. The receiver converts back by
the annotations of the function that is called.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

_ARRAY = "npy"
_LARGE = 1 << 16


class Wire:
    """Packs into, and unpacks from, one folder. ``prefix`` keeps the two sides' files apart."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._names = (f"{prefix}{number}.npy" for number in itertools.count())

    def pack(self, value: Any) -> Any:
        """A value that ``json`` can write."""
        return msgspec.to_builtins(value, enc_hook=self._encode)

    def unpack(self, value: Any, type_: Any, keep: bool = False) -> Any:
        """The value as ``type_``. The array files are removed unless ``keep``."""
        return msgspec.convert(self._arrays(value, keep), type_, dec_hook=_decode)

    def _encode(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = next(self._names)
            np.save(self._folder / name, value, allow_pickle=False)
            return {_ARRAY: name}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Path):
            return str(value)
        raise NotImplementedError(f"{type(value).__name__} cannot cross a process boundary")

    def _arrays(self, value: Any, keep: bool) -> Any:
        if isinstance(value, dict):
            if value.keys() == {_ARRAY}:
                path = self._folder / value[_ARRAY]
                array = _loaded(path)
                if not keep:
                    path.unlink()
                return array
            return {key: self._arrays(item, keep) for key, item in value.items()}
        if isinstance(value, list):
            return [self._arrays(item, keep) for item in value]
        return value


def _loaded(path: Path) -> Any:
    """The array in the file; a large one lies in memory that is no heap of this process, so that to free it does not
    change how malloc treats what others free, and with it how fast they are."""
    if path.stat().st_size < _LARGE:
        return np.load(path, allow_pickle=False)
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def _decode(type_: Any, value: Any) -> Any:
    return Path(value) if type_ is Path else value
