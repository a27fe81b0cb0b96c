"""What an MCP server answers over HTTP, and what is wrong with it.

An answer that is none becomes a JSON-RPC error for its own request: the SDK would end the session, or wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

import anyio
import httpx2
import orjson
from mcp_types import INVALID_PARAMS

UNREACHABLE = -32097
"""JSON-RPC code of an answer that we made up because the server could not be reached."""

UNREADABLE = -32096
"""JSON-RPC code of an answer that we made up because the server's own is no answer to the request."""

REJECTED = "Server returned an error response"
"""The SDK's words for a failing status without a JSON-RPC error."""

MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one server-sent event, or of one answer in JSON, above which the call that it answers fails."""

_MAX_ERROR = 64 * 1024
"""Bytes of the body of a failing response that are read, and the first 4 kB that are judged."""
_MAX_EXCERPT = 4096

_ERROR_SECONDS = 5.0


@dataclass(slots=True, frozen=True)
class HttpFailure:
    """A failed exchange: its status, or ``None`` when the wire failed, and what is known beyond the status.

    ``session_lost`` says that the server refused the request because it does not know the request's session.
    """

    method: str
    status: int | None
    detail: str = ""
    session_lost: bool = False

    def __str__(self) -> str:
        if self.status is None:
            return self.detail
        status = f"server returned HTTP {self.status} {phrase(self.status)}".rstrip()
        return f"{status}: {self.detail}" if self.detail else status


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def describe_request_error(error: httpx2.RequestError) -> str:
    """What went wrong, in words that hold no URL."""
    match error:
        case httpx2.ConnectTimeout() | httpx2.ConnectError():
            text = str(error).strip()
            return f"cannot connect to the server ({text})" if text else "cannot connect to the server"
        case httpx2.TimeoutException():
            return "the server did not answer in time"
        case httpx2.DecodingError():
            return "the server's answer cannot be decoded"
        case _:
            return f"the connection to the server broke ({type(error).__name__})"


def describe_redirect(response: httpx2.Response) -> str:
    """Where a redirect leads that is not followed, without the parts of its URL that may be secret."""
    following = response.next_request
    if following is None:
        return ""
    url = following.url.copy_with(userinfo=b"", query=None, fragment=None)
    return f"the redirect to `{url}` is not followed; use that URL if it is the intended server"


def may_follow(request: httpx2.Request, following: httpx2.Request) -> bool:
    """Whether a redirect stays where the request's credentials may go, and asks for the same thing there."""
    here, there = request.url, following.url
    default_ports = here.port is None and there.port is None
    upgraded = default_ports and (here.scheme, there.scheme, here.host) == ("http", "https", there.host)
    return (
        following.method == request.method
        and (upgraded or (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port))
        and there.userinfo in (b"", here.userinfo)
    )


def is_session_lost(status: int, content: bytes) -> bool:
    """Whether a failing response to a request that named a session says that there is no such session."""
    text = content[:_MAX_EXCERPT].lower()
    if f"{INVALID_PARAMS}".encode() in text:
        return False  # an argument of the tool may be called so
    return status == 410 or b"session" in text or b"not initialized" in text or b"not initialised" in text


def error_text(response: httpx2.Response) -> str:
    """Return what the body of a failing response says. Pages are for people and are left out."""
    kind = _content_type(response)
    if kind not in ("", "text/plain") and not kind.endswith("json"):
        return ""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        # The sentence in a JSON-RPC error, an OAuth error or a web framework's error.
        error = body.get("error")
        found = error if isinstance(error, Mapping) else body
        for key in ("message", "error_description", "detail", "error"):
            if isinstance(text := found.get(key), str) and text:
                return text
    return response.content[:_MAX_EXCERPT].decode("utf-8", "replace")


async def read_error(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Read no more of a failing response than is looked at; its status says enough if its body breaks off."""
    content = b""
    try:
        with anyio.move_on_after(_ERROR_SECONDS):
            content = await _read(response, _MAX_ERROR)
    except httpx2.RequestError:
        pass
    return _rebuilt(request, response, content)


async def read_answer(request: httpx2.Request, message_id: int | str, response: httpx2.Response) -> httpx2.Response:
    """Return ``response`` if it can be the answer to the request, else a JSON-RPC error that says what is wrong."""
    kind = _content_type(response)
    if response.status_code == 202:
        problem = "the server answered the request with `202 Accepted`, which promises no answer"
    elif kind == "text/event-stream":
        return response
    elif not kind.startswith("application/json"):
        problem = f"unexpected content type `{kind[:100]}`" if kind else "unexpected answer without a content type"
    else:
        content = await _read(response, MAX_EVENT)
        mismatch = "the server's answer is too large" if len(content) > MAX_EVENT else _mismatch(content, message_id)
        if mismatch is None:
            return _rebuilt(request, response, content)
        problem = mismatch
    await response.aclose()
    return synthetic_response(request, message_id, UNREADABLE, problem)


def synthetic_response(
    request: httpx2.Request, message_id: int | str | None, code: int, problem: str
) -> httpx2.Response:
    """Return a response that answers the request with a JSON-RPC error of our own."""
    body = {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": problem}}
    status = 502 if code == UNREACHABLE else 200
    return httpx2.Response(
        status, headers={"content-type": "application/json"}, content=orjson.dumps(body), request=request
    )


def _content_type(response: httpx2.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(response: httpx2.Response, limit: int) -> bytes:
    """The body, cut off somewhere beyond ``limit`` bytes."""
    content = bytearray()
    try:
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > limit:
                    break
    finally:
        await response.aclose()
    return bytes(content)


def _rebuilt(request: httpx2.Request, response: httpx2.Response, content: bytes) -> httpx2.Response:
    """``response`` with its body in memory; its own headers speak of compression that has been undone."""
    headers = {name: value for name in ("content-type", "mcp-session-id") if (value := response.headers.get(name))}
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


def _mismatch(content: bytes, message_id: int | str) -> str | None:
    """Why ``content`` cannot answer the request; the SDK would wait for ever for a right answer."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "the server's answer is not valid JSON"
    if not isinstance(body, dict) or not ("result" in body or "error" in body):
        return "the server's answer is no JSON-RPC response"
    found = body.get("id")
    if str(found) == str(message_id):
        return None
    error = body.get("error")
    if found is None and isinstance(error, dict) and isinstance(error.get("message"), str):
        return f"the server refused the request: {error['message']}"
    return "the server's answer belongs to another request"
