"""HTTP connections: uvicorn's own, with what it leaves out.

Uvicorn holds any number of header lines and waits for them for ever, loses the body of a request that offers HTTP/2
(as Java's own client does with every one), does not notice that a client which has sent two requests at once is gone,
sends chunks to HTTP/1.0 clients, and answers broken HTTP in plain text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from aura_py.errors import RequestError
from aura_py.server.envelope import error_object
from aura_py.server.response_writer import CONNECTION
from aura_py.server.wire_json import to_json

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGISendEvent

_HOP: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class HeadTooLarge(RequestError):
    status = 431
    code = "headers_too_large"


class _Pipelined(Exception):
    """Bytes of a further request while one is being answered."""


class HttpConnection(HttpToolsProtocol):
    """One request at a time, with a head of a bounded size that comes within a bounded time, always HTTP/1.

    A connection whose client does not wait for its answer is closed with that answer.
    """

    head_bytes: ClassVar[int] = 65_536
    head_seconds: ClassVar[float] = 30.0
    """How long a client may take from connecting, or from a request's first byte, to the end of its headers."""
    _head_timer: asyncio.TimerHandle | None = None
    """Closes the connection when the head that is awaited does not come to its end."""
    _head_seen = 0
    _body_timer: asyncio.TimerHandle | None = None
    """Closes the connection when a body that nobody waits for does not come to its end."""
    _ignores_input = False
    _on_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_head_timer()
        self._cancel_body_timer()
        super().connection_lost(exc)
        if self._on_lost is not None:
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            return
        self._unset_keepalive_if_required()
        if not self._expects_head():
            self._feed(data)
            return
        if not self._head_seen:
            data = data.lstrip(b"\r\n")  # empty lines before a request are not part of its head
        room = self.head_bytes - self._head_seen
        self._head_seen += min(len(data), room)
        rest = data[room:]
        self._feed(data[:room], rest)
        if rest and self._expects_head() and not self._ignores_input and not self.transport.is_closing():
            self._refuse(HeadTooLarge(f"The request's headers are larger than the limit of {self.head_bytes} bytes."))

    def _feed(self, data: bytes, rest: bytes = b"") -> None:
        """Parses ``data``, and ``rest`` unless a head goes on in it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._reparse_without_upgrade(data[offer.args[0] :] + rest)
        except httptools.HttpParserError:
            if self._answering():
                self._stop_reading()
            else:
                self.send_400_response("")
        else:
            if rest and not self._expects_head():
                self._feed(rest)

    # --- what a response may do without `send` (see `response_writer.Connection`) ----------------------------------

    def abort(self) -> None:
        self.transport.abort()

    def watch(self, on_lost: Callable[[], None] | None) -> None:
        self._on_lost = on_lost
        if on_lost is not None and self.cycle.disconnected:
            on_lost()

    def can_write(self) -> bool:
        cycle = self.cycle
        return (
            cycle.response_started
            and not cycle.response_complete
            and not cycle.disconnected
            and not self.flow.write_paused
        )

    def write_now(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.cycle.chunked_encoding else data)

    # --- the parser's callbacks ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answering():
            raise _Pipelined
        super().on_message_begin()
        self._await_head()
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]  # ours, not ASGI's

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_timer is not None:  # trailers of a body are of no use to anybody
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._cancel_head_timer()
            self._head_seen = 0
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.cycle is not None and not self.parser.should_upgrade():
            self._cancel_body_timer()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and self._body_timer is None:
            self._body_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        self._refuse(RequestError("The request is not valid HTTP."))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.scope["http_version"] == "1.0":
            cycle.send = _unchunked(cycle)  # type: ignore[method-assign,assignment]
        super()._start_asgi_task(cycle, app)

    # --- what is done about them -----------------------------------------------------------------------------------

    def _expects_head(self) -> bool:
        cycle = self.cycle
        return self._head_timer is not None or cycle is None or (cycle.response_complete and not cycle.more_body)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _stop_reading(self) -> None:
        """The answer under way is the last one; reading goes on, because the end of the connection must be noticed."""
        self._ignores_input = True
        self.cycle.keep_alive = False

    def _reparse_without_upgrade(self, rest: bytes) -> None:
        """The request again, without its offer of another protocol; ``rest`` is what came behind its head."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("")
            return
        self._head_seen = 0
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] not in _HOP]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _refuse(self, error: RequestError) -> None:
        body = to_json(error_object(error))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()
        self._ignores_input = True


def _unchunked(cycle: RequestResponseCycle) -> Callable[[ASGISendEvent], Awaitable[None]]:
    """Sends responses to clients that know no chunks: the end of the connection is the end of the body."""
    send = cycle.send
    unmeasured = False

    async def send_unchunked(message: ASGISendEvent) -> None:
        nonlocal unmeasured
        if message["type"] == "http.response.start":
            unmeasured = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if unmeasured:
                cycle.chunked_encoding = False
        elif unmeasured and message["type"] == "http.response.body":
            cycle.expected_content_length = len(message.get("body", b""))  # what uvicorn checks each write against
        await send(message)

    return send_unchunked
