"""Our TF.js files beside those of the official converter, tensorflowjs 4.22, of the same SavedModels.

    python tests/benchmarks/tfjs_fidelity.py make DIR [WORD...]       SavedModels and our files, DIR/NAME/ours
    OFFICIAL/bin/python tests/benchmarks/tfjs_official.py DIR         the official ones, DIR/NAME/official
    python tests/benchmarks/tfjs_fidelity.py compare DIR [WORD...]    the table

CONTRIBUTING.md says how to make the environment OFFICIAL, which is needed for the second line alone. A WORD chooses the
networks whose names contain it. For each: how many operators compute, the bytes of the weights and whether they are the
same ones, what each file answers where TensorFlow answers (relative to the largest number), and the ratio of times in
Node at batch 1, both files in turns in one process, which is started twice. Exits with 1 when ours is wrong, has more
operators or bytes than an official file that is right, or is slower by more than 5 %, the
interval agrees and a run takes over 0.1 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from exporter.converters import ENVIRONMENT
from runtimes.adapters import tfjs
from runtimes.base import Array
from runtimes.client import Worker
from runtimes.errors import FwexportError
from runtimes.frameworks import node, tfjs_model
from runtimes.measuring.percentiles import interval, nearest_rank
from tests import saved_models
from tests.benchmarks import tfjs_nets
from tests.zoo.registry import MODELS

HERE = Path(__file__).parent
# PyTorch networks of tests/zoo, by way of our own SavedModels.
FROM_TORCH = (
    "mobilenet_v2",
    "mobilenet_v3",
    "shufflenet_v2",
    "vit",
    "swin",
    "unet_transposed",
    "convnext",
    "cnn_1d",
)
NAMES = (*saved_models.SPECS, *tfjs_nets.NETS, *FROM_TORCH, *tfjs_nets.APPLICATIONS)
SIDES = ("ours", "official")
# By TF.js's names for them.
BACKENDS = {"wasm": "wasm", "js": "cpu"}
SLOWER = 1.05
# Of the largest number of an output; a wrong operator shows far above it, random networks round below.
RIGHT = 1e-3
# What test_savedmodel2tfjs.py reads: facts on the official files of the networks that it makes, which are quick.
RECORDED_NETS = ("keras_norms", "keras_prelu", "keras_several", "keras_any_size")
RECORD = HERE.parent / "exporter" / "conversions" / "official_tfjs.json"


# An error, and what is wrong in words: "" where nothing is.
Verdict = tuple[float, str]


@dataclass(frozen=True)
class File:
    """One side of a network. ``wrong`` says why there is no file, or where it answers something else or nothing."""

    wrong: str
    is_there: bool = True
    ops: dict[str, int] = field(default_factory=dict)
    weight_bytes: int = 0
    weights_sha256: str = ""
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def operators(self) -> int:
        return sum(self.ops.values())


@dataclass(frozen=True)
class Row:
    """A network; ``times`` are the ratio of ours over the official file's, its interval and our milliseconds, by backend."""

    name: str
    ours: File
    official: File
    times: dict[str, tuple[float, float, float, float]]

    @property
    def is_worse(self) -> bool:
        """A refusal of ours counts where the official file is right."""
        if self.official.wrong:
            return self.ours.is_there and bool(self.ours.wrong)
        return (
            bool(self.ours.wrong)
            or self.ours.operators > self.official.operators
            or self.ours.weight_bytes > self.official.weight_bytes
            or any(middle > SLOWER and low > 1 and ms > 0.1 for middle, low, _, ms in self.times.values())
        )


def main() -> None:
    options = _arguments()
    names = [name for name in NAMES if not options.words or any(word in name for word in options.words)]
    with Worker(ENVIRONMENT["tensorflow"]) as tensorflow:
        if options.step == "make":
            for name in names:
                make(tensorflow, options.folder / name)
            return
        rows = []
        print(HEAD)
        for name in names:
            if (options.folder / name / "saved_model").exists():
                rows.append(compare(tensorflow, options.folder / name, options.seconds))
                print(_line(rows[-1]), flush=True)
    if options.json:
        report = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "versions": tfjs.versions()}
        options.json.write_text(json.dumps({**report, "rows": [asdict(row) for row in rows]}, indent=2))
    if options.record:
        kept = {row.name: recorded(row) for row in rows if row.name in (*saved_models.SPECS, *RECORDED_NETS)}
        RECORD.write_text(json.dumps(kept, indent=1) + "\n")
    sys.exit(any(row.is_worse for row in rows))


def make(tensorflow: Worker, place: Path) -> None:
    """The SavedModel, where it is not there yet, and our file, anew."""
    if not (place / "saved_model").exists():
        place.mkdir(parents=True, exist_ok=True)
        if place.name in FROM_TORCH:
            _export(place)
        else:
            tensorflow.call(tfjs_nets.make, place.name, place / "saved_model")
    (place / "ours.error").unlink(missing_ok=True)
    shutil.rmtree(place / "ours", ignore_errors=True)
    try:
        tensorflow.call(tfjs_nets.convert, place / "saved_model", place / "ours")
    except FwexportError as error:
        (place / "ours.error").write_text(str(error))
    print(place.name, file=sys.stderr, flush=True)


def _export(place: Path) -> None:
    """The SavedModel of a PyTorch network at its initialisation."""
    model = MODELS[place.name]
    words = ["export", model.code, "--input", "x".join(map(str, model.shape)), "--format", "savedmodel"]
    with tempfile.TemporaryDirectory(dir=place) as folder:
        bundle = Path(folder) / "bundle"
        command = [sys.executable, "-P", "-m", "exporter.cli", *words, "-o", str(bundle)]
        subprocess.run(command, check=True, capture_output=True)
        (bundle / "saved_model").rename(place / "saved_model")


def compare(tensorflow: Worker, place: Path, seconds: float) -> Row:
    feeds: dict[str, Array] = tensorflow.call(tfjs_nets.feeds, place / "saved_model", 1)
    wanted: dict[str, Array] = tensorflow.call(saved_models.answer, place / "saved_model", feeds)
    there = [side for side in SIDES if (place / side / "model.json").exists()]
    found: dict[str, dict[str, Verdict]] = {side: {} for side in SIDES}
    times = {}
    for backend in BACKENDS if there else ():
        turns = [race(place, backend, order, feeds, seconds / 2) for order in (there, there[::-1])]
        for side in there:
            found[side][backend] = max(verdict(turn[side], place / side, wanted) for turn in turns)
        if all(turn.get(side, {}).get("times") for turn in turns for side in SIDES):
            times[backend] = _ratio(turns)
    return Row(place.name, *(read(place, side, found[side]) for side in SIDES), times)


def race(
    place: Path, backend: str, sides: list[str], feeds: dict[str, Array], seconds: float
) -> dict[str, Any]:
    """What ``tfjs_race.mjs`` says of each side."""
    found = node.find_node()
    assert found is not None
    with tempfile.TemporaryDirectory() as folder:
        described = {
            f"{name}:0": {
                "shape": array.shape,
                "dtype": "int32" if array.dtype.kind == "i" else "float32",
                "data": array.reshape(-1).tolist(),
            }
            for name, array in _by_node(place, feeds).items()
        }
        file = Path(folder) / "feeds.json"
        file.write_text(json.dumps(described))
        command = [
            found.path, HERE / "tfjs_race.mjs", node.web_folder(), BACKENDS[backend], seconds, file,
            *(place / side for side in sides),
        ]  # fmt: skip
        answer = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, check=True
        ).stdout
    return dict(zip(sides, json.loads(answer), strict=True))


def _by_node(place: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    """By the names of the graph's inputs, which are the same in both files."""
    side = next(side for side in SIDES if (place / side / "model.json").exists())
    signature = json.loads((place / side / "model.json").read_text())["signature"]["inputs"]
    return {
        info["name"].partition(":")[0]: feeds[name if name in feeds else name.partition(":")[0]]
        for name, info in signature.items()
    }


def verdict(turn: dict[str, Any], folder: Path, wanted: dict[str, Array]) -> Verdict:
    """The largest difference from TensorFlow's answer, over its largest number, and what is wrong in words."""
    if "error" in turn:
        return math.inf, turn["error"]
    signature = json.loads((folder / "model.json").read_text())["signature"]["outputs"]
    if signature.keys() != wanted.keys():
        return math.inf, f"its outputs are called {', '.join(signature)}"
    worst = 0.0
    for name, array in wanted.items():
        found = np.array(turn["outputs"][signature[name]["name"]], np.float64)
        flat = array.astype(np.float64).reshape(-1)
        if found.shape != flat.shape or not np.isfinite(found).all():
            return math.inf, f"{name} has other sizes, or numbers that are not finite"
        worst = max(
            worst, float(np.abs(found - flat).max(initial=0) / max(np.abs(flat).max(initial=0), 1e-30))
        )
    return worst, "" if worst < RIGHT else f"differs from TensorFlow by {worst:.0e} of the largest number"


def _ratio(turns: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    """The median of ours over official of all rounds, the ends of its interval of 95 %, and the median of ours, ms."""
    ours, official = (np.concatenate([turn[side]["times"] for turn in turns]) for side in SIDES)
    ratios: Array = np.sort(ours / official)
    low, high = interval(ratios, 0.5) or (ratios[0], ratios[-1])
    return float(nearest_rank(ratios, 0.5)), float(low), float(high), float(np.median(ours))


def recorded(row: Row) -> dict[str, Any]:
    """What is kept of the official file for the test that compares ours with it."""
    official = row.official
    if official.wrong:
        return {"wrong": official.wrong}
    return {
        "ops": official.ops,
        "weight_bytes": official.weight_bytes,
        "weights_sha256": official.weights_sha256,
        "same_weights": official.weights_sha256 == row.ours.weights_sha256,
    }


def read(place: Path, side: str, found: dict[str, Verdict]) -> File:
    if not (place / side / "model.json").exists():
        error = place / f"{side}.error"
        return File(" ".join(error.read_text().split()) if error.exists() else "not made", is_there=False)
    described, shards = tfjs_model.read(place / side)
    weights = b"".join((place / side / name).read_bytes() for name in shards)
    wrong = "; ".join(f"{backend}: {words}" for backend, (_, words) in found.items() if words)
    errors = {backend: error for backend, (error, _) in found.items()}
    return File(wrong, True, described.ops, len(weights), sha256(weights).hexdigest(), errors)


HEAD = f"{'':22}{'operators':>12}{'bytes of weights':>24}{'':6}{'wasm, ours / official':>24}{'js':>24}"


def _line(row: Row) -> str:
    ours, official = row.ours, row.official
    same = "same" if ours.is_there and ours.weights_sha256 == official.weights_sha256 else ""
    pairs = [
        f"{ours.operators or '-'} : {official.operators or '-'}",
        f"{ours.weight_bytes if ours.is_there else '-'} : {official.weight_bytes if official.is_there else '-'}",
    ]
    times = [
        "{:.3f} [{:.3f}, {:.3f}]".format(*row.times[backend][:3]) if backend in row.times else ""
        for backend in BACKENDS
    ]
    words = "".join(
        f"   {side}: {file.wrong[:90]}"
        for side, file in zip(SIDES, (ours, official), strict=True)
        if file.wrong
    )
    return (
        f"{row.name:22}{pairs[0]:>12}{pairs[1]:>24}{same:>6}{times[0]:>24}{times[1]:>24}"
        f"{'  WORSE' if row.is_worse else ''}{words}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("step", choices=("make", "compare"))
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="of each race, half of them to warm up (8)"
    )
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}, which a test reads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    return parser.parse_args()


if __name__ == "__main__":
    main()
