"""What may be asked of training, decided before any framework is imported."""

import subprocess
import sys

import pytest

from exporter.train import training_environment
from exporter.training.options import TrainOptions
from runtimes.errors import UsageError


def test_the_defaults_are_the_issue_s() -> None:
    assert TrainOptions() == TrainOptions(device="auto", epochs=5, batch_size=32, seed=0, amp=False)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_that_can_be_asked_for(device: str) -> None:
    assert TrainOptions(device=device).device == device


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"device": "gpu"}, "'gpu'"),
        ({"device": "cuda:"}, "'cuda:'"),
        ({"device": "cuda:x"}, "'cuda:x'"),
        ({"device": "mps"}, "'mps'"),
        ({"epochs": 0}, "0 epochs"),
        ({"batch_size": 0}, "batches of 0"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**32}, "seed 4294967296"),
    ],
)
def test_wrong_options_are_usage_errors(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainOptions(**wrong)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_the_person_s_keras_backend_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert training_environment("keras", "auto") == {"KERAS_BACKEND": "tensorflow"}
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert training_environment("keras", "auto") == {"KERAS_BACKEND": "jax"}
    assert training_environment("keras", "cpu")["CUDA_VISIBLE_DEVICES"] == "-1"


def test_pytorch_s_child_keeps_tensorflow_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert training_environment("torch", "cuda") == {"KERAS_BACKEND": "torch"}
    assert training_environment("torch", "cpu") == {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "-1"}


def test_the_parent_imports_no_framework() -> None:
    heavy = "{'torch', 'tensorflow', 'keras', 'jax', 'sklearn'}"
    code = f"import sys, exporter.train, exporter.data; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
