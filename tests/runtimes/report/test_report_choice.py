"""The section on the choice: what is recommended and why, and the plots of one figure against another."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_sample as sample

from runtimes.choosing.choice import choose
from runtimes.choosing.requirements import parse
from runtimes.report import report
from runtimes.report.scatter import Axis, Spot, front, scatter
from runtimes.rows import BenchResult

X, Y = Axis("p50, ms"), Axis("file size, MB")


def required(source: str, *limits: str) -> BenchResult:
    """The sample's bench, whose files have their real sizes, as ``bench --require`` leaves it."""
    result = sample.bench_result(source)
    sizes = dict(zip(sample.FORMATS, sample.SIZES[source], strict=True))
    rows = tuple(replace(row, size_bytes=sizes[row.artifact]) for row in result.rows)
    verified = sample.verify_result(source).rows
    return replace(result, rows=rows, choice=choose(rows, verified, parse(limits)) if limits else None)


def written(tmp_path: Path, *limits: str) -> tuple[str, str]:
    for source in ("torch", "keras"):
        sample.write_bundle(tmp_path / "build" / source, source, bench=required(source, *limits))
    made = report(tmp_path / "build")
    return made.markdown.read_text(), made.html.read_text()


def section(markdown: str) -> str:
    return markdown.split("## Which to deploy")[1].split("\n## ")[0]


def test_both_bundles_have_one_recommendation_with_its_margins(tmp_path: Path) -> None:
    markdown, html = written(tmp_path, "p90_ms<5", "size_mb<2", "accuracy>0.97")
    said = section(markdown)
    assert said.count("Recommended: ") == 1
    assert "Recommended: `torch/tflite/litert/cpu/xnnpack` at batch 1, of 10 rows that meet" in said
    assert re.search(r"\| size_mb<2 +\| +1\.688 \| +none \| +15\.6 % \|", said)
    assert "* **Recommended**: `torch/tflite/litert/cpu/xnnpack` at batch 1, by p90_ms<5" in markdown
    assert html.count('<circle class="ring"') == 2  # once in each plot
    assert "p90_ms is 26.04, not <5" in said


def test_every_row_is_judged_once(tmp_path: Path) -> None:
    markdown, _ = written(tmp_path, "p90_ms<5")
    tables = section(markdown).split("**Rows that ")[1:]
    assert [len(table.split("\n\n")[1].splitlines()) - 2 for table in tables] == [10, 18]


def test_nothing_that_meets_all_is_said_at_the_top(tmp_path: Path) -> None:
    markdown, html = written(tmp_path, "p90_ms<0.001")
    assert "* **Recommended**: No row meets `p90_ms<0.001`." in markdown
    assert "Rows that meet every requirement" not in markdown
    assert 'class="ring"' not in html


def test_without_requirements_the_front_is_still_drawn(tmp_path: Path) -> None:
    markdown, html = written(tmp_path)
    assert "Nothing was required of them" in section(markdown)
    assert "**Recommended**" not in markdown
    assert "p50 and file size at batch 1" in html
    assert "p50 and accuracy at batch 1" in html
    assert 'class="ring"' not in html


def test_bundles_with_other_requirements_are_judged_apart(tmp_path: Path) -> None:
    sample.write_bundle(tmp_path / "torch", "torch", bench=required("torch", "p90_ms<5"))
    sample.write_bundle(tmp_path / "keras", "keras", bench=required("keras", "p50_ms<0.1"))
    said = section(report(tmp_path).markdown.read_text())
    assert "Recommended: `torch/tflite" in said
    assert "No row meets `p50_ms<0.1`." in said


def test_figures_that_are_missing_are_not_plotted(tmp_path: Path) -> None:
    result = required("torch", "added_mb<30", "accuracy>0.9")
    rows = tuple(replace(row, compute=None, added_rss_bytes=None, size_bytes=0) for row in result.rows)
    bench = replace(result, rows=rows)
    made = report(sample.write_bundle(tmp_path / "torch", "torch", bench=bench, verify=None))
    assert "No row meets `added_mb<30` and `accuracy>0.9`." in made.markdown.read_text()
    assert '<figure class="scatter">' not in made.html.read_text()


def spots(*points: tuple[float, float]) -> list[Spot]:
    return [Spot(f"{x}, {y}", "dot", 0, x, y) for x, y in points]


def test_the_front_is_what_nothing_beats_in_both() -> None:
    found = spots((1, 5), (2, 3), (3, 4), (4, 1), (4, 2), (1, 6))
    assert [(s.x, s.y) for s in front(X, Y, found)] == [(1, 5), (2, 3), (4, 1)]
    more = replace(Y, less_is_better=False)
    assert [(s.x, s.y) for s in front(X, more, found)] == [(1, 6)]
    unsound = [replace(found[0], sound=False), *found[1:]]
    assert [(s.x, s.y) for s in front(X, Y, unsound)] == [(1, 6), (2, 3), (4, 1)]
    assert front(X, Y, [replace(spot, sound=False) for spot in found]) == []


def test_the_front_is_a_line_in_steps() -> None:
    plot = scatter("t", X, Y, spots((1, 2), (2, 1)))
    assert plot is not None
    corners = [tuple(map(float, pair.split(","))) for pair in plot.front.split()]
    assert len(corners) == 3
    assert corners[0][1] == corners[1][1]
    assert corners[1][0] == corners[2][0]


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, 1.0)],
        [(0.05, 1.7), (300.0, 1.7)],
        [(0.0, 0.0), (5.0, 0.0)],
        [(1e-6, 2.0), (1e6, 9e9)],
        [(999.0, 3.0), (9990.0, 4.0)],
    ],
)
@pytest.mark.parametrize("limit", [None, 0.0, 4.0, 1e7])
def test_all_of_it_lies_inside_the_plot(points: list[tuple[float, float]], limit: float | None) -> None:
    from runtimes.report import scatter as g

    plot = scatter("t", replace(X, limit=limit), Y, spots(*points))
    assert plot is not None
    across = [*(float(dot.x) for dot in plot.dots), *(float(tick.at) for tick in plot.x_ticks)]
    across += [float(tick.at) for _, tick in plot.limits]
    down = [*(float(dot.y) for dot in plot.dots), *(float(tick.at) for tick in plot.y_ticks)]
    assert all(g.LEFT - 0.1 <= x <= g.WIDTH - g.RIGHT + 0.1 for x in across)
    assert all(g.TOP - 0.1 <= y <= g.HEIGHT - g.BOTTOM + 0.1 for y in down)
    assert 2 <= len(plot.x_ticks) <= 16


def test_a_whisker_is_the_interval_and_nothing_is_no_plot() -> None:
    (dot,) = scatter("t", X, Y, [replace(spots((2, 1))[0], interval=(1.0, 3.0))]).dots  # type: ignore[union-attr]
    assert dot.whisker is not None
    assert float(dot.whisker[0]) < float(dot.x) < float(dot.whisker[1])
    assert scatter("t", X, Y, []) is None


def test_the_chosen_is_named_and_few_others() -> None:
    many = spots(*[(float(i), 20.0 - i) for i in range(1, 12)])
    plot = scatter("t", X, Y, [replace(many[-1], chosen=True, label="this"), *many[:-1]])
    assert plot is not None
    assert len(plot.labels) == 6
    assert [label.text for label in plot.labels if label.chosen] == ["this"]
