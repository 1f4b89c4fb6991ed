"""Latency, cold start and memory in the report: how sure a figure is, what tells rows apart, what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import report_sample as sample

from runtimes.choosing.choice import choose
from runtimes.choosing.requirements import parse
from runtimes.measuring.flags import Flag
from runtimes.measuring.latency import Latency
from runtimes.report import report, units
from runtimes.report.best import fastest, within_noise
from runtimes.report.charts import Figure, bars
from runtimes.report.doubts import MEANINGS
from runtimes.report.inputs import BundleInputs
from runtimes.report.measured import Measured, named
from runtimes.report.stacks import Stacked, stacks
from runtimes.rows import BenchRow, VerifyResult

BUNDLE = BundleInputs("torch", "build/torch", sample.manifest("torch"))
ROW = replace(sample.bench_result("torch").rows[0], artifact_sha256="")


def measured(p50_ms: float, width: float | None = 0.01, **changed: Any) -> Measured:
    """A row whose p50 is known to ``width`` of itself."""
    p50 = p50_ms / 1e3
    interval = None if width is None else (p50 * (1 - width), p50 * (1 + width))
    rounds = changed.pop("rounds", ())
    row = replace(
        ROW, compute=Latency(n=99, p50_s=p50, mean_s=p50, p50_interval=interval, rounds_p50_s=rounds)
    )
    return Measured(0, BUNDLE, replace(row, **changed), changed.get("artifact", f"{p50_ms}"))


def page(
    tmp_path: Path, *rows: BenchRow, verify: VerifyResult | None = None, **changed: Any
) -> tuple[str, str]:
    verify = verify or sample.verify_result("torch")
    result = replace(sample.bench_result("torch"), rows=rows, **changed)
    written = report(sample.write_bundle(tmp_path / "torch", "torch", bench=result, verify=verify))
    return written.markdown.read_text(), written.html.read_text()


def table(markdown: str, caption: str) -> list[dict[str, str]]:
    """The table of that caption, a dictionary for each row; of two columns of one title the first."""
    lines = markdown[markdown.index(f"**{caption}**") :].split("\n\n")[1].splitlines()
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(reversed(list(zip(head, cells, strict=True)))) for cells in body]


def test_rows_whose_intervals_overlap_share_the_first_place() -> None:
    rows = [measured(1.2), measured(1.015), measured(1.0), measured(1.03)]
    assert [one.name for one in within_noise(rows)] == ["1.0", "1.015"]
    assert fastest(rows) == "at batch 1 `1.0` and `1.015`, within noise (p50 1.00 to 1.01 ms)"
    assert fastest(rows[2:]) == "at batch 1 `1.0` (p50 1.00 ms ± 1.0 %)"


def test_what_software_plays_is_said_and_never_the_fastest(tmp_path: Path) -> None:
    webgl = replace(
        ROW,
        runtime="tfjs_browser",
        device="gpu",
        backend="webgl",
        emulated="SwiftShader",
        size_bytes=1_500_000,
        downloaded_bytes=4_000_000,
        versions={"chromium": "156.0.1", "@tensorflow/tfjs-core": "4.22.0"},
        compute=sample.latency(0.01),
    )
    assert ROW.compute is not None
    assert webgl.compute is not None
    assert webgl.compute.p50_s < ROW.compute.p50_s
    verdict = replace(
        sample.verify_result("torch").rows[0],
        runtime="tfjs_browser",
        device="gpu",
        backend="webgl",
        emulated="SwiftShader",
        artifact_sha256="",
    )
    markdown, html = page(
        tmp_path, webgl, ROW, verify=replace(sample.verify_result("torch"), rows=(verdict,))
    )
    name = r"torch/torchscript/tfjs_browser/gpu/webgl\*"
    for caption in ("Batch 1", "Verdict on each row", "Device proof"):
        assert table(markdown, caption)[-1]["row"] == name
    assert table(markdown, "Batch 1")[-1]["timing"] == "emulated"
    assert "- emulated: SwiftShader played a device that this machine does not have (\\*): " in markdown
    assert "\n\\* gpu, played by SwiftShader: what passes there is right code" in markdown
    assert "The fastest: at batch 1 `torch/torchscript/torchscript/cpu/torch` (" in markdown
    (fetched,) = table(markdown, "What a browser downloads")
    assert fetched == {
        "row": name,
        "library MB": "2.50",
        "artifact MB": "1.50",
        "sum MB": "4.00",
        "browser": "chromium 156.0.1",
    }
    assert "Downloaded" in html
    assert "* ran on a device that software played." in html


def test_without_an_interval_rounds_say_how_sure_a_figure_is() -> None:
    rounds = ((0.00098, 0.00102),)
    assert len(within_noise([measured(1.0, None, rounds=rounds), measured(1.015, None)])) == 2
    assert len(within_noise([measured(1.0, None), measured(1.015, None)])) == 1


def test_many_are_counted_and_an_interval_may_be_missing() -> None:
    many = [measured(1.0 + i / 1000) for i in range(5)]
    assert fastest(many) == "at batch 1 `1.0`, `1.001` and 3 more, within noise (p50 1.00 ms)"
    assert fastest([measured(1.0, None)]) == "at batch 1 `1.0` (p50 1.00 ms)"
    assert fastest([]) == "no timed row has passed, so none is the fastest"
    assert "none is the fastest" in fastest([measured(1.0, verdict="mismatch")])


def test_none_is_the_fastest_at_a_batch_that_few_have() -> None:
    """A sweep goes on for those rows only that still gain from it."""
    rows = [measured(p50, batch=batch) for batch in (1, 2) for p50 in (1.0, 2.0)]
    said = fastest([*rows, measured(8.0, batch=64)])
    assert "at batch 1 " in said
    assert "at batch 2 " in said
    assert "64" not in said


def test_each_device_has_a_fastest_by_what_its_caller_waits_for() -> None:
    slow, quick = sample.latency(9.0), sample.latency(0.2)
    gpu = measured(0.1, device="cuda", end_to_end=slow, artifact="copies much")
    other = measured(0.3, device="cuda", end_to_end=quick, artifact="copies little")
    assert fastest([measured(1.0), gpu, other]) == (
        "at batch 1 on cpu `1.0` (p50 1.00 ms ± 1.0 %); "
        "at batch 1 on cuda `copies little` (p50 0.200 ms ± 0.6 %)"
    )


def test_a_name_says_what_tells_its_rows_apart_and_no_more() -> None:
    def names(*rows: BenchRow) -> list[str]:
        return [one.name for one in named(Measured(0, BUNDLE, row, "a") for row in rows)]

    assert names(ROW, replace(ROW, batch=32)) == ["a", "a"]
    assert names(ROW, replace(ROW, threads=1)) == ["a, 2 threads", "a, 1 thread"]
    assert names(ROW, replace(ROW, precision="float16")) == ["a, float32", "a, float16"]
    four = [replace(ROW, threads=t, precision=p) for t in (1, 2) for p in ("float32", "tf32")]
    assert len(set(names(*four))) == 4


def test_two_bundles_of_one_framework_have_one_recommendation(tmp_path: Path) -> None:
    """Their rows have the same names; what was measured of a file that has changed since is not to be deployed."""
    slow, quick = (replace(ROW, compute=sample.latency(ms), artifact_sha256="") for ms in (9.0, 1.0))
    stale = replace(quick, compute=sample.latency(0.1), artifact_sha256="0" * 64)
    for folder, row in (("slow", slow), ("quick", quick), ("stale", stale)):
        choice = choose([row], (), parse(("p50_ms<100",)))
        bench = replace(sample.bench_result("torch"), rows=(row,), choice=choice)
        sample.write_bundle(tmp_path / folder, "torch", bench=bench)
    markdown = report(tmp_path).markdown.read_text()
    assert "Recommended: `quick/torchscript/torchscript/cpu/torch` at batch 1, of 2 rows" in markdown
    assert markdown.count("yes, recommended") == 1
    assert "the file has changed since" in markdown


def test_threads_have_a_column_where_they_differ(tmp_path: Path) -> None:
    markdown, _ = page(tmp_path, ROW, replace(ROW, threads=1))
    assert [row["threads"] for row in table(markdown, "Batch 1")] == ["2", "1"]
    markdown, _ = page(tmp_path / "same", ROW)
    assert "threads" not in table(markdown, "Batch 1")[0]


def test_a_gpu_has_its_two_times_apart(tmp_path: Path) -> None:
    gpu = replace(ROW, device="cuda", backend="cuda", gpu_memory_bytes=512_000_000)
    gpu = replace(gpu, compute=sample.latency(0.1), end_to_end=sample.latency(0.4, ("bimodal",)))
    markdown, html = page(tmp_path, ROW, gpu)
    found = [row for row in table(markdown, "Batch 1") if "cuda" in row["row"]]
    assert [(row["time of"], row["p50 ms"]) for row in found] == [
        ("compute", "0.100"),
        ("end to end", "0.400"),
    ]
    assert [row["timing"] for row in found] == ["stable", "bimodal"]
    assert "cuda, end to end` at batch 1" in markdown
    assert [row["GPU MB, batch 1"] for row in table(markdown, "Memory and file size")] == ["n/a", "512"]
    assert "cuda, end to end" in html.replace("<wbr>", "")


def test_memory_is_told_apart(tmp_path: Path) -> None:
    markdown, html = page(tmp_path, ROW, replace(ROW, batch=32, peak_rss_bytes=2_000_000_000))
    (found,) = table(markdown, "Memory and file size")
    figures = {
        name: found[name] for name in ("file MB", "loading MB", "added MB, batch 1", "peak MB, batch 32")
    }
    assert list(figures.values()) == ["1.70", "135", "9.40", "2,000"]
    assert "140 MB, 9.40 added" in html


def test_figures_that_are_missing_are_no_crash_and_no_zero(tmp_path: Path) -> None:
    bare = BenchRow("torch", "onnx", "onnxruntime", "cpu", "cpu", 2, 1, compute=Latency(3, 1e-3, 1e-3))
    none = BenchRow("torch", "tflite", "litert", "cpu", "xnnpack", 2, 1)
    failed = BenchRow(
        "torch", "keras", "keras", "cpu", "tensorflow", 2, 1, outcome="crashed", reason="signal 9"
    )
    markdown, html = page(tmp_path, bare, none, failed)
    assert {row["row"].split("/")[1]: row["timing"] for row in table(markdown, "Batch 1")} == {
        "onnx": "stable",
        "tflite": "n/a",
        "keras": "crashed",
    }
    assert "interval" not in table(markdown, "Batch 1")[0]
    assert "Memory and file size" not in markdown
    assert "No cold start was measured" in markdown
    assert "Cold start</b>" not in html


def test_no_row_at_all(tmp_path: Path) -> None:
    markdown, _ = page(tmp_path, machine=sample.MACHINE, doubts=())
    assert "Nothing was benched" in markdown
    assert "Doubtful" not in markdown


def test_a_sweep_is_a_curve_and_its_tables_are_folded(tmp_path: Path) -> None:
    sizes = [1, 2, 4, 8, 16, 32]
    rows = [replace(ROW, batch=batch, throughput_per_s=1000.0 * batch**0.5) for batch in sizes]
    markdown, html = page(tmp_path, *rows)
    assert "torch up to 5,660 samples/s at batch 32" in html
    assert html.count("<polyline") >= 1
    folded = html[html.index("<details>") : html.index("</details>")]
    assert [f"<caption>Batch {batch}</caption>" in folded for batch in sizes] == [False, *[True] * 5]
    assert [len(table(markdown, f"Batch {batch}")) for batch in sizes] == [1] * 6


def test_two_batches_are_no_curve(tmp_path: Path) -> None:
    markdown, _ = page(tmp_path, ROW, replace(ROW, batch=32))
    assert "Samples a second" not in markdown


def test_every_flag_has_a_meaning() -> None:
    assert set(MEANINGS) == set(get_args(Flag))


@pytest.mark.parametrize("flag", get_args(Flag))
def test_each_flag_is_explained_where_a_row_has_it(tmp_path: Path, flag: Any) -> None:
    row = replace(ROW, compute=sample.latency(1.0, (flag,)), stable=False)
    markdown, _ = page(tmp_path, row, replace(row, batch=32))
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"- {flag}: ")]
    assert line.endswith("`torch/torchscript/torchscript/cpu/torch` at batch 1 and 32")
    assert table(markdown, "Batch 1")[0]["timing"] == flag


def test_settings_are_said_once(tmp_path: Path) -> None:
    settings = {"spin": "off", "tf32": "no | never"}
    other = replace(ROW, threads=1, settings={"spin": "on"})
    markdown, _ = page(
        tmp_path, replace(ROW, settings=settings), replace(ROW, batch=32, settings=settings), other
    )
    (found,) = table(markdown.replace(r"\|", "/"), "How it was measured")
    assert found["threads"] == "2 / 1"
    assert found["processes × rounds"] == "2 × 3"
    assert found["settings"] == "spin off / on, tf32 no / never"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (None, ""),
        ((0.99, 1.02), "± 2.0 %"),
        ((1.0, 1.0001), "± 0.1 %"),
        ((1.0, 1.0), "± 0.1 %"),
        ((0.8, 1.1), "± 20 %"),
        ((0.6, 1.999), "± 100 %"),
        ((0.4, 2.0), "×÷ 2.50"),
        ((0.9, 7.5), "×÷ 7.50"),
        ((0.0, 1.0), ""),
    ],
)
def test_the_half_width_is_the_further_end_rounded_up(
    interval: tuple[float, float] | None, words: str
) -> None:
    assert units.half_width(1.0, interval) == words


def test_whiskers_lie_where_the_interval_does() -> None:
    chart = bars("t", [Figure("a", 0, 4.0, "4", upper=6.0, interval=(3.0, 5.0)), Figure("b", 0, 8.0, "8")])
    assert chart is not None
    assert [bar.whisker for bar in chart.bars] == [("37.50%", "62.50%"), None]


def test_parts_lie_behind_each_other() -> None:
    assert stacks("t", ("a",), [], "ms") is None
    chart = stacks(
        "t", ("a", "b"), [Stacked("row", 0, (2.0, 6.0), "8"), Stacked("noise", 0, (4.0, -0.1), "4")], "ms"
    )
    assert chart is not None
    assert [stack.parts for stack in chart.stacks] == [
        (("0.00%", "25.00%"), ("25.00%", "75.00%")),
        (("0.00%", "50.00%"), ("50.00%", "0.00%")),
    ]


def test_nothing_to_wait_for_is_still_drawn() -> None:
    chart = stacks("t", ("a",), [Stacked("row", 0, (0.0,), "0")], "ms")
    assert chart is not None
    assert chart.stacks[0].parts == (("0.00%", "0.00%"),)
