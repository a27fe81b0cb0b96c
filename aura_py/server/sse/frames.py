"""Bytes of one frame, and texts that are cut to fit. Line ends are LF; JSON is compact, one line, and always valid."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from aura_py.server.wire_json import to_json, well_formed

logger = logging.getLogger(__name__)

DONE: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"
HEARTBEAT: Final = b": heartbeat\n\n"


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


MARK: Final = "... [truncated]"
ERROR_BYTES: Final = 8192
DELTA_BYTES: Final = 8192


def cut(text: str, limit: int) -> str:
    """``text`` if it has at most ``limit`` bytes, else its head and the mark; ``0`` is no limit."""
    if limit <= 0 or len(text) * 4 <= limit:
        return text
    raw = well_formed(text).encode()
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore") + MARK


def pieces(text: str, limit: int = DELTA_BYTES) -> Iterator[str]:
    """``text`` in pieces of at most ``limit`` bytes, split between code points."""
    step = limit // 4
    if len(text) <= step:
        yield text
        return
    for start in range(0, len(text), step):
        yield text[start : start + step]
