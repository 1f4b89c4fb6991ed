"""The tables as a terminal shows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.console import print_verify
from runtimes.rows import VerifyRow

ROW = VerifyRow("torch", "tflite", "litert", "cpu", "xnnpack", "passed", max_noise_ratio=8.5)
CLASSES = replace(
    ROW,
    heldout_n=360,
    top1_agreement=359 / 360,
    top1_interval=(0.98462, 0.99993),
    accuracy=0.9778,
    source_accuracy=0.975,
    accuracy_change=0.0028,
    accuracy_change_interval=(-0.00801, 0.01556),
    mcnemar_p=1.0,
)


def test_rows_that_say_the_same_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    all_same = replace(
        CLASSES,
        top1_agreement=1.0,
        top1_interval=(0.98981, 1.0),
        accuracy=0.975,
        accuracy_change=0.0,
        accuracy_change_interval=(-0.01056, 0.01056),
        mcnemar_p=1.0,
    )
    print_verify([all_same, replace(all_same, artifact="onnx"), replace(CLASSES, source="keras")])
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(
        "torch: the source's class on all 360 held-out samples (95 % interval 98.98 to 100 %); accuracy 97.5 %, "
        "change 0.00 points (-1.06 to +1.06) keras: the source's class on 359 of 360 held-out samples (95 % interval "
        "98.46 to 99.99 %); accuracy 97.8 %, change +0.28 points (-0.80 to +1.56), p 1.00"
    )


def test_rows_that_differ_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    other = replace(CLASSES, artifact="onnx", runtime="onnxruntime", backend="cpu", accuracy_change=None)
    print_verify([CLASSES, other, ROW])
    text = capsys.readouterr().out
    print_verify([other, CLASSES, CLASSES, CLASSES])
    assert "torch, the other 3: the source's class" in capsys.readouterr().out
    assert "torch/tflite in litert: the source's class" in text
    assert "torch/onnx in onnxruntime: the source's class" in text
    assert text.count("accuracy") == 2  # the column, and the row that has one


def test_a_gpu_that_software_plays_has_a_star(capsys: pytest.CaptureFixture[str]) -> None:
    webgl = replace(ROW, runtime="tfjs_browser", device="gpu", backend="webgl", emulated="SwiftShader")
    webgl = replace(webgl, versions={"@tensorflow/tfjs-core": "4.22.0", "chromium": "156.0.1"})
    print_verify([ROW, webgl, replace(webgl, backend="webgpu", emulated="")])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [line.split()[1:-5] for line in lines if "torch/tflite" in line] == [
        ["litert"],
        ["tfjs_browser", "webgl*"],
        ["tfjs_browser", "webgpu"],
    ]
    assert lines.count("browser: chromium 156.0.1") == 1
    assert (
        "* gpu, played by SwiftShader: what passes there is right code, and a real device may round otherwise"
        in lines
    )


def test_a_verdict_without_classes_has_no_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    print_verify([ROW])
    assert "interval" not in capsys.readouterr().out
