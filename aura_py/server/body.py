"""Request bodies: bounded while they are read, JSON objects, never a crash (``http-api.md`` §5)."""

from __future__ import annotations

import json
from typing import Final

import anyio
import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from aura_py.errors import BodyTooLarge, RequestError, RunCancelled, UnsupportedMediaType
from aura_py.server.wire_json import to_json

MAX_DEPTH: Final = 128
"""Levels of nesting that a body may have; whatever walks it recursively stays far from Python's own limit."""


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
    with anyio.move_on_after(seconds):
        return await _read(receive, limit)
    raise SlowClient(f"The request body did not arrive within {seconds:g} seconds; send it again.")


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


def json_object(body: bytes) -> dict[str, object]:
    """The JSON object in ``body``.

    Raises:
        RequestError: It is not JSON, not an object, or nested too deeply.
    """
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
