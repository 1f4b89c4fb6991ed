"""Which execution provider computed each node, from the profile that ONNX Runtime writes. Pure: text in, tuples out.

A profile is a JSON list of events as Chrome traces have them. Those of category ``Node`` whose name ends in
``_kernel_time`` are a kernel each, with its operator and provider; a node fused from several has a name of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

_KERNEL = "_kernel_time"
# So many nodes are named in a message; a network that has not moved at all would name hundreds.
_NAMED = 8


@dataclass(frozen=True)
class Placed:
    """A node that was computed, and by which provider."""

    node: str
    op: str
    provider: str


def placed(profile: str | bytes) -> tuple[Placed, ...]:
    """The nodes of a profile in the order in which they first ran, each once. Raises msgspec.DecodeError."""
    events = msgspec.json.decode(profile, type=list[dict[str, Any]])
    nodes = [
        Placed(event["name"].removesuffix(_KERNEL), arguments.get("op_name", ""), arguments["provider"])
        for event in events
        if event.get("cat") == "Node"
        and event.get("name", "").endswith(_KERNEL)
        and (arguments := event.get("args") or {}).get("provider")
    ]
    return tuple(dict.fromkeys(nodes))


def moved(nodes: Sequence[Placed], provider: str) -> tuple[Placed, ...]:
    """The nodes that another provider computed than this one."""
    return tuple(node for node in nodes if node.provider != provider)


def in_words(nodes: Sequence[Placed], others: Sequence[Placed], provider: str) -> str:
    """Which of the ``nodes`` the ``provider`` left to ``others``."""
    named = ", ".join(f"{one.node} ({one.op}, {one.provider})" for one in others[:_NAMED])
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{provider} did not compute {len(others)} of {len(nodes)} nodes: {named}{more}"
