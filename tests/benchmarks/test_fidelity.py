"""The benchmark of the benchmark runs, and its own arithmetic is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.comparing.comparison import Ratio

FIDELITY = Path(__file__).parent / "fidelity.py"


def test_it_measures_ours_and_a_plain_loop(bundles: dict[str, Path], tmp_path: Path) -> None:
    result = tmp_path / "fidelity.json"
    words = ["litert/threads 1", "onnxruntime/threads 1", "torchscript/threads 1", "wasm"]
    options = ["--batch", "1", "--rounds", "2", "--processes", "1", "--seconds", "0.05", "--json"]
    done = subprocess.run(
        [sys.executable, FIDELITY, *words, "--bundle", bundles["torch"], *options, result],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode in (0, 1), (
        done.stderr
    )  # 1 says that a row is off, which a loaded machine may cause
    report = json.loads(result.read_text())
    assert report["added_s"] < 1e-6
    rows = {row["name"].partition("/")[2]: row for row in report["rows"]}
    assert set(rows) == {
        "litert/threads 1",
        "onnxruntime/threads 1",
        "torchscript/threads 1",
        "tfjs/wasm/threads 1",
    }
    for row in rows.values():
        assert 1e-6 < row["bare_s"] < 1
        assert 0.2 < row["bare"]["value"] < 5
    assert all((row["tool"] is None) == ("tfjs" in name) for name, row in rows.items())


def test_a_row_is_off_only_beyond_its_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FIDELITY.parent)
    from fidelity import Row

    def off(value: float, low: float, high: float, bare_s: float = 1e-3) -> bool:
        return Row("net/runtime/threads 1", 1, value * bare_s, bare_s, Ratio(value, (low, high)), None).off

    assert off(1.05, 1.03, 1.07)
    assert off(0.92, 0.9, 0.97)
    assert not off(1.05, 1.01, 1.09)
    assert not off(1.01, 1.005, 1.015)
    assert not off(1.05, 1.03, 1.07, bare_s=5e-5)
