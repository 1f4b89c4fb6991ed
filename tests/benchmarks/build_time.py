"""Seconds of each stage of ``fwexport build`` as it is shipped: ``python tests/benchmarks/build_time.py [RUNS]``.

Prints the median over the runs, and each run's total. The target is 120 s on two cores.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def one_run() -> tuple[float, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "exporter.cli", "build", "-o", str(Path(folder) / "build")]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        total = time.perf_counter() - begin
    last = done.stderr.strip().splitlines()[-1]
    return total, {
        name: float(seconds) for name, seconds in re.findall(r"([a-z ]+?) (\d+\.\d)(?:, |$)", last[9:])
    }


def main() -> None:
    runs = [one_run() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)]
    for name in runs[0][1]:
        print(f"{name:14} {statistics.median(stages[name] for _, stages in runs):6.1f} s")
    print(
        f"{'total':14} {statistics.median(total for total, _ in runs):6.1f} s",
        [round(total, 1) for total, _ in runs],
    )


if __name__ == "__main__":
    main()
