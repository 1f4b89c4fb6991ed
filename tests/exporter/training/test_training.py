"""Training in real children: what is written, what is told meanwhile, the same weights by the same seed, errors."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import training_child as child

from exporter import data as datasets
from exporter.data import Dataset
from exporter.source_folder import HELDOUT, HISTORY, History, open_source
from exporter.train import train, training_environment
from exporter.training.child import train_keras, train_torch
from exporter.training.options import TrainOptions
from runtimes.bundle import TensorSpec
from runtimes.client import Worker
from runtimes.errors import UnavailableError, UsageError

HERE = str(Path(__file__).parent)
FRAMEWORKS = ("torch", "keras")
TRAIN = {"torch": train_torch, "keras": train_keras}
WEIGHTS = {"torch": child.torch_weights, "keras": child.keras_weights}
ACCURACY = {"torch": child.torch_accuracy, "keras": child.keras_accuracy}
PARAMETERS = 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 49 * 128 + 128 + 128 * 10 + 10


@dataclass(frozen=True)
class Run:
    """A finished training."""

    framework: str
    folder: Path
    history: History
    events: list[dict[str, Any]]


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, Worker]]:
    """One child a framework, as training has them, that can import this folder too."""
    environments = {name: {**training_environment(name, "cpu"), "PYTHONPATH": HERE} for name in FRAMEWORKS}
    environments["keras"]["KERAS_BACKEND"] = "tensorflow"
    with Worker(environments["torch"]) as torch, Worker(environments["keras"]) as keras:
        yield {"torch": torch, "keras": keras}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The stage itself, two epochs on the digits, in each framework."""
    done = {}
    for framework in FRAMEWORKS:
        folder, events = tmp_path_factory.mktemp(framework) / "source", []
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("KERAS_BACKEND", raising=False)
            history = train(folder, framework, "digits", TrainOptions("cpu", epochs=2), events.append)
        done[framework] = Run(framework, folder, history, events)
    return done


@pytest.fixture(params=FRAMEWORKS)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


@pytest.fixture
def few(tmp_path: Path, digits: Dataset) -> str:
    """A few digits, sorted by class, as ``--data``: half a second of training."""
    x, y = digits.train_images[:150], digits.train_labels[:150]
    order = np.argsort(y, kind="stable")
    np.savez(tmp_path / "few.npz", x_train=x[order], y_train=y[order], x_test=x[:40], y_test=y[:40])
    return f"npz:{tmp_path / 'few.npz'}"


# --- what is written


def test_the_folder_holds_what_an_export_needs(run: Run, digits: Dataset) -> None:
    weights = {"torch": "weights.pt", "keras": "model.keras"}[run.framework]
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(
        [weights, "source.json", "heldout.npz", "history.json"]
    )
    source = open_source(run.folder)
    assert (source.framework, source.weights, source.parameters) == (run.framework, weights, PARAMETERS)
    assert source.versions[run.framework]
    assert source.model.labels == digits.labels
    assert [one["op"] for one in source.model.preprocessing] == ["color", "resize", "scale"]


def test_each_framework_states_its_own_layout_and_output(runs: dict[str, Run]) -> None:
    torch, keras = (open_source(runs[name].folder) for name in FRAMEWORKS)
    assert torch.model.inputs == (TensorSpec("image", "float32", (None, 1, 28, 28), "NCHW", "image"),)
    assert torch.model.outputs == (TensorSpec("logits", "float32", (None, 10), "NC", "logits"),)
    assert (torch.code, torch.arguments) == (
        "exporter.training.torch_cnn:ImageClassifier",
        {"num_classes": 10},
    )
    assert keras.model.inputs == (TensorSpec("image", "float32", (None, 28, 28, 1), "NHWC", "image"),)
    assert keras.model.outputs == (TensorSpec("probabilities", "float32", (None, 10), "NC", "probabilities"),)
    assert (keras.code, keras.arguments) == ("", {})


def test_held_out_samples_are_the_data_s_and_the_same_in_both(runs: dict[str, Run], digits: Dataset) -> None:
    kept = {}
    for name, run in runs.items():
        with np.load(run.folder / HELDOUT, allow_pickle=False) as file:
            kept[name] = file["images"], file["labels"]
    images, labels = kept["torch"]
    assert (images.shape, images.dtype, labels.dtype) == ((359, 28, 28, 1), np.uint8, np.int64)
    given = zip(digits.heldout_images, digits.heldout_labels, strict=True)
    assert sorted((i.tobytes(), int(k)) for i, k in zip(images, labels, strict=True)) == sorted(
        (i.tobytes(), int(k)) for i, k in given
    )
    assert np.array_equal(images, kept["keras"][0])
    assert np.array_equal(labels, kept["keras"][1])


def test_the_history_tells_what_happened(run: Run, digits: Dataset) -> None:
    history = run.history
    assert msgspec.json.decode((run.folder / HISTORY).read_bytes(), type=History) == history
    samples = {"torch": 1438, "keras": 1150}[run.framework]  # Keras validates on 20 % of the training part
    assert (history.train_samples, history.heldout_samples) == (samples, 359)
    assert (history.framework, history.device, history.data) == (run.framework, "cpu", "digits")
    assert history.backend == {"torch": "torch", "keras": "tensorflow"}[run.framework]
    assert (history.seed, history.batch_size, history.amp) == (0, 32, False)
    assert history.parameters == PARAMETERS
    one, two = history.epochs
    assert 2.303 > one.loss > two.loss > 0  # ln 10 is what guessing loses
    assert two.accuracy > 0.8
    assert (history.final_loss, history.final_accuracy) == (two.loss, two.accuracy)
    assert history.samples_per_s == pytest.approx(2 * samples / (one.seconds + two.seconds))


def test_progress_is_told(run: Run) -> None:
    epochs = [event for event in run.events if "epoch" in event]
    assert [(e["epoch"], e["of"]) for e in epochs] == [(1, 2), (2, 2)]
    for event, epoch in zip(epochs, run.history.epochs, strict=True):
        assert (event["loss"], event["accuracy"], event["seconds"]) == (
            epoch.loss,
            epoch.accuracy,
            epoch.seconds,
        )
    batches = [event for event in run.events if "batch" in event]
    assert all(1 <= event["batch"] <= event["of"] == -(-run.history.train_samples // 32) for event in batches)
    told_per_second = len(batches) / sum(epoch.seconds for epoch in run.history.epochs)
    assert told_per_second < 6


def test_the_saved_weights_are_those_that_were_judged(run: Run, workers: dict[str, Worker]) -> None:
    found = workers[run.framework].call(ACCURACY[run.framework], run.folder)
    assert found == pytest.approx(run.history.final_accuracy, abs=1.01 / 359)  # one tie may fall otherwise


def test_the_pytorch_network_is_the_issue_s(runs: dict[str, Run], workers: dict[str, Worker]) -> None:
    shapes = workers["torch"].call(child.torch_shapes, runs["torch"].folder)
    assert shapes == {
        "conv1.weight": [32, 1, 3, 3],
        "conv1.bias": [32],
        "conv2.weight": [64, 32, 3, 3],
        "conv2.bias": [64],
        "dense1.weight": [128, 3136],
        "dense1.bias": [128],
        "dense2.weight": [10, 128],
        "dense2.bias": [10],
    }


def test_the_keras_network_is_the_issue_s(runs: dict[str, Run], workers: dict[str, Worker]) -> None:
    assert workers["keras"].call(child.keras_description, runs["keras"].folder) == {
        "layers": "conv1 pool1 conv2 pool2 flatten dense1 dropout probabilities",
        "dtypes": "float32",
        "input": "image (None, 28, 28, 1)",
        "loss": "sparse_categorical_crossentropy",
        "optimizer": "adam",
        "parameters": str(PARAMETERS),
    }


# --- seeds, precision, data


def weights_of(
    workers: dict[str, Worker], framework: str, out: Path, data: str, options: TrainOptions
) -> list[np.ndarray]:
    out.mkdir()
    workers[framework].call(TRAIN[framework], out, data, options)
    found: list[np.ndarray] = workers[framework].call(WEIGHTS[framework], out)
    return found


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_same_seed_same_weights(workers: dict[str, Worker], framework: str, tmp_path: Path, few: str) -> None:
    def weights(name: str, seed: int) -> list[np.ndarray]:
        return weights_of(workers, framework, tmp_path / name, few, TrainOptions("cpu", 2, seed=seed))

    one, again, other = weights("one", 7), weights("again", 7), weights("other", 8)
    assert len(one) == 8
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_amp_trains_otherwise_and_leaves_float32(
    workers: dict[str, Worker], framework: str, tmp_path: Path, few: str
) -> None:
    plain = weights_of(workers, framework, tmp_path / "plain", few, TrainOptions("cpu", 1))
    amp = weights_of(workers, framework, tmp_path / "amp", few, TrainOptions("cpu", 1, amp=True))
    assert {weight.dtype.name for weight in amp} == {"float32"}
    assert not all(np.array_equal(a, b) for a, b in zip(plain, amp, strict=True))
    assert all(np.allclose(a, b, atol=0.02) for a, b in zip(plain, amp, strict=True))
    history = msgspec.json.decode((tmp_path / "amp" / HISTORY).read_bytes(), type=History)
    found = workers[framework].call(ACCURACY[framework], tmp_path / "amp")
    assert (history.amp, history.final_accuracy) == (True, pytest.approx(found))
    if framework == "keras":
        description = workers["keras"].call(child.keras_description, tmp_path / "amp")
        assert description["dtypes"] == "float32"
        assert description["loss"] == "sparse_categorical_crossentropy"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_class_is_learnt_from_data_sorted_by_class(
    workers: dict[str, Worker], framework: str, tmp_path: Path, digits: Dataset
) -> None:
    """Keras's validation_split takes the last rows: of sorted data, whole classes."""
    x, y = digits.train_images[:600], digits.train_labels[:600]
    order = np.argsort(y, kind="stable")
    held = digits.heldout_labels >= 8
    np.savez(
        tmp_path / "sorted.npz",
        x_train=x[order],
        y_train=y[order],
        x_test=digits.heldout_images[held],
        y_test=digits.heldout_labels[held],
    )
    (tmp_path / "out").mkdir()
    data, options = f"npz:{tmp_path / 'sorted.npz'}", TrainOptions("cpu", 6)
    history = workers[framework].call(TRAIN[framework], tmp_path / "out", data, options)
    assert history.final_accuracy > 0.5


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_number_of_classes_is_the_data_s(
    workers: dict[str, Worker], framework: str, tmp_path: Path, digits: Dataset
) -> None:
    few = digits.train_labels < 3
    np.savez(tmp_path / "three.npz", x=digits.train_images[few], y=digits.train_labels[few])
    (tmp_path / "out").mkdir()
    workers[framework].call(
        TRAIN[framework], tmp_path / "out", f"npz:{tmp_path / 'three.npz'}", TrainOptions("cpu", 1)
    )
    source = open_source(tmp_path / "out")
    assert source.model.labels == ("0", "1", "2")
    assert source.model.outputs[0].shape == (None, 3)
    assert workers[framework].call(ACCURACY[framework], tmp_path / "out") > 0.5


def test_at_most_2000_held_out_samples_are_kept_though_all_are_judged(
    workers: dict[str, Worker], tmp_path: Path, digits: Dataset
) -> None:
    x, y = np.concatenate([digits.train_images] * 2), np.concatenate([digits.train_labels] * 2)
    np.savez(tmp_path / "many.npz", x_train=x[:64], y_train=y[:64], x_test=x, y_test=y)
    (tmp_path / "out").mkdir()
    history = workers["torch"].call(
        train_torch, tmp_path / "out", f"npz:{tmp_path / 'many.npz'}", TrainOptions("cpu", 1)
    )
    assert history.heldout_samples == 2876
    with np.load(tmp_path / "out" / HELDOUT, allow_pickle=False) as file:
        assert len(file["images"]) == len(file["labels"]) == 2000
        assert np.bincount(file["labels"]).min() > 150


# --- errors


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("device", ["cuda", "cuda:99"])
def test_a_gpu_that_is_not_there_is_unavailable(
    workers: dict[str, Worker], framework: str, device: str, tmp_path: Path, few: str
) -> None:
    """The children see no GPU: CUDA_VISIBLE_DEVICES hides those of any machine."""
    with pytest.raises(UnavailableError) as caught:
        workers[framework].call(TRAIN[framework], tmp_path, few, TrainOptions(device, 1))
    assert device in str(caught.value)
    assert "--device cpu" in str(caught.value)
    assert caught.value.exit_code == 6
    assert not (tmp_path / "source.json").exists()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_auto_takes_the_cpu_where_there_is_no_gpu(
    workers: dict[str, Worker], framework: str, tmp_path: Path, few: str
) -> None:
    (tmp_path / "out").mkdir()
    assert (
        workers[framework].call(TRAIN[framework], tmp_path / "out", few, TrainOptions("auto", 1)).device
        == "cpu"
    )


@pytest.mark.parametrize(
    ("backend", "error", "says"),
    [("no-such", UsageError, "tensorflow, jax, torch"), ("numpy", UsageError, "does not train")],
)
def test_a_keras_backend_that_cannot_train_is_a_usage_error(
    backend: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(error, match=says):
        train(tmp_path / "out", "keras", "digits", TrainOptions("cpu", 1))


BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name={name!r})
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(("backend", "missing"), [("jax", "jax"), ("tensorflow", "tensorflow")])
def test_a_keras_backend_that_is_not_installed_is_unavailable(
    backend: str, missing: str, tmp_path: Path, few: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(name=missing))
    with (
        Worker({"KERAS_BACKEND": backend, "PYTHONPATH": str(tmp_path)}) as worker,
        pytest.raises(UnavailableError, match=f"{missing}, which is missing: pip install"),
    ):
        worker.call(train_keras, tmp_path, few, TrainOptions("cpu", 1))


def test_a_framework_that_is_not_installed_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"pip install 'fwexport\[torch\]'"):
        train(tmp_path / "out", "torch", "digits", TrainOptions("cpu", 1))
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_the_earlier_folder_whole(runs: dict[str, Run]) -> None:
    run = runs["torch"]
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(UsageError, match="Did you mean 'digits'"):
        train(run.folder, run.framework, "digitz", TrainOptions("cpu", 1))
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert [path.name for path in run.folder.parent.iterdir()] == ["source"]


# --- downloads


def write_cache(home: Path) -> None:
    """Fashion-MNIST as Keras keeps it, but small: 40 images to train on, 20 held out."""
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, n in (("train", 40), ("t10k", 20)):
        pixels = bytes(k % 251 for k in range(n * 784))
        images = struct.pack(">4I", 0x803, n, 28, 28) + pixels
        labels = struct.pack(">2I", 0x801, n) + bytes(k % 10 for k in range(n))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def test_a_download_in_the_cache_needs_no_network_and_no_tensorflow(tmp_path: Path) -> None:
    write_cache(tmp_path / "keras")
    environment = {
        **training_environment("torch", "cpu"),
        "KERAS_HOME": str(tmp_path / "keras"),
        "PYTHONPATH": HERE,
    }
    (tmp_path / "out").mkdir()
    with Worker(environment) as worker:
        worker.call(train_torch, tmp_path / "out", "fashion-mnist", TrainOptions("cpu", 1))
        assert worker.call(child.loaded_libraries) == ["torch"]
    source = open_source(tmp_path / "out")
    assert source.model.labels[0] == "T-shirt/top"
    with np.load(tmp_path / "out" / HELDOUT, allow_pickle=False) as file:
        assert file["images"].shape == (20, 28, 28, 1)


def test_a_download_that_fails_names_the_offline_way(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    environment = {
        **training_environment("torch", "cpu"),
        "KERAS_HOME": str(tmp_path / "keras"),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
        "no_proxy": None,
        "NO_PROXY": None,
    }
    with Worker(environment) as worker, pytest.raises(UnavailableError, match="--data idx:DIR") as caught:
        worker.call(train_torch, tmp_path, "mnist", TrainOptions("cpu", 1))
    assert caught.value.exit_code == 6


# --- real data


@pytest.fixture(scope="module")
def fashion_mnist() -> str:
    folder = os.environ.get("FWEXPORT_FASHION_MNIST")
    if not folder:
        pytest.skip("FWEXPORT_FASHION_MNIST does not name a folder with Fashion-MNIST's four files")
    return f"idx:{folder}"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_epochs_on_fashion_mnist_reach_88_percent(
    fashion_mnist: str, framework: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    history = train(tmp_path / "source", framework, fashion_mnist, TrainOptions(epochs=2))
    record_property("samples_per_s", history.samples_per_s)
    assert history.heldout_samples == 10_000
    assert history.final_accuracy >= 0.88
