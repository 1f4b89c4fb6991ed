"""``fwexport`` whose quick bench takes a fifth of the time a row: for tests that need rows, not figures."""

from exporter.cli import main
from runtimes.bench import SECONDS

SECONDS["quick"] = 0.2
main()
