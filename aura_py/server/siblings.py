"""Requests that belong to one of several processes on a port.

With ``--workers`` the kernel hands every connection to some process. What a process alone knows (the queue of a
session, answers that a repetition attaches to, kept runs) stays there: a request that needs it is passed on, over a
Unix socket in a directory that only this user can enter, to the process that owns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aura_py.errors import Unavailable
from aura_py.run.retries import Retries
from aura_py.server.connection import HttpConnection
from aura_py.server.envelope import error_object, error_response
from aura_py.server.response_writer import ResponseWriter
from aura_py.server.sse.frames import DONE, data_frame

if TYPE_CHECKING:
    from aiohttp import ClientSession

FROM_SIBLING: Final = "aura.from_sibling"
"""ASGI extension of requests that are answered here, whoever owns them: those that a sibling has passed on."""
_CLIENT: Final = b"x-aura-client"
_HELD: Final = "/held/"
_CONNECT_SECONDS: Final = 2.0
_ASK_SECONDS: Final = 2.0
_HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade"})
_OWN: Final = frozenset({b"date", b"server"})


class Siblings:
    """The processes of one port, ``index`` being this one; ``directory`` holds their Unix sockets."""

    def __init__(self, index: int, count: int, directory: Path, *, stall: float) -> None:
        self.index = index
        self.count = count
        self._directory = directory
        self._stall = stall

    @property
    def path(self) -> Path:
        """Where this process listens for its siblings."""
        return socket_path(self._directory, self.index)

    def owner(self, *key: str) -> int | None:
        """The process that owns whatever ``key`` names; ``None`` when it is this one."""
        digest = hashlib.sha256(repr(key).encode("utf-8", "surrogateescape")).digest()
        index = int.from_bytes(digest[:8]) % self.count
        return None if index == self.index else index

    async def holder(self, identity: str) -> int | None:
        """The sibling that holds a recording under ``identity``; ``None`` when nobody does."""
        for index in range(self.count):
            if index != self.index and await self._holds(index, identity):
                return index
        return None

    async def _holds(self, index: int, identity: str) -> bool:
        import aiohttp

        with anyio.move_on_after(_ASK_SECONDS):
            try:
                async with self.connect(index) as http, http.get(f"http://sibling{_HELD}{identity}") as answer:
                    return answer.status == 204
            except (aiohttp.ClientError, OSError):
                return False
        return False

    def connect(self, index: int) -> ClientSession:
        """A client of one sibling, for one request: a connection that is kept would outlive a restart of the other."""
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, UnixConnector

        return ClientSession(
            connector=UnixConnector(str(socket_path(self._directory, index)), force_close=True),
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
        )

    def pass_on(
        self, index: int, request: Request, body: bytes, otherwise: Callable[[], Awaitable[ASGIApp]]
    ) -> ASGIApp:
        """The response of a sibling to the request; ``otherwise`` answers when the sibling cannot be reached."""
        return _PassedOn(self, index, request, body, otherwise, self._stall)


def may_pass_on(request: Request) -> bool:
    """Whether a request came from a client and not from a sibling."""
    return FROM_SIBLING not in (request.scope.get("extensions") or {})


def socket_path(directory: Path, index: int) -> Path:
    return directory / f"{index}.sock"


class SiblingConnection(HttpConnection):
    """A connection of a sibling: its requests are not passed on again and keep their client's address."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"][FROM_SIBLING] = {}

    def on_headers_complete(self) -> None:
        clients = [value for name, value in self.headers if name == _CLIENT]
        self.headers[:] = [header for header in self.headers if header[0] != _CLIENT]
        if clients:
            self.scope["client"] = (clients[0].decode("latin-1"), 0)
        super().on_headers_complete()


class SiblingApp:
    """What a process serves to its siblings: what every client gets, and whether it holds a recording."""

    def __init__(self, app: ASGIApp, retries: Retries) -> None:
        self._app = app
        self._retries = retries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_HELD):
            await self._app(scope, receive, send)
            return
        status = 204 if self._retries.holds(scope["path"].removeprefix(_HELD)) else 404
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class _PassedOn:
    """ASGI response that relays a sibling's bytes. When the client leaves, the sibling's connection is closed, which
    is the same to the sibling as its own client leaving."""

    def __init__(
        self,
        siblings: Siblings,
        index: int,
        request: Request,
        body: bytes,
        otherwise: Callable[[], Awaitable[ASGIApp]],
        stall: float,
    ) -> None:
        self._siblings = siblings
        self._index = index
        self._request = request
        self._body = body
        self._otherwise = otherwise
        self._stall = stall
        self._unreachable = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writer = ResponseWriter(scope, receive, send, on_gone=lambda: False, stall=self._stall)
        await writer.serve(partial(self._relay, writer))
        if self._unreachable:
            scope.setdefault("extensions", {})[FROM_SIBLING] = {}  # it has no other place to go to
            await (await self._otherwise())(scope, receive, send)

    async def _relay(self, writer: ResponseWriter) -> None:
        import aiohttp
        from yarl import URL

        scope = self._request.scope
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        url = URL((b"http://sibling" + scope["raw_path"] + query).decode("latin-1"), encoded=True)
        stream = False
        try:
            async with (
                self._siblings.connect(self._index) as http,
                http.request(
                    scope["method"], url, headers=self._headers(), data=self._body or None, allow_redirects=False
                ) as answer,
            ):
                stream = answer.content_type == "text/event-stream"
                skipped = _HOP_BY_HOP | _OWN
                headers = [(name, value) for name, value in answer.raw_headers if name.lower() not in skipped]
                await writer.start(answer.status, headers)
                async for data in answer.content.iter_any():
                    await writer.write(data)
            await writer.write(b"", last=True)
        except (aiohttp.ClientConnectorError, UnicodeDecodeError):  # aiohttp cannot send a header that is no UTF-8
            self._unreachable = True
        except (aiohttp.ClientError, OSError):
            await self._break(writer, stream=stream)

    async def _break(self, writer: ResponseWriter, *, stream: bool) -> None:
        """The sibling has died with the run."""
        error = Unavailable("The process that answered has ended; send the request again.")
        if not writer.started:
            response = error_response(error)
            await writer.start(response.status_code, response.raw_headers)
            await writer.write(bytes(response.body), last=True)
        elif stream:
            await writer.write(data_frame(error_object(error)) + DONE, last=True)
        else:
            writer.drop()

    def _headers(self) -> list[tuple[str, str]]:
        skipped = _HOP_BY_HOP | {b"content-length", b"expect", _CLIENT}
        kept = [(name, value) for name, value in self._request.scope["headers"] if name not in skipped]
        if self._request.client is not None:
            kept.append((_CLIENT, self._request.client.host.encode("latin-1", "replace")))
        return [(name.decode("latin-1"), value.decode()) for name, value in kept]
