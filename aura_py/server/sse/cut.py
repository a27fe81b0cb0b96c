"""Cuts by UTF-8 bytes that never split a character."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aura_py.server.wire_json import well_formed

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
