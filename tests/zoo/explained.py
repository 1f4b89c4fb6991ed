"""What of the zoo's table is known not to be as it should, with the reason. What is better than it says fails the run.

A key of ``EXPLAINED`` is ``model/column`` of a row that does not pass; the columns are those of the table.
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {}

# The Transpose operators that a model's TF Lite file has; one that is not here has none.
TRANSPOSES: dict[str, int] = {}
