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
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import anyio
import httpx2
import orjson

from aura_py import __version__
from aura_py.mcp.reasons import one_line, without_secrets

log = logging.getLogger(__name__)


def _drop_intended_closes(record: logging.LogRecord) -> bool:
    """Drops errors that only say that a stream was closed on purpose; malformed messages need no trace."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, anyio.BrokenResourceError | anyio.ClosedResourceError | CallAborted):
        return False
    if isinstance(error, ValueError):
        record.exc_info = None
    return True


logging.getLogger("mcp.client.streamable_http").addFilter(_drop_intended_closes)

UNREACHABLE = -32097
"""JSON-RPC code of an answer that we made up because the server could not be reached."""

UNREADABLE = -32096
"""JSON-RPC code of an answer that we made up because the server's own is no answer to the request."""

MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one server-sent event, or of one answer in JSON, above which the call that it answers fails."""

_GETS, _GETS_SECONDS = 20, 10.0
"""How many streams may be asked for in how many seconds."""

_MOST_OF_ERROR = 64 * 1024
"""Bytes of the body of a failing response that are read, and the first 4 kB that are judged."""
_JUDGED = 4096

_SHORT_SECONDS = 5.0
"""Seconds for bodies of failing responses, and for messages that expect no answer: the SDK sends those one after
another, so one must not hold the rest."""


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
            verify=ssl_context(),
            timeout=httpx2.Timeout(30.0, connect=connect_timeout, read=None, pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=60.0),
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
        return _synthetic_response(request, message_id, UNREADABLE, "Request cancelled")

    async def _send(self, request: httpx2.Request, message_id: int | str | None, *, stream: bool) -> httpx2.Response:
        try:
            response = await self._follow(request, stream=stream)
            if response.is_error:
                response = await _with_short_body(request, response)
            elif message_id is not None and self._answers and response.is_success:
                response = await _checked_answer(request, message_id, response)
        except httpx2.RequestError as error:
            failure = HttpFailure(request.method, None, describe_request_error(error))
            self._record(request, message_id, failure)
            if request.method == "GET":
                raise
            return _synthetic_response(request, message_id, UNREACHABLE, str(failure))
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
            if following is None or not _may_follow(request, following):
                break
            await response.aclose()
            request = following
        return response

    def _failure(self, request: httpx2.Request, response: httpx2.Response) -> HttpFailure:
        status = response.status_code
        if not response.is_error:
            return HttpFailure(request.method, status, _target(response))
        with_session = not self._answers or "mcp-session-id" in request.headers
        lost = status in (401, 404) or (with_session and names_lost_session(status, response.content))
        return HttpFailure(request.method, status, one_line(without_secrets(_excerpt(response), self._secrets)), lost)

    async def _throttle(self) -> None:
        """Servers decide how soon a stream is asked for again; one that says "at once" must not keep us busy."""
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


def _message(request: httpx2.Request) -> Mapping[str, object]:
    if request.method != "POST":
        return {}
    try:
        body = orjson.loads(request.content)
    except (orjson.JSONDecodeError, httpx2.RequestNotRead):
        return {}
    return body if isinstance(body, dict) else {}


def names_lost_session(status: int, content: bytes) -> bool:
    """Whether a failing response to a request that named a session says that there is no such session."""
    text = content[:_JUDGED].lower()
    return status == 410 or b"session" in text or b"not initialized" in text or b"not initialised" in text


def _excerpt(response: httpx2.Response) -> str:
    """What the body of a failing response says, in one line; pages are for people and are left out."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "text/plain") and not kind.endswith("json"):
        return ""
    try:
        text = _message_of(orjson.loads(response.content))
    except orjson.JSONDecodeError:
        text = None
    if text is None:
        text = response.content[:_JUDGED].decode("utf-8", "replace")
    return text


def _message_of(body: object) -> str | None:
    """The sentence in a JSON-RPC error, an OAuth error or a web framework's error."""
    if not isinstance(body, Mapping):
        return None
    if isinstance(body.get("error"), Mapping):
        return _message_of(body["error"])
    keys = ("message", "error_description", "detail", "error")
    return next((text for key in keys if isinstance(text := body.get(key), str) and text), None)


def _may_follow(request: httpx2.Request, following: httpx2.Request) -> bool:
    """Whether a redirect stays where the request's credentials may go, and asks for the same thing there."""
    here, there = request.url, following.url
    default_ports = here.port is None and there.port is None
    upgraded = default_ports and (here.scheme, there.scheme, here.host) == ("http", "https", there.host)
    return (
        following.method == request.method
        and (upgraded or (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port))
        and there.userinfo in (b"", here.userinfo)
    )


def _target(response: httpx2.Response) -> str:
    """Where a redirect leads that is not followed, without the parts of its URL that may be secret."""
    following = response.next_request
    if following is None:
        return ""
    url = following.url.copy_with(userinfo=b"", query=None, fragment=None)
    return f"the redirect to `{url}` is not followed; use that URL if it is the intended server"


async def _with_short_body(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """A failing response with no more of its body than is looked at; its status says enough if that is torn."""
    content = b""
    try:
        with anyio.move_on_after(_SHORT_SECONDS):
            async with aclosing(response.aiter_bytes()) as parts:
                async for chunk in parts:
                    content += chunk
                    if len(content) > _MOST_OF_ERROR:
                        break
    except httpx2.RequestError:
        pass
    finally:
        await response.aclose()
    kind = {name: response.headers[name] for name in ("content-type",) if name in response.headers}
    return httpx2.Response(response.status_code, headers=kind, content=content[:_MOST_OF_ERROR], request=request)


async def _checked_answer(request: httpx2.Request, message_id: int | str, response: httpx2.Response) -> httpx2.Response:
    """``response`` if it can be the answer to the request, else one that says what is wrong with it."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code == 202:
        problem: str | None = "the server answered the request with `202 Accepted`, which promises no answer"
    elif kind == "text/event-stream":
        return response
    elif not kind.startswith("application/json"):
        problem = f"unexpected content type `{kind[:100]}`" if kind else "unexpected answer without a content type"
    else:
        content = await _content(response)
        problem = "the server's answer is too large" if content is None else _mismatch(content, message_id)
        if content is not None and problem is None:
            headers = {"content-type": kind}
            if (session := response.headers.get("mcp-session-id")) is not None:
                headers["mcp-session-id"] = session
            return httpx2.Response(response.status_code, headers=headers, content=content, request=request)
    await response.aclose()
    return _synthetic_response(request, message_id, UNREADABLE, problem or "the server's answer cannot be read")


async def _content(response: httpx2.Response) -> bytes | None:
    """The whole body, or ``None`` if it is larger than an event may be."""
    chunks, size = [], 0
    try:
        async with aclosing(response.aiter_bytes()) as parts:
            async for chunk in parts:
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_EVENT:
                    return None
    finally:
        await response.aclose()
    return b"".join(chunks)


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


def _synthetic_response(
    request: httpx2.Request, message_id: int | str | None, code: int, problem: str
) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": problem}}
    status = 502 if code == UNREACHABLE else 200
    return httpx2.Response(
        status, headers={"content-type": "application/json"}, content=orjson.dumps(body), request=request
    )
