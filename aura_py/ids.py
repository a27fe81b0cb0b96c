"""Identifiers of requests, sessions and runs."""

from __future__ import annotations

import os
import time
import uuid


def request_id() -> str:
    """``req_`` and 32 hex digits."""
    return f"req_{os.urandom(16).hex()}"


def completion_id() -> str:
    """``chatcmpl-`` and a hyphenated UUIDv4."""
    return f"chatcmpl-{uuid.uuid4()}"


def session_id() -> str:
    """``cs_`` and 32 hex digits."""
    return f"cs_{os.urandom(16).hex()}"


def tool_call_id() -> str:
    """``call_`` and 24 hex digits, for calls whose provider gave none."""
    return f"call_{os.urandom(12).hex()}"


def uuid7() -> str:
    """A time-ordered UUID (version 7), hyphenated lower case."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
