"""Rows of the zoo's table that do not pass, each with the reason. One that passes after all fails the run.

A key is ``model/column``; the columns are those of the table.
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {}
