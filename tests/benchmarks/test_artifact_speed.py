"""The benchmark of artifacts: two files in turns, and the table of one race."""

from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


def test_a_file_is_as_fast_as_itself(bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    import artifact_speed
    import artifact_speed_child as child

    from runtimes.client import Worker

    file = bundles["torch"] / "model.onnx"
    images = np.zeros((2, 1, 28, 28), np.float32)
    for kind in ("onnxruntime", child.UNOPTIMISED):
        with Worker({"PYTHONPATH": str(HERE)}) as worker:
            race = worker.call(child.race, kind, [file, file], images, 0.2)
        assert race.runs_s.shape[0] == 2
        assert race.runs_s.shape[1] >= 20
        assert race.loads_s.shape == (2, 2 * child.LOADS)
        row = artifact_speed._row(kind, 2, race, [100, 50], [7, 9])
        assert 0.5 < row.latency < 2
        assert row.low <= row.latency <= row.high
        assert row.size == 2
