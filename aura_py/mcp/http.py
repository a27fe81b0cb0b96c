"""The HTTP client below the SDK's transports: it remembers what the SDK forgets.

The SDK turns every failing status into one vague message, and one unreachable POST into the end of the session. Here
each failure is noted under the JSON-RPC id it belongs to, and an unreachable server answers that one request with a
JSON-RPC error instead of tearing down the calls beside it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import anyio
import httpx2
import orjson

log = logging.getLogger(__name__)


def _worth_telling(record: logging.LogRecord) -> bool:
    """Keeps the SDK's loggers discreet: below warnings they tell whole URLs and messages, which may carry credentials.

    Errors that only say that a stream was closed on purpose are dropped, and malformed messages need no trace.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, anyio.BrokenResourceError | anyio.ClosedResourceError):
        return False
    if isinstance(error, ValueError):
        record.exc_info = None
    return record.levelno >= logging.WARNING


for _chatty in ("httpx2", "mcp.client.streamable_http"):
    logging.getLogger(_chatty).addFilter(_worth_telling)

UNREACHABLE = -32097
"""JSON-RPC code of an answer that we made up because the server could not be reached."""

MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one server-sent event, above which the call that it answers fails."""

_BRIEF = 5.0
"""Seconds for messages that expect no answer; the SDK sends them one after another, so one must not hold the rest."""


@dataclass(slots=True, frozen=True)
class HttpFailure:
    """A failed exchange: its status, or ``None`` and the name of what went wrong on the wire."""

    method: str
    status: int | None
    problem: str = ""
    unsent: bool = False

    def __str__(self) -> str:
        if self.status is None:
            return self.problem
        return f"server returned HTTP {self.status} {phrase(self.status)}".rstrip()


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Read once, in a thread, because reading them takes a tenth of a second."""
    return httpx2.create_ssl_context()


class ObservingClient(httpx2.AsyncClient):
    """An HTTP client for one MCP connection, with ``headers`` on every exchange.

    ``first_failure`` is the first failing status (or wire error) that speaks about the connection as a whole;
    ``failures`` holds the failure of each JSON-RPC request until somebody takes it.
    """

    def __init__(self, headers: Mapping[str, str], *, connect_timeout: float) -> None:
        super().__init__(
            headers=dict(headers),
            verify=trusted_authorities(),
            timeout=httpx2.Timeout(30.0, connect=connect_timeout, read=None, pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=60.0),
            follow_redirects=False,
        )
        self.first_failure: HttpFailure | None = None
        self.failures: dict[int | str, HttpFailure] = {}

    async def send(  # type: ignore[override]
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: httpx2.Auth | None = None,
        follow_redirects: bool = False,
    ) -> httpx2.Response:
        probe = request.headers.get("mcp-method") == "server/discover"
        if request.method == "DELETE" or (request.method == "POST" and _message_id(request) is None):
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _BRIEF)
        try:
            response = await super().send(request, stream=stream, follow_redirects=False)
        except httpx2.TransportError as error:
            failure = HttpFailure(
                request.method, None, wire_problem(error), unsent=isinstance(error, httpx2.ConnectError)
            )
            self._note(request, failure, probe=probe)
            if request.method == "GET":
                raise
            return _made_up(request, failure)
        if response.status_code >= 300 and not (request.method != "POST" and response.status_code == 405):
            self._note(request, HttpFailure(request.method, response.status_code), probe=probe)
        return response

    def _note(self, request: httpx2.Request, failure: HttpFailure, *, probe: bool) -> None:
        if self.first_failure is None and request.method != "DELETE" and not (probe and failure.status):
            self.first_failure = failure
        if request.method == "POST":
            message_id = _message_id(request)
            if message_id is not None:
                self.failures[message_id] = failure
            else:
                log.debug("an MCP server did not take a notification: %s", failure)


def wire_problem(error: httpx2.TransportError) -> str:
    """What went wrong, in words that hold no URL."""
    match error:
        case httpx2.ConnectTimeout() | httpx2.ConnectError():
            text = str(error).strip()
            return f"cannot connect to the server ({text})" if text else "cannot connect to the server"
        case httpx2.TimeoutException():
            return "the server did not answer in time"
        case _:
            return f"the connection to the server broke ({type(error).__name__})"


def _message_id(request: httpx2.Request) -> int | str | None:
    try:
        body = orjson.loads(request.content)
    except (orjson.JSONDecodeError, httpx2.RequestNotRead):
        return None
    found = body.get("id") if isinstance(body, dict) else None
    return found if isinstance(found, int | str) else None


def _made_up(request: httpx2.Request, failure: HttpFailure) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": _message_id(request), "error": {"code": UNREACHABLE, "message": str(failure)}}
    return httpx2.Response(
        502, headers={"content-type": "application/json"}, content=orjson.dumps(body), request=request
    )
