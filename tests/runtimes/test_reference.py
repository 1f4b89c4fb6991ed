"""What is judged by: which samples, and what a reference keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtimes.base import Array, Feeds, Session
from runtimes.bundle import TensorSpec
from runtimes.errors import UsageError
from runtimes.reference import (
    MAX_BYTES,
    Variant,
    build,
    choose_samples,
    open_reference,
    save_reference,
    variants,
)
from runtimes.sentinels import sentinels
from runtimes.verdict.parity import margins
from runtimes.verify import EMULATED_SECONDS, FEWEST, ROW_SECONDS, affordable

X = TensorSpec("x", "float32", (None, 1, 6, 5), "NCHW", "image")
Y = TensorSpec("y", "float32", (None, 4), "NC", "logits")
RNG = np.random.default_rng(0)
W = RNG.normal(size=(30, 4))


class Linear(Session):
    """A matrix product in the variant's precision; ``trap`` computes float64 in float32."""

    inputs, outputs, threads = (X,), (Y,), 1

    def __init__(self, variant: Variant, trap: bool = False) -> None:
        self.inner = "float32" if trap else variant.precision
        self.precision = variant.precision

    def run(self, feeds: Feeds) -> dict[str, Array]:
        x = feeds["x"].reshape(len(feeds["x"]), -1).astype(self.inner)
        return {"y": (x @ W.astype("float32").astype(self.inner)).astype(self.precision)}

    def bind(self, feeds: Feeds):  # type: ignore[no-untyped-def]
        return lambda: self.run(feeds)


def heldout(n: int) -> tuple[dict[str, Array], Array]:
    return {"x": RNG.random((n, 1, 6, 5), dtype="float32")}, np.arange(n) % 4


def test_a_reference_survives_its_file(tmp_path: Path) -> None:
    made = build(Linear, *heldout(200), variants(2, channels_last=True), (Y,))
    save_reference(tmp_path / "reference.npz", made)
    read = open_reference(tmp_path / "reference.npz")
    assert made.refused == read.refused == ""
    assert read.runs == made.runs
    assert len(read.runs) == 4
    assert list(read.roles).count("real") == 64
    assert list(read.roles).count("margin") == 16
    for name in ("inputs", "y64", "noise", "heldout", "heldout_y64"):
        mine, its = getattr(made, name), getattr(read, name)
        assert mine.keys() == its.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], its[key])
    assert read.y64["y"].dtype == np.float64
    assert (read.noise["y"][read.roles != "sentinel"] > 0).all()


def test_float64_that_is_float32_is_refused() -> None:
    made = build(lambda v: Linear(v, trap=True), *heldout(50), variants(1, False), (Y,))
    assert "computed in float32" in made.refused
    assert any("no golden folder" in note for note in made.notes)


@pytest.mark.parametrize(("limit", "refused"), [(29.0, False), (1.0, True)])
def test_only_a_made_up_input_may_overflow(limit: float, refused: bool) -> None:
    class Overflowing(Linear):
        def run(self, feeds: Feeds) -> dict[str, Array]:
            y = super().run(feeds)["y"]
            y[(feeds["x"].sum(axis=(1, 2, 3)) > limit) & (self.precision == "float32")] = np.inf
            return {"y": y}

    made = build(Overflowing, *heldout(80), variants(1, False), (Y,))
    assert bool(made.refused) == refused
    assert np.isfinite(made.noise["y"][made.roles == "sentinel"]).all()
    assert len(made.inputs["x"]) == len(made.y64["y"]) == len(made.noise["y"]) == len(made)
    assert any("extreme inputs are left out" in note for note in made.notes)


def test_the_smallest_margins_of_the_rest_are_chosen() -> None:
    y64 = np.zeros((100, 3))
    y64[:, 0] = np.arange(100, 0, -1)
    chosen, _ = choose_samples(y64, "logits")
    assert chosen[:64].tolist() == list(range(64))
    assert sorted(chosen[64:].tolist()) == list(range(84, 100))
    assert len(choose_samples(y64[:10], "logits")[0]) == 10
    assert len(choose_samples(y64, "tensor")[0]) == 64


def test_sentinels_break_every_symmetry_of_an_image() -> None:
    made = sentinels({"x": RNG.random((3, 3, 8, 9), dtype="float32")})["x"]
    assert made.dtype == np.float32
    assert made.shape[1:] == (3, 8, 9)
    rows_differ = [not np.allclose(s, s[:, ::-1, :]) for s in made]
    columns_differ = [not np.allclose(s, s[:, :, ::-1]) for s in made]
    channels_differ = [not np.allclose(s, s[::-1]) for s in made]
    assert sum(rows_differ) >= 2
    assert sum(columns_differ) >= 2
    assert sum(channels_differ) >= 2


def test_a_large_pool_is_cut_and_said_so() -> None:
    made = build(Linear, *heldout(1500), variants(1, False), (Y,))
    assert len(made.heldout_labels) == 1000
    assert made.notes == ("1000 of 1500 samples are kept in the reference",)


def test_large_outputs_count_as_inputs_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of 2 MB in float64, of a model that does not classify: nothing is held out for an accuracy."""
    maps = TensorSpec("y", "float32", (None, 4, 1 << 16))
    cells = RNG.normal(size=(1, 1, 1 << 16))

    class Maps(Linear):
        outputs = (maps,)

        def run(self, feeds: Feeds) -> dict[str, Array]:
            return {"y": (super().run(feeds)["y"][:, :, None] * cells).astype(self.precision)}

    made = build(Maps, *heldout(200), variants(1, False), (maps,))
    assert made.refused == ""
    assert made.notes == ("7 of 200 samples are kept in the reference: each has 2.1 MB with its outputs",)
    assert list(made.roles) == ["real"] * 7 + ["sentinel"] * 4
    assert len(made.heldout_labels) == 0
    assert made.inputs["x"].nbytes + made.y64["y"].nbytes < MAX_BYTES

    monkeypatch.setattr("runtimes.reference.MAX_BYTES", 1)
    assert len(build(Maps, *heldout(200), variants(1, False), (maps,))) == 8


@pytest.mark.parametrize("damage", ["missing", "cut", "text"])
def test_a_damaged_reference_is_one_message(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "reference.npz"
    if damage == "text":
        path.write_text("no zip")
    elif damage == "cut":
        save_reference(path, build(Linear, *heldout(20), variants(1, False), (Y,)))
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UsageError, match=r"missing|damaged"):
        open_reference(path)


def test_a_slow_runtime_is_judged_on_a_part_that_has_every_role() -> None:
    whole = build(Linear, *heldout(200), variants(2, channels_last=False), (Y,))
    assert affordable(whole, 0.001) is whole
    part = affordable(whole, 1.0)
    assert set(part.roles) == {"real", "margin", "sentinel"}
    assert 3 * len(part) + len(part.heldout_labels) <= ROW_SECONDS
    at = [int(np.flatnonzero((whole.inputs["x"] == x).all((1, 2, 3)))[0]) for x in part.inputs["x"]]
    assert np.array_equal(part.y64["y"], whole.y64["y"][at])
    assert np.array_equal(part.noise["y"], whole.noise["y"][at])
    assert len(affordable(whole, 1e6)) == FEWEST
    assert len(affordable(whole, 1.0, seconds=EMULATED_SECONDS)) < len(part)


def test_the_closest_of_many_take_the_place_of_those_of_a_part() -> None:
    many = heldout(3000)[0]["x"]
    scores = Linear(Variant()).run({"x": many})["y"]
    near = many[np.argsort(margins(scores))[:5]]
    made = build(Linear, *heldout(200), variants(1, False), (Y,), closest={"x": near})
    assert list(made.roles).count("real") == 64
    np.testing.assert_array_equal(made.inputs["x"][made.roles == "margin"], near)
    exact = Linear(Variant(precision="float64")).run({"x": near})["y"]
    np.testing.assert_allclose(made.y64["y"][made.roles == "margin"], exact, rtol=1e-12)
    assert list(made.roles).count("sentinel") == list(
        build(Linear, *heldout(200), variants(1, False), (Y,)).roles
    ).count("sentinel")
    assert len(made.heldout_labels) == 200
