"""The HTTP client below the SDK's transports: it remembers what the SDK forgets.

The SDK turns every failing status into one vague message, and one unreachable POST into the end of the session. Here
each failure is noted under the JSON-RPC id it belongs to, and an unreachable server, or one whose answer cannot be
read, answers that one request with a JSON-RPC error instead of tearing down the calls beside it or leaving its own
waiting for ever.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache

import anyio
import httpx2
import orjson

from aura_py import __version__
from aura_py.mcp.aiohttp_transport import AiohttpTransport
from aura_py.mcp.answers import (
    UNREACHABLE,
    UNREADABLE,
    HttpFailure,
    describe_redirect,
    describe_request_error,
    error_text,
    is_session_lost,
    may_follow,
    read_answer,
    read_error,
    synthetic_response,
)
from aura_py.mcp.reasons import one_line, without_secrets

log = logging.getLogger(__name__)


def _drop_intended_closes(record: logging.LogRecord) -> bool:
    """Drop errors that only say that a stream was closed on purpose, and traces of malformed messages."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, anyio.BrokenResourceError | anyio.ClosedResourceError | CallAborted):
        return False
    if isinstance(error, ValueError):
        record.exc_info = None
    return True


logging.getLogger("mcp.client.streamable_http").addFilter(_drop_intended_closes)

_GETS, _GETS_SECONDS = 20, 10.0
"""How many streams may be asked for in how many seconds."""

_SHORT_SECONDS = 5.0
"""Seconds for messages that expect no answer: the SDK sends them one after another, so one must not hold the rest."""


@cache
def ssl_context() -> ssl.SSLContext:
    """Read once, in a thread, because reading them takes a tenth of a second."""
    return httpx2.create_ssl_context()


class CallAborted(httpx2.SSEError):
    """The answer was given up by us: its call is cancelled, and the server knows."""


class McpHttpClient(httpx2.AsyncClient):
    """An HTTP client for one MCP connection, with ``headers`` on every exchange.

    ``first_failure`` is the first failing status (or wire error) that speaks about the connection as a whole;
    ``refused_probe`` is a 401 at the newer greeting, as long as no request has succeeded since;
    ``failures`` holds the failure of each JSON-RPC request until somebody takes it. ``answers`` says that the response
    to a request is its answer, as in Streamable HTTP. A request that was cancelled by a notification gives its
    connection back once the notification is out: many servers never end the response of such a call.
    """

    def __init__(self, headers: Mapping[str, str], *, connect_timeout: float, answers: bool) -> None:
        super().__init__(
            headers={"user-agent": f"aura/{__version__}", **headers},
            transport=AiohttpTransport(ssl_context()),
            timeout=httpx2.Timeout(30.0, connect=connect_timeout, read=None, pool=None),
            follow_redirects=False,
        )
        self.first_failure: HttpFailure | None = None
        self.refused_probe: HttpFailure | None = None
        self.failures: dict[int, HttpFailure] = {}
        self._secrets = tuple(headers.values())
        self._answers = answers
        self._in_flight: dict[int | str, anyio.CancelScope | _AbortableBody] = {}
        self._gets: deque[float] = deque(maxlen=_GETS)

    async def send(  # type: ignore[override]
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: httpx2.Auth | None = None,
        follow_redirects: bool = False,
    ) -> httpx2.Response:
        message = _message(request)
        found = message.get("id") if "method" in message else None
        message_id = found if isinstance(found, int | str) else None
        if request.method == "GET":
            await self._throttle()
        if request.method == "DELETE" or (request.method == "POST" and message_id is None):
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _SHORT_SECONDS)
        if message_id is None:
            try:
                return await self._send(request, None, stream=stream)
            finally:
                if message.get("method") == "notifications/cancelled":
                    self._abort(message.get("params"))
        scope = self._in_flight[message_id] = anyio.CancelScope()
        try:
            with scope:
                response = await self._send(request, message_id, stream=stream)
                if not response.is_stream_consumed:
                    body = _AbortableBody(response.stream, lambda body: self._forget(message_id, body))
                    response.stream = self._in_flight[message_id] = body
                return response
        finally:
            self._forget(message_id, scope)
        return synthetic_response(request, message_id, UNREADABLE, "Request cancelled")

    async def _send(self, request: httpx2.Request, message_id: int | str | None, *, stream: bool) -> httpx2.Response:
        try:
            response = await self._follow(request, stream=stream)
            if response.is_error:
                response = await read_error(request, response)
            elif message_id is not None and self._answers and response.is_success:
                response = await read_answer(request, message_id, response)
        except httpx2.RequestError as error:
            failure = HttpFailure(request.method, None, describe_request_error(error))
            self._record(request, message_id, failure)
            if request.method == "GET":
                raise
            return synthetic_response(request, message_id, UNREACHABLE, str(failure))
        if message_id is not None and response.is_success:
            self.refused_probe = None
        tolerated = request.method != "POST" and response.status_code == 405
        if response.status_code >= 300 and not tolerated:
            self._record(request, message_id, self._failure(request, response))
        return response

    async def _follow(self, request: httpx2.Request, *, stream: bool) -> httpx2.Response:
        for _ in range(self.max_redirects):
            response = await super().send(request, stream=stream, follow_redirects=False)
            following = response.next_request
            if following is None or not may_follow(request, following):
                break
            await response.aclose()
            request = following
        return response

    def _failure(self, request: httpx2.Request, response: httpx2.Response) -> HttpFailure:
        status = response.status_code
        if not response.is_error:
            return HttpFailure(request.method, status, describe_redirect(response))
        with_session = not self._answers or "mcp-session-id" in request.headers
        lost = status in (401, 404) or (with_session and is_session_lost(status, response.content))
        return HttpFailure(request.method, status, one_line(without_secrets(error_text(response), self._secrets)), lost)

    async def _throttle(self) -> None:
        """Limit how often a stream is requested: servers decide the pause, and one may ask for none."""
        if len(self._gets) == _GETS:
            await anyio.sleep(self._gets[0] + _GETS_SECONDS - anyio.current_time())
        self._gets.append(anyio.current_time())

    def _forget(self, message_id: int | str, exchange: anyio.CancelScope | _AbortableBody) -> None:
        if self._in_flight.get(message_id) is exchange:
            del self._in_flight[message_id]

    def _abort(self, params: object) -> None:
        message_id = params.get("requestId") if isinstance(params, Mapping) else None
        exchange = self._in_flight.pop(message_id, None) if isinstance(message_id, int | str) else None
        if exchange is not None:
            exchange.cancel()

    def _record(self, request: httpx2.Request, message_id: int | str | None, failure: HttpFailure) -> None:
        if request.headers.get("mcp-method") == "server/discover" and failure.status:
            # Older servers refuse the newer greeting in many ways that mean nothing, but not with 401.
            if failure.status == 401:
                self.refused_probe = failure
        elif self.first_failure is None and request.method != "DELETE":
            self.first_failure = failure
        if isinstance(message_id, int):
            self.failures[message_id] = failure
        elif message_id is None and request.method == "POST":
            log.debug("an MCP server did not take a notification: %s", failure)


class _AbortableBody(httpx2.AsyncByteStream):
    """The body of a response that can be given up while somebody waits for more of it."""

    def __init__(self, inner: object, on_close: Callable[[_AbortableBody], None]) -> None:
        assert isinstance(inner, httpx2.AsyncByteStream)
        self._inner = inner
        self._chunks = aiter(inner)
        self._on_close = on_close
        self._scope = anyio.CancelScope()
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._scope.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._cancelled:
            with anyio.CancelScope() as self._scope:
                return await anext(self._chunks)
        raise CallAborted("the call is cancelled")

    async def aclose(self) -> None:
        self._on_close(self)
        await self._inner.aclose()


def _message(request: httpx2.Request) -> Mapping[str, object]:
    if request.method != "POST":
        return {}
    try:
        body = orjson.loads(request.content)
    except (orjson.JSONDecodeError, httpx2.RequestNotRead):
        return {}
    return body if isinstance(body, dict) else {}
