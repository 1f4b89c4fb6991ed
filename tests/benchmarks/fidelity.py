"""Does ``bench`` measure what a plain loop does? ``make fidelity``, or ``python tests/benchmarks/fidelity.py [WORD...]``.

On the same artifact, with the same threads, settings and inputs, in turns: our median (``bind`` and ``sample`` of a child
that ``bench`` would open) over that of a loop that a person would write in that runtime. Both run in one process, which has
opened the file twice: two processes of one program differ by several per cent here, for reasons of their own. JavaScript has
a process of its own for the loop, and so have the runtimes' own tools, where there are some: these are ratios of means,
since that is what tools say. ``bare/`` holds loops and tools. A program there reads lines ``INPUTS SECONDS`` and answers each
with the seconds of its runs, as a JSON list.

A ratio is that of turns next to each other, with its interval of 95 %, as ``compare`` has them. A row is off when a run takes
over 0.1 ms and the interval lies wholly more than 2 % from 1; then this exits with 1. What the harness itself adds to a
sample is measured with a call that is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from runtimes import session_child
from runtimes.base import Array, SessionOptions, runtime, sample_calls
from runtimes.bundle import Artifact, Bundle, open_bundle
from runtimes.client import Worker, child_environment
from runtimes.comparing.comparison import Ratio, ratio
from runtimes.frameworks import node
from runtimes.machine import cores_allowed, versions_of
from runtimes.measuring import measure_child
from runtimes.measuring.idle import settle
from runtimes.pool import environment
from runtimes.process import with_descendants
from runtimes.reference import REFERENCE, open_reference
from runtimes.verdict.verdicts import feeds

BARE = Path(__file__).parent / "bare"
sys.path.insert(0, str(BARE))
import plain  # noqa: E402

BATCHES = (1, 32)
TOLERANCE = 0.02
FROM_S = 1e-4
ADDED_S = 1e-6
# A visit is three runs at least: what takes longer than this for one is left out, and named.
LONGEST_S = 0.5
ANSWER_S = 120.0
WARM_UP_S = 1.0
SEED = 0

# By process, in order: seconds of ours and of the other side.
Turns = list[list[list[float]]]


@dataclass(frozen=True)
class Case:
    """One artifact in one runtime on the CPU."""

    net: str
    bundle: Bundle
    artifact: Artifact
    runtime: str
    backend: str
    threads: int

    @property
    def name(self) -> str:
        backend = f"/{self.backend}" if self.runtime == "tfjs" else ""
        return f"{self.net}/{self.runtime}{backend}/threads {self.threads}"

    @property
    def path(self) -> Path:
        return self.bundle.path(self.artifact)


@dataclass(frozen=True)
class Row:
    """A case at one batch: medians in seconds, and the ratios to the bare loop and to the runtime's own tool."""

    name: str
    batch: int
    ours_s: float
    bare_s: float
    bare: Ratio
    tool: Ratio | None

    @property
    def off(self) -> bool:
        low, high = self.bare.interval
        return self.bare_s >= FROM_S and (low > 1 + TOLERANCE or high < 1 - TOLERANCE)


class Ours:
    """The artifact through the whole way that ``bench`` goes."""

    def __init__(self, case: Case, samples: dict[str, Array]) -> None:
        self._worker = Worker(environment(case.runtime, "cpu"), timeout_s=ANSWER_S)
        options = SessionOptions(case.backend, None if case.runtime == "tfjs" else case.threads)
        self._worker.call(session_child.open_session, case.runtime, case.path, "cpu", options)
        self._worker.call(measure_child.hold, samples)

    def times(self, batch: int, inputs: Path, seconds: float) -> Array:
        """Seconds of single runs."""
        del inputs
        found = self._worker.call(measure_child.visit, batch, seconds, True, False).compute_ns / 1e9
        settle(with_descendants(self._worker.pid))
        return found

    def close(self) -> None:
        self._worker.close()


class Beside:
    """The artifact opened by ``bench``'s means and by a plain loop's, in one process."""

    def __init__(self, case: Case) -> None:
        env = environment(case.runtime, "cpu") | {"PYTHONPATH": str(BARE)}
        self._worker = Worker(env, timeout_s=ANSWER_S)
        options = SessionOptions(case.backend, case.threads)
        self._worker.call(session_child.open_session, case.runtime, case.path, "cpu", options)
        self._worker.call(plain.load, case.runtime, str(case.path), case.threads)

    def turns(self, samples: dict[str, Array], batch: int, seconds: float, count: int) -> list[list[float]]:
        """Medians of turns in seconds, ``[[ours, bare], ...]``."""
        return self._worker.call(plain.turns, samples, batch, seconds, count, WARM_UP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()


class Program:
    """A program of ``bare/``, in the environment that our own children have."""

    def __init__(self, case: Case, kind: str) -> None:
        if case.runtime == "tfjs":
            found = node.find_node()
            assert found is not None
            backend = {"js": "cpu"}.get(case.backend, case.backend)
            command = [found.path, BARE / "tfjs_loop.mjs", case.path, backend, node.web_folder()]
        else:
            # -P, because tools are called after the libraries that they import
            command = [sys.executable, "-P", BARE / f"{case.runtime}_{kind}.py", case.path, case.threads]
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env=child_environment(environment(case.runtime, "cpu")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def times(self, batch: int, inputs: Path, seconds: float) -> Array:
        """Seconds of single runs, or their mean alone."""
        del batch
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{inputs} {seconds}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(f"{self._process.args} ended with exit code {self._process.wait()}")
        settle([self._process.pid])
        times = np.array(json.loads(answer))
        # As a visit of ``bench`` does: its first tenth only brings back what others drove out of the caches.
        return times[np.cumsum(times) > seconds / 10] if times.sum() > seconds / 10 else times

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    options = _arguments()
    added = added_s()
    with tempfile.TemporaryDirectory() as scratch:
        folders = options.bundle or _built(Path(scratch))
        cases = [
            case
            for folder in folders
            for case in cases_of(Path(folder), options.threads)
            if not options.words or any(word in case.name for word in options.words)
        ]
        load = os.getloadavg()[0]
        _say(
            f"{len(cases)} cases, load {load:.1f} of {cores_allowed()} cores; harness {added * 1e9:.0f} ns a sample"
        )
        rows = []
        for number, case in enumerate(cases, 1):
            for row in rows_of(case, options, Path(scratch)):
                rows.append(row)
                _say(f"{number}/{len(cases)} {_line(row)}")
    print(_table(rows, added))
    if options.json:
        report = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "load": load, "cores": cores_allowed(), "added_s": added, "tolerance": TOLERANCE,
            "versions": versions_of("torch", "tensorflow-cpu", "tensorflow", "keras", "onnxruntime", "ai-edge-litert"),
            "rows": [asdict(row) | {"off": row.off} for row in rows],
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(added > ADDED_S or any(row.off for row in rows))


def added_s() -> float:
    """What the harness adds to one sample: the time that it reports of a call that does nothing."""
    return float(np.median(sample_calls([lambda: None], 0.2, 1000, 100_000))) / 1e9


def cases_of(folder: Path, threads: Sequence[int]) -> Iterator[Case]:
    """Every artifact of a bundle on the CPU, in every runtime that is here."""
    bundle = open_bundle(folder)
    for artifact in bundle.manifest.artifacts:
        name = {"onnx": "onnxruntime", "tflite": "litert"}.get(artifact.format, artifact.format)
        if reason := runtime(name).check("cpu"):
            _say(f"not measured: {name}: {reason}")
            continue
        for backend in runtime(name).DEVICES["cpu"]:
            for count in (1,) if name == "tfjs" else threads:
                yield Case(bundle.manifest.model.name, bundle, artifact, name, backend, count)


def rows_of(case: Case, options: argparse.Namespace, scratch: Path) -> list[Row]:
    """One case at each batch, over several processes, in which or between which the sides take turns."""
    samples = samples_of(case)
    bare: dict[int, Turns] = {batch: [] for batch in options.batch}
    tool: dict[int, Turns] = {batch: [] for batch in options.batch}
    for _ in range(options.processes):
        if case.runtime == "tfjs":
            _apart(case, "loop", samples, options, scratch, bare)
        else:
            with Beside(case) as both:
                for batch, turns in bare.items():
                    turns.append(both.turns(samples, batch, options.seconds, options.rounds))
        if (BARE / f"{case.runtime}_tool.py").exists():
            _apart(case, "tool", samples, options, scratch, tool)
    return [_row(case, batch, bare[batch], tool[batch]) for batch in options.batch if bare[batch]]


def _apart(
    case: Case,
    kind: str,
    samples: dict[str, Array],
    options: argparse.Namespace,
    scratch: Path,
    found: dict[int, Turns],
) -> None:
    """Turns of ours and of a program of ``bare/``, each in its process; means where the program is a tool."""
    order, figure = np.random.default_rng(SEED), np.mean if kind == "tool" else np.median
    with closing(Ours(case, samples)) as ours, Program(case, kind) as other:
        for batch, turns in list(found.items()):
            if kind == "tool" and case.runtime == "litert" and batch != 1:
                continue  # litert-benchmark runs one sample at a time
            file = write_inputs(case, samples, batch, scratch)
            # The first runs of a shape plan for it, and JavaScript takes hundreds to be compiled.
            sides = (ours, other)
            if max(np.median(side.times(batch, file, WARM_UP_S)) for side in sides) > LONGEST_S:
                _say(f"left out: {case.name}/batch {batch}: a run takes longer than {LONGEST_S} s")
                continue
            turns.append([])
            for _ in range(options.rounds):
                visit = {
                    side: sides[side].times(batch, file, options.seconds) for side in order.permutation(2)
                }
                turns[-1].append([float(figure(visit[side])) for side in (0, 1)])


def samples_of(case: Case) -> dict[str, Array]:
    """The bundle's samples, in the artifact's layout."""
    reference = open_reference(case.bundle.folder / REFERENCE)
    real = reference.roles != "sentinel"
    chosen = {name: array[real] for name, array in reference.inputs.items()}
    return feeds(chosen, case.bundle.manifest.model, case.artifact)


def write_inputs(case: Case, samples: dict[str, Array], batch: int, scratch: Path) -> Path:
    """The batches that ``bench`` takes in turn: arrays of a ``.npz``; for Node one array, ``.npy``."""
    file = scratch / f"{case.net}-{case.artifact.format}-{batch}.{'npy' if case.runtime == 'tfjs' else 'npz'}"
    arrays = [array for [array] in map(dict.values, measure_child.rotation(samples, batch))]
    if file.suffix == ".npy":
        np.save(file, np.stack(arrays))
    else:
        np.savez(file, **{str(number): array for number, array in enumerate(arrays)})
    return file


def _row(case: Case, batch: int, bare: Turns, tool: Turns) -> Row:
    medians = [statistics.median(turn[side] for turns in bare for turn in turns) for side in (0, 1)]
    return Row(case.name, batch, *medians, _ratio(bare), _ratio(tool) if tool else None)


def _ratio(found: Turns) -> Ratio:
    ours, other = ([[turn[side] for turn in turns] for turns in found] for side in (0, 1))
    return ratio(other, ours, paired=True)


def _built(folder: Path) -> Iterator[Path]:
    """The bundles of the shipped CNN, little trained, and of a larger network with random weights."""
    command = [sys.executable, "-P", "-m", "exporter.cli"]
    nets = Path(__file__).parent / "peer_nets.py"
    steps = {
        "source": ["train", "--epochs", "1"],
        "cnn": ["export", folder / "source"],
        "mobilenet_v2": ["export", f"{nets}:mobilenet_v2", "--input", "3x96x96"],
    }
    for name, words in steps.items():
        _say(f"{words[0]} {name}")
        subprocess.run(
            [*command, *map(str, words), "-o", str(folder / name)], check=True, capture_output=True
        )
        if words[0] == "export":
            yield folder / name


def _line(row: Row) -> str:
    tool = _shown(row.tool) if row.tool else ""
    verdict = "off" if row.off else "" if row.bare_s >= FROM_S else "under 0.1 ms"
    return (
        f"{row.name + f'/batch {row.batch}':48}{row.ours_s * 1e3:10.3f}{row.bare_s * 1e3:10.3f}"
        f"{_shown(row.bare)}{tool}  {verdict}"
    )


def _shown(found: Ratio) -> str:
    return f"{found.value:8.3f}  [{found.interval[0]:.3f}, {found.interval[1]:.3f}]"


def _table(rows: Sequence[Row], added: float) -> str:
    head = f"{'':48}{'ours, ms':>10}{'bare, ms':>10}{'ours / bare':>25}{'ours / tool (means)':>26}"
    count = sum(row.off for row in rows)
    over = [row for row in rows if row.bare_s >= FROM_S]
    within = sum(abs(row.bare.value - 1) <= TOLERANCE for row in over)
    return "\n".join(
        [
            head,
            *map(_line, rows),
            f"{within} of {len(over)} rows over 0.1 ms lie within {TOLERANCE:.0%}; {count} are off. "
            f"The harness adds {added * 1e9:.0f} ns to a sample (limit {ADDED_S * 1e9:.0f}).",
        ]
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="only cases whose names contain one of these"
    )
    parser.add_argument(
        "--bundle", action="append", metavar="DIR", help="these bundles; built when none is given"
    )
    parser.add_argument("--batch", action="append", type=int, help="repeatable (1, 32)")
    parser.add_argument("--threads", action="append", type=int, help="repeatable (1, 2)")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each process (30)")
    parser.add_argument("--processes", type=int, default=3, help="one after another (3)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each side in a turn (0.05)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    options = parser.parse_args()
    options.batch = options.batch or list(BATCHES)
    options.threads = options.threads or sorted({1, min(2, cores_allowed())})
    return options


if __name__ == "__main__":
    main()
