"""Models that write the arguments of a call as their text."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aura_py.messages import JsonObject


def object_in_text(text: str) -> JsonObject | None:
    """The JSON object that ``text`` consists of, but for a fence and words around it."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        value = orjson.loads(text[start : end + 1])
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, Mapping) else None
