"""Checkpoints in every usual wrapping, and what is said of those that do not fit or cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch_sources_child as child

from exporter.converters import Converters
from runtimes.client import Worker
from runtimes.errors import NotAModelError, UsageError


@pytest.fixture(scope="module")
def worker(children: Converters) -> Worker:
    return children.get("torch")


@pytest.mark.parametrize(
    "how",
    [
        "bare",
        "state_dict",
        "model",
        "nested",
        "list",
        "DataParallel",
        "compiled",
        "half",
        "without counters",
        "safetensors",
    ],
)
def test_the_weights_are_found(worker: Worker, tmp_path: Path, how: str) -> None:
    path = tmp_path / ("w.safetensors" if how == "safetensors" else "w.pt")
    worker.call(child.save, how, path)
    assert worker.call(child.loaded, path)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("surplus", r"keys that the model does not: head\.extra, aux\.weight \(--allow-extra-keys"),
        ("missing", r"it lacks head\.weight, head\.bias"),
        ("shape", r"head\.weight: \[5, 6\] in the file, \[4, 6\] in the model"),
        ("no weights", r"its keys are epoch, lr; looked under state_dict"),
        ("number", "holds a int, not a state_dict"),
        ("plain pickle", r"neither a safetensors file nor one of torch\.save"),
        ("pickle", r"argparse\.Namespace.*--allow-pickle"),
        ("module", r"torch_sources_child\.Net.*--allow-pickle"),
        ("truncated", "no checkpoint that PyTorch can read"),
        ("text", r"neither a safetensors file nor one of torch\.save"),
    ],
)
def test_weights_that_do_not_fit_say_why(worker: Worker, tmp_path: Path, how: str, says: str) -> None:
    worker.call(child.save, how, tmp_path / "w.pt")
    with pytest.raises(NotAModelError, match=says) as caught:
        worker.call(child.loaded, tmp_path / "w.pt")
    assert str(tmp_path / "w.pt") in str(caught.value)


def test_a_broken_safetensors_file_is_one_message(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(NotAModelError, match="no safetensors file"):
        worker.call(child.loaded, tmp_path / "w.safetensors")


def test_what_the_person_allows_is_done(worker: Worker, tmp_path: Path) -> None:
    worker.call(child.save, "surplus", tmp_path / "surplus.pt")
    assert worker.call(child.loaded, tmp_path / "surplus.pt", allow_extra_keys=True)
    for how in ("pickle", "module"):
        worker.call(child.save, how, tmp_path / f"{how}.pt")
        assert worker.call(child.loaded, tmp_path / f"{how}.pt", allow_pickle=True)


@pytest.mark.parametrize(("name", "says"), [("no.pt", "does not exist"), (".", "is a folder")])
def test_no_file_is_a_usage_error(worker: Worker, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        worker.call(child.loaded, tmp_path / name)
