"""Bytes of one frame (``sse-events.md`` §1). Line ends are LF; JSON is compact, one line, and always valid."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Final

import orjson

logger = logging.getLogger(__name__)

DONE: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"
HEARTBEAT: Final = b": heartbeat\n\n"


def to_json(value: object) -> bytes:
    """Compact UTF-8 JSON. NaN and infinities become ``null``, lone surrogates U+FFFD.

    Raises:
        ValueError: The value has no JSON form at all (cyclic, or nested beyond reason).
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        pass
    try:
        return json.dumps(_repaired(value), ensure_ascii=False, separators=(",", ":")).encode()
    except (RecursionError, TypeError) as error:
        raise ValueError("value cannot be written as JSON") from error


def text_json(text: str) -> bytes:
    """A JSON string; the hot path of every text delta."""
    try:
        return orjson.dumps(text)
    except TypeError:
        return orjson.dumps(well_formed(text))


def well_formed(text: str) -> str:
    """``text`` with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def data_frame(value: object) -> bytes:
    """``data: …``; empty when ``value`` cannot be serialised (dropped and logged, never sent half)."""
    try:
        return b"data: " + to_json(value) + b"\n\n"
    except ValueError:
        logger.exception("a frame could not be serialised and was dropped")
        return b""


def event_frame(name: str, value: Mapping[str, object]) -> bytes:
    """``event: …`` and ``data: …``; empty when ``value`` cannot be serialised."""
    frame = data_frame(value)
    return b"event: " + name.encode() + b"\n" + frame if frame else b""


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {well_formed(str(key)): _repaired(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_repaired(item) for item in value]
    return value
