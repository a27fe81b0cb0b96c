"""Request bodies: bounded while they are read and before they are parsed, JSON objects, never a crash."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from aura_py.errors import BodyTooLarge, RequestError, RunCancelled, UnsupportedMediaType
from aura_py.server.openai.limits import RequestLimits
from aura_py.server.wire_json import to_json

_T = TypeVar("_T")

MAX_DEPTH: Final = 128
"""Levels of nesting that a body may have; whatever walks it recursively stays far from Python's own limit."""


_SMALL: Final = 256 * 1024
"""Bytes that are parsed and hashed on the event loop; a thread costs more than a few milliseconds of parsing."""
_SLICE: Final = 1024 * 1024

READ_SECONDS: Final = 60.0
"""How long a client may take to send its body."""


class SlowClient(RequestError):
    status = 408
    code = "request_timeout"


async def read_body(headers: Headers, receive: Receive, limit: int, *, seconds: float = READ_SECONDS) -> bytes:
    """The whole body of a JSON request.

    Raises:
        UnsupportedMediaType: The content type is not JSON, or the body is compressed.
        SlowClient: It did not arrive within ``seconds``.
        BodyTooLarge: More than ``limit`` bytes were announced or arrived.
        RunCancelled: The client left before the body was complete.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaType(
            f"The content type `{_shown(media_type)}` is not supported; send `Content-Type: application/json`."
        )
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMediaType(f"The content encoding `{_shown(coding)}` is not supported; send the body as it is.")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise SlowClient(f"The request body did not arrive within {seconds:g} seconds; send it again.") from None


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RunCancelled("The client left before it had sent its request.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if part:
            parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def parse_body(
    body: bytes,
    parse: Callable[[Mapping[str, object], RequestLimits], _T],
    limits: RequestLimits,
    parsers: anyio.CapacityLimiter,
) -> _T:
    """What ``parse`` makes of the JSON object in ``body``; of a large one in a thread, one of ``parsers`` at a time.

    Raises:
        RequestError: It is not JSON, not an object, too large in some way, or ``parse`` refuses it.
    """
    if len(body) <= _SMALL:
        return parse(json_object(body, limits.values), limits)
    return await anyio.to_thread.run_sync(lambda: parse(json_object(body, limits.values), limits), limiter=parsers)


async def body_digest(body: bytes, parsers: anyio.CapacityLimiter) -> str:
    """What tells bodies apart; of a large one made in a thread, one of ``parsers`` at a time."""
    if len(body) <= _SMALL:
        return hashlib.sha256(body).hexdigest()
    return await anyio.to_thread.run_sync(lambda: hashlib.sha256(body).hexdigest(), limiter=parsers)


def json_object(body: bytes, max_values: int = RequestLimits().values) -> dict[str, object]:
    """The JSON object in ``body``.

    Raises:
        RequestError: It is not JSON, not an object, nested too deeply, or has too many values.
    """
    # Parsing holds Python's lock from beginning to end, so what would take long is found out before.
    if _values(body) > max_values and _values_outside_strings(body) > max_values:
        raise RequestError(
            f"The request body has more than {max_values} values (six times `AURA_MAX_PARTS`); send less at once."
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        value = _with_surrogates(body)
        if value is None:
            raise RequestError(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise RequestError("The request body must be a JSON object.")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise RequestError(f"The request body is nested more than {MAX_DEPTH} levels deep.")
    return value


def _values(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{") + body.count(b",")


def _values_outside_strings(body: bytes) -> int:
    """In slices, each of which lets other threads have Python's lock."""
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    count = inside = 0
    for start in range(0, len(bare), _SLICE):
        pieces = bare[start : start + _SLICE].split(b'"')
        count += _values(b"".join(pieces[inside::2]))
        inside = (inside + len(pieces) - 1) % 2
    return count


def _with_surrogates(body: bytes) -> object:
    """JavaScript clients write half an emoji as an escaped lone surrogate; it becomes U+FFFD."""
    if b"\\ud" not in body.lower():
        return None
    try:
        return orjson.loads(to_json(json.loads(body)))
    except (ValueError, RecursionError):
        return None


def _deeper_than(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than the limit of {limit} bytes; send less at once.")


def _shown(text: str) -> str:
    return text[:64] or "(none)"
