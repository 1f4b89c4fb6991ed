"""The pure parts: figures as words, and the geometry of the plots."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import report_sample as sample

from runtimes.report import charts, report, units
from runtimes.report.charts import Figure, Series


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "n/a"),
        (0, "0"),
        (0.00012, "1.2e-04"),
        (0.0213, "0.0213"),
        (0.2, "0.200"),
        (2.129, "2.13"),
        (9.999, "10.0"),
        (99.99, "100"),
        (2130.4, "2,130"),
        (1e9, "1.0e+09"),
    ],
)
def test_three_digits(value: float | None, words: str) -> None:
    assert units.significant(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "n/a"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.9833, "98.3 %"),
        (0.9997, "99.97 %"),
        (0.99999, "99.999 %"),
        (0.9999999, "< 100 %"),
        (0.0003, "0.03 %"),
        (1e-9, "> 0 %"),
    ],
)
def test_a_share_that_is_not_all_is_never_called_all(share: float | None, words: str) -> None:
    assert units.percent(share) == words


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (None, "n/a"),
        ((0.98981, 1.0), "98.98 to 100 %"),
        ((0.0, 0.0102), "0 to 1.02 %"),
        ((1e-9, 0.999999), "0.01 to 99.99 %"),
    ],
)
def test_an_interval_of_a_share(interval: tuple[float, float] | None, words: str) -> None:
    assert units.shares(interval) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [(None, "n/a"), (0.0, "0.00"), (-1e-9, "0.00"), (0.0028, "+0.28"), (-0.0667, "-6.67")],
)
def test_a_change_in_points_has_its_sign(change: float | None, words: str) -> None:
    assert units.points(change) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(None, "n/a"), (12, "12 B"), (1_690, "1.69 kB"), (1_702_911, "1.70 MB")]
)
def test_sizes(n_bytes: int | None, words: str) -> None:
    assert units.size(n_bytes) == words


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-03-04T10:20:30+00:00", "2026-03-04 10:20 UTC"),
        ("2026-03-04T12:20:30+02:00", "2026-03-04 10:20 UTC"),
        ("2026-03-04T10:20:30", "2026-03-04 10:20"),
        ("yesterday", "yesterday"),
    ],
)
def test_dates(created: str, words: str) -> None:
    assert units.date(created) == words


def test_what_a_terminal_would_obey_is_dropped() -> None:
    assert units.printable("a\x1b[31mb\u202ec\nd\u2192") == "a [31mb c\nd→"


def figures(*values: float | None) -> list[Figure]:
    return [Figure(f"row {i}", 0, value, "words") for i, value in enumerate(values)]


def test_bars_are_linear_from_zero() -> None:
    chart = charts.bars("t", figures(1.0, 4.0, 8.0), unit="ms")
    assert chart is not None
    assert chart.scale == "linear"
    assert [tick.text for tick in chart.ticks] == ["0", "2", "4", "6", "8"]
    assert [bar.end for bar in chart.bars] == ["12.50%", "50.00%", "100.00%"]


def test_bars_are_logarithmic_when_they_span_much() -> None:
    chart = charts.bars("t", figures(0.1, 10.0, None, 0.0), unit="ms")
    assert chart is not None
    assert chart.scale == "log"
    assert "Log scale" in chart.note
    assert [bar.end for bar in chart.bars] == ["0.00%", "100.00%", None, "0.00%"]
    assert [tick.text for tick in chart.ticks] == ["0.1", "1", "10"]


@pytest.mark.parametrize("values", [(), (None,)])
def test_no_figure_is_no_chart(values: tuple[None, ...]) -> None:
    assert charts.bars("t", figures(*values)) is None
    assert charts.plot("t", "s", []) is None


@pytest.mark.parametrize("values", [(0.0,), (3.0,), (0.0, 0.0), (1e-12,), (7e8,)])
def test_odd_figures_still_lie_on_the_track(values: tuple[float, ...]) -> None:
    chart = charts.bars("t", figures(*values), limit=None)
    assert chart is not None
    assert all(0 <= float((bar.end or "")[:-1]) <= 100 for bar in chart.bars)


@pytest.mark.parametrize(
    "points", [((1, 1.0),), ((1, 0.97), (2, 1.0)), ((1, 0.0), (2, 0.0)), ((1, 0.1), (400, 1.0))]
)
def test_a_curve_lies_inside_its_plot(points: tuple[tuple[float, float], ...]) -> None:
    plot = charts.plot("t", "s", [Series("torch", 0, points, "last")], percent=True)
    assert plot is not None
    for pair in plot.lines[0].points.split():
        x, y = map(float, pair.split(","))
        assert charts.LEFT <= x <= charts.WIDTH - charts.RIGHT
        assert charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM
    assert len(plot.x_ticks) <= 8


def test_labels_are_moved_apart() -> None:
    bottom = charts.HEIGHT - charts.BOTTOM
    ends = sorted(charts.spread([bottom, bottom - 1, bottom]))
    assert all(b - a >= charts.LABEL_PITCH for a, b in itertools.pairwise(ends))
    assert ends[-1] <= bottom


def test_a_long_training_is_thinned_but_ends_with_its_end(tmp_path: Path) -> None:
    history = sample.history("torch") | {"epochs": sample.epochs(100)}
    written = report(sample.write_bundle(tmp_path / "torch", "torch", history=history))
    table = written.markdown.read_text().split("**Every epoch")[1].split("\n\n")[1]
    assert len(table.splitlines()) <= 2 + 13
    assert table.splitlines()[-1].startswith("| 100 ")
