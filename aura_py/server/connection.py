"""HTTP connections: uvicorn's own, with three things it leaves out."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from aura_py.errors import RequestError
from aura_py.server.envelope import error_object
from aura_py.server.response_writer import ABORT
from aura_py.server.wire_json import to_json

_BAD_REQUEST: Final = RequestError("The request is not valid HTTP.")


class HttpConnection(HttpToolsProtocol):
    """Lets a response drop a connection whose reader has stalled, closes one whose request does not come, and
    answers broken HTTP with the error envelope."""

    head_seconds: ClassVar[float] = 30.0
    """How long a client may take from connecting, or from a request's first byte, to the end of its headers."""
    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # ours, not ASGI's

    def _expect_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self._give_up)

    def _head_is_here(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        body = to_json(error_object(_BAD_REQUEST))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()
