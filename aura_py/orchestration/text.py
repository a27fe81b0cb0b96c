"""Texts meant for people and models: shortened by code points, indented, read as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aura_py.messages import JsonObject

CUT_MARK = "… [cut]"


def beginning(text: str, length: int) -> str:
    """The first ``length`` characters at most; ends at a line end when one lies in the last tenth."""
    if len(text) <= length:
        return text
    cut = text[:length]
    line_end = cut.rfind("\n", length - length // 10)
    return cut[:line_end] if line_end > 0 else cut


def truncate(text: str, length: int, note: str = "") -> str:
    """Like :func:`beginning`, marked when something is missing; ``note``, at the end of ``text``, stays in any case."""
    body = text.removesuffix(note).rstrip() if note else text
    if len(body) <= length:
        return text
    return f"{beginning(body, length)}{CUT_MARK}" + (f"\n\n{note}" if note else "")


def ellipsis(text: str, length: int) -> str:
    """The first ``length`` characters, with ``...`` when something is missing."""
    return text if len(text) <= length else f"{text[:length]}..."


def indent(text: str, by: str = "    ") -> str:
    return "\n".join(f"{by}{line}" if line else "" for line in text.splitlines())


def object_in_text(text: str) -> JsonObject | None:
    """The JSON object that ``text`` consists of, apart from a fence and words around it.

    Some models write the arguments of a call as their text instead of calling.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        value = orjson.loads(text[start : end + 1])
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, Mapping) else None
