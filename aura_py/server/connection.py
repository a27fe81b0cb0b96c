"""HTTP connections: uvicorn's own, with two things it leaves out."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from aura_py.errors import RequestError
from aura_py.server.envelope import error_object
from aura_py.server.outlet import ABORT
from aura_py.server.wire_json import to_json

_BAD_REQUEST: Final = RequestError("The request is not valid HTTP.")


class HttpConnection(HttpToolsProtocol):
    """Lets a response drop a connection whose reader has stalled, and answers broken HTTP with the error envelope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # ours, not ASGI's

    def send_400_response(self, msg: str) -> None:
        body = to_json(error_object(_BAD_REQUEST))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()
