"""Input schemas as providers accept them (``mcp-tools.md`` §6, I-11)."""

from __future__ import annotations

import copy
from typing import Any


class HopelessSchema(ValueError):
    """The schema cannot be offered to any model; the message says why."""


def sanitize_schema(schema: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    root = copy.deepcopy(schema)
    if isinstance(root.get("type"), str) and root["type"] != "object":
        raise HopelessSchema(f"its input is of type `{root['type']}`, not `object`")
    root.setdefault("type", "object")
    root.setdefault("properties", {})
    return root
