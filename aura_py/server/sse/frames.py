"""Bytes of one frame. Line ends are LF; JSON is compact, one line, and always valid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from aura_py.server.wire_json import to_json

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
