"""Writing so that a reader never sees half of it: atomic files, swapped folders, checksums."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.errors import OutputError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn an OSError on the way to ``path`` into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """The message for a failed write."""
    if error.errno in _FULL:
        return OutputError(f"no space left while writing {path}. Free some, or write elsewhere with -o.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path} cannot be written ({error.strerror}). Choose another folder with -o.")
    return OutputError(f"{path} cannot be written: {error.strerror or error}. Choose another place with -o.")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file by a rename, so that it is either the old one or the new one."""
    data = content.encode() if isinstance(content, str) else content
    with writing_to(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def swapped_folder(target: Path, marker: str) -> Iterator[Path]:
    """Yield an empty sibling folder that becomes ``target`` when the block succeeds; else nothing changes.

    ``marker`` is the file that only folders of ours hold: a ``target`` that exists, is not empty and lacks it is
    somebody's own folder, and is refused with UsageError. Two renames do the swap; ``recover_swap`` mends what an
    interruption between them leaves.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - a link stays a link
    recover_swap(target)
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file. Name a folder with -o.")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).exists():
        raise UsageError(
            f"{target} holds other files (no {marker}); it would be replaced. Choose another folder with -o."
        )
    if target.is_mount():
        raise UsageError(
            f"{target} is a mount point, which cannot be replaced. Name a folder inside it: {target / 'new'}."
        )
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.new-"))
        fresh.chmod(0o755)
    try:
        yield fresh
        old = _old(target)
        with writing_to(target):
            if target.exists():
                target.rename(old)
            fresh.rename(target)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        recover_swap(target)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise output_error(target, error) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover_swap(target: Path) -> None:
    """Finish or undo a swap that was interrupted between its two renames."""
    old = _old(target)
    if old.is_dir():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with writing_to(target):
                old.rename(target)


def _old(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def make_folder(path: Path) -> Path:
    """The folder, made when it is not there. Raises OutputError where it takes no file, before any work is done for it."""
    with writing_to(path):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    return path


def copy(source: Path, target: Path) -> None:
    """Copy a file, or every file below a folder; the first that cannot be is an OutputError that names it."""
    for file in files_of(source):
        copied = target / file.relative_to(source)  # of a file itself, "."
        with writing_to(copied):
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)


def digest(path: Path) -> str:
    """sha256 of a file, or of a folder's sorted relative names and contents."""
    total = hashlib.sha256()
    for file in files_of(path):
        if path.is_dir():
            total.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def size_of(path: Path) -> int:
    """Bytes in a file, or in all files of a folder."""
    return sum(file.stat().st_size for file in files_of(path))


def files_of(path: Path) -> list[Path]:
    """A file itself, or all files of a folder, in the order of their paths."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def write_npz(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a compressed ``.npz`` by a rename."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that ``write_npz`` wrote, or none when there is no such file."""
    if not path.exists():
        return {}
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
