"""The SDK's JSON-RPC dispatcher, extended by hooks for single requests."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeAlias

import anyio
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.dispatcher import CallOptions, OnNotify, OnNotifyIntercept, OnRequest
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, JSONRPCRequest, RequestId

log = logging.getLogger(__name__)

MessageStreams: TypeAlias = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]
"""What a transport offers: messages of the server, and where messages to it go."""

Progress = Callable[[float, float | None, str | None], None]


class RequestHooks:
    """Callbacks of one request: ``sent`` when it has been written, and ``progress``."""

    __slots__ = ("progress", "sent", "was_sent")

    def __init__(self, sent: Callable[[], None], progress: Progress) -> None:
        self.sent = sent
        self.progress = progress
        self.was_sent = False


class _WriteStream:
    """A write stream that tells the hooks of a request when the transport has taken it."""

    def __init__(self, inner: WriteStream[SessionMessage], hooks: Mapping[int, RequestHooks]) -> None:
        self._inner = inner
        self._hooks = hooks

    async def send(self, item: SessionMessage, /) -> None:
        hooks = None
        if isinstance(item.message, JSONRPCRequest):
            request_id = item.message.id
            hooks = self._hooks.get(request_id) if isinstance(request_id, int) else None
        if hooks is None:
            await self._inner.send(item)
            return
        hooks.was_sent = True
        await self._inner.send(item)
        hooks.sent()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)


def is_connection_closed(error: MCPError) -> bool:
    """Whether the SDK made this error up because the connection ended; servers use its code for errors of their own."""
    return error.code == CONNECTION_CLOSED and error.message == "Connection closed"


class CallDispatcher(JSONRPCDispatcher):
    """A JSON-RPC dispatcher that assigns request ids itself and hands progress to the call at once and in order.

    The progress token of a call is its request id. Abandoned calls are cancelled by whoever started them, who knows
    the reason; the dispatcher's own courtesy notification is off for them. ``on_listing`` may mend a page of
    ``tools/list``, ``on_result`` the result of a call, before it is parsed.
    """

    def __init__(
        self,
        name: str,
        read_stream: ReadStream[SessionMessage | Exception],
        write_stream: WriteStream[SessionMessage],
        on_close: Callable[[], None],
    ) -> None:
        self.hooks: dict[int, RequestHooks] = {}
        super().__init__(read_stream, _WriteStream(write_stream, self.hooks))
        self._on_close = on_close
        self.repair_page: Callable[[dict[str, Any]], None] = lambda _result: None
        self.repair_result: Callable[[dict[str, Any]], None] = lambda _result: None
        self._name = name
        self._ids = count(1)
        self._stray = 0

    def new_id(self) -> int:
        return next(self._ids)

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
        *,
        _related_request_id: RequestId | None = None,
    ) -> dict[str, Any]:
        chosen: CallOptions = {**opts} if opts else {}
        if method == "tools/call" and params is not None:
            chosen["request_id"] = params["_meta"]["progressToken"]
            chosen["cancel_on_abandon"] = False
        elif "request_id" not in chosen:
            chosen["request_id"] = self.new_id()
        if method in ("server/discover", "initialize"):
            # Connecting has its own deadline, and a greeting cannot be taken back.
            chosen["timeout"] = math.inf
            chosen["cancel_on_abandon"] = False
        result = await super().send_raw_request(method, params, chosen, _related_request_id=_related_request_id)
        if method == "tools/list":
            self.repair_page(result)
        elif method == "tools/call":
            self.repair_result(result)
        return result

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        def intercept(method: str, params: Mapping[str, Any] | None) -> bool:
            if method == "notifications/progress":
                self._progress(params or {})
                return True
            return on_notify_intercept(method, params) if on_notify_intercept else False

        try:
            await super().run(on_request, on_notify, intercept, task_status=task_status)
        finally:
            self._on_close()

    def _progress(self, params: Mapping[str, Any]) -> None:
        token, progress = params.get("progressToken"), params.get("progress")
        if isinstance(token, str) and token.isdigit():
            token = int(token)
        hooks = self.hooks.get(token) if isinstance(token, int) else None
        if hooks is None:
            self._stray += 1
            level = logging.WARNING if self._stray == 1 else logging.INFO
            log.log(
                level, "MCP server `%s` sends progress for a call that is over (%d so far)", self._name, self._stray
            )
            return
        if not isinstance(progress, int | float) or isinstance(progress, bool):
            return
        total, message = params.get("total"), params.get("message")
        hooks.progress(
            float(progress),
            float(total) if isinstance(total, int | float) and not isinstance(total, bool) else None,
            message if isinstance(message, str) else None,
        )
