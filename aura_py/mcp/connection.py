"""A session with one server, owned by one task."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.client.session import ClientSession
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from aura_py import __version__
from aura_py.config.models import McpServer
from aura_py.mcp import reasons
from aura_py.mcp.answers import HttpFailure
from aura_py.mcp.discovery import ToolList, list_tools, repair_page
from aura_py.mcp.dispatcher import CallDispatcher, RequestHooks, is_connection_closed
from aura_py.mcp.negotiation import Era, negotiate
from aura_py.mcp.results import repair_result
from aura_py.mcp.transports import TransportDiagnostics, open_transport

log = logging.getLogger(__name__)

_ANSWER: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)
_CLOSE_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_NO_SUBSCRIPTIONS = frozenset({METHOD_NOT_FOUND, INVALID_PARAMS, INVALID_REQUEST})
"""Codes of a server that will not report changes to its list, however often it is asked."""


class Connection:
    """A live (or failed) session and the tools found on it.

    ``run`` is the owner: it enters and leaves the SDK's context managers in its own task and ends when the server
    goes away, when ``close`` is called and no call is left, or when nobody has used it for ``idle_ttl`` seconds.
    """

    def __init__(
        self,
        key: str,
        name: str,
        server: McpServer,
        headers: Mapping[str, str],
        *,
        idle_ttl: float,
        list_ttl: float,
    ) -> None:
        self.key = key
        self.name = name
        self.server = server
        self.settled = anyio.Event()
        self.tool_list: ToolList | None = None
        self.failure: str | None = None
        self.timed_out = False
        self.over = False
        self.users = 0
        self.calls = 0
        self.last_used = anyio.current_time()
        self.listed_at = -math.inf
        self.serial = anyio.Semaphore(1) if server.max_parallel_tool_calls == 1 else None
        self._headers = headers
        self._idle_ttl = idle_ttl
        self._list_ttl = list_ttl
        self._diagnostics = TransportDiagnostics()
        self._session: ClientSession | None = None
        self._dispatcher: CallDispatcher | None = None
        self._wake = anyio.Event()
        self._closing = False
        self._aborted = False
        self._stale = False
        self._scope: anyio.CancelScope | None = None

    # --- for everybody -----------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        return self.tool_list is not None and not self.over and not self._closing

    @property
    def ending(self) -> str | None:
        """How the server's process ended, if it did."""
        return self._diagnostics.ending

    def close(self) -> None:
        """Refuse new users, and end as soon as no call is in flight."""
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        """End at once: calls in flight fail, and opening the connection is given up."""
        self._closing = self._aborted = True
        if self._scope is not None and self.tool_list is None:
            self._scope.cancel()
        self._wake.set()

    def acquire(self) -> None:
        self.users += 1
        self.last_used = anyio.current_time()

    def release(self) -> None:
        self.users -= 1
        self.last_used = anyio.current_time()
        if self.users == 0:
            self._wake.set()

    def refresh_if_old(self) -> None:
        """Have the tools read again when the list is older than its time to live."""
        if anyio.current_time() - self.listed_at > self._list_ttl:
            self._list_changed()

    def new_id(self) -> int:
        return self._session_and_dispatcher()[1].new_id()

    async def call(
        self, native_name: str, arguments: dict[str, Any], request_id: int, hooks: RequestHooks
    ) -> CallToolResult | InputRequiredResult:
        """Send ``tools/call`` and wait for the answer. Raises what the SDK raises."""
        session, dispatcher = self._session_and_dispatcher()
        dispatcher.hooks[request_id] = hooks
        self.calls += 1
        try:
            return await session.send_request(
                CallToolRequest(
                    params=CallToolRequestParams(
                        name=native_name, arguments=arguments, _meta={"progress_token": request_id}
                    )
                ),
                _ANSWER,
            )
        finally:
            del dispatcher.hooks[request_id]
            self.calls -= 1
            self.last_used = anyio.current_time()
            if self._closing and self.calls == 0:
                self._wake.set()

    async def notify_cancelled(self, request_id: int, reason: str) -> None:
        if self._dispatcher is not None:
            await self._dispatcher.notify("notifications/cancelled", {"requestId": request_id, "reason": reason})

    def take_http_failure(self, request_id: int) -> HttpFailure | None:
        return self._diagnostics.take(request_id)

    async def refresh(self) -> None:
        """Read the tools now. The connection to a server that cannot list them any more is closed."""
        self._stale = False
        try:
            with anyio.fail_after(self.server.connect_timeout_secs or None):
                self.tool_list = await list_tools(self.name, self._session_and_dispatcher()[0])
            self.listed_at = anyio.current_time()
        except (MCPError, ValidationError, TimeoutError) as error:
            log.warning("MCP server `%s` did not list its tools again: %s", self.name, error or "no answer in time")
            self.close()

    # --- the owner ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        if self._aborted:
            self._end()
            return
        deadline = anyio.current_time() + (self.server.connect_timeout_secs or math.inf)
        try:
            if await self._connect("auto", deadline):
                await self._connect("handshake", deadline)
        except Exception as error:
            self._fail(self._reason(error))
            log.debug("the connection to MCP server `%s` ended", self.name, exc_info=error)
        finally:
            self._end()

    async def _connect(self, era: Era, deadline: float) -> bool:
        """Open the session and keep it until it ends. True if the server has to be started again for the handshake."""
        again = self.over = False
        self._diagnostics = TransportDiagnostics()
        with anyio.CancelScope(deadline=deadline) as scope:
            self._scope = scope
            async with open_transport(self.name, self.server, self._headers, self._diagnostics) as (read, write):
                dispatcher = CallDispatcher(self.name, read, write, self._closed)
                session = ClientSession(
                    dispatcher=dispatcher,
                    client_info=Implementation(name="aura", version=__version__),
                    message_handler=self._on_message,
                )
                dispatcher.repair_page = lambda page: repair_page(self.name, session.protocol_version, page)
                dispatcher.repair_result = lambda result: repair_result(session.protocol_version, result)
                async with session:
                    try:
                        again = await negotiate(session, era, self.server.connect_timeout_secs or 30)
                        if not again:
                            tool_list = await list_tools(self.name, session)
                    except Exception as error:
                        self._fail(self._reason(error))
                        log.debug("MCP server `%s` refused the session", self.name, exc_info=error)
                        return False
                    except anyio.get_cancelled_exc_class():
                        # Closing takes its own time, and nobody has to wait for that.
                        self._time_out()
                        raise
                    if not again:
                        scope.deadline = math.inf
                        self._ready(session, dispatcher, tool_list)
                        await self._stay_open(session)
                        scope.deadline = anyio.current_time() + _CLOSE_SECONDS
        if scope.cancelled_caught:
            self._time_out()
        return again

    async def _stay_open(self, session: ClientSession) -> None:
        async with anyio.create_task_group() as tasks:
            capabilities = session.server_capabilities
            if (
                session.protocol_version in MODERN_PROTOCOL_VERSIONS
                and capabilities is not None
                and capabilities.tools is not None
                and capabilities.tools.list_changed
            ):
                tasks.start_soon(self._listen, session)
            while True:
                # Made before the flags are read, so that no change of them after that is missed.
                self._wake = anyio.Event()
                if self.over or self._aborted or (self._closing and self.calls == 0):
                    break
                if self._stale and not self._closing:
                    await self.refresh()
                    continue
                if self.users or self.calls:
                    await self._wake.wait()
                    continue
                with anyio.CancelScope(deadline=self.last_used + self._idle_ttl) as idle:
                    await self._wake.wait()
                if idle.cancelled_caught and not self.users and not self.calls:
                    break
            if self.over and not self._closing:
                log.warning(
                    "MCP server `%s` went away (%s); it is connected again when it is needed",
                    self.name,
                    self._diagnostics.ending or "the connection ended",
                )
            self.over = True
            tasks.cancel_scope.cancel()

    async def _listen(self, session: ClientSession) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = anyio.current_time()
            try:
                async with listen(session, tools_list_changed=True) as changes:
                    # The list was read before the server promised to report changes.
                    self._list_changed()
                    async for _ in changes:
                        self._list_changed()
            except (MCPError, SubscriptionLost, TimeoutError) as error:
                log.debug("MCP server `%s` sends no list changes: %s", self.name, error)
                if isinstance(error, MCPError) and error.code in _NO_SUBSCRIPTIONS:
                    return
            pause = _FIRST_PAUSE if anyio.current_time() - began > pause else min(_LONGEST_PAUSE, pause * 2)
            await anyio.sleep(pause)

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._list_changed()

    def _closed(self) -> None:
        self.over = True
        self._wake.set()

    def _list_changed(self) -> None:
        self._stale = True
        self._wake.set()

    def _ready(self, session: ClientSession, dispatcher: CallDispatcher, tool_list: ToolList) -> None:
        self._session, self._dispatcher, self.tool_list = session, dispatcher, tool_list
        self.listed_at = anyio.current_time()
        log.info(
            "MCP server `%s` is connected over %s with %d tools (protocol %s)",
            self.name,
            self.server.transport,
            len(tool_list.tools),
            session.protocol_version,
        )
        self.settled.set()

    def _fail(self, reason: str) -> None:
        if self.tool_list is None and self.failure is None:
            self.failure = reason
            log.warning("MCP server `%s`: %s", self.name, reason)
        self._end()

    def _time_out(self) -> None:
        if self.tool_list is None and self.failure is None:
            self.timed_out = not self._aborted
            self._fail(self._reason(None))

    def _end(self) -> None:
        self.over = True
        self.settled.set()

    def _reason(self, error: BaseException | None) -> str:
        failure = self._diagnostics.first_failure
        if failure is not None and failure.status is not None:
            return reasons.http_status(self.name, self.server.transport, failure.status, str(failure))
        if failure is not None:
            return f"{reasons.PREFIX}{failure}"
        if error is None:
            return reasons.timed_out(self.server.connect_timeout_secs)
        if self._diagnostics.ending is not None and isinstance(error, MCPError) and is_connection_closed(error):
            return f"{reasons.PREFIX}{self._diagnostics.ending}"
        return reasons.without_secrets(reasons.describe_error(error), self._headers.values())

    def _session_and_dispatcher(self) -> tuple[ClientSession, CallDispatcher]:
        if self._session is None or self._dispatcher is None or self.over:
            raise MCPError(code=CONNECTION_CLOSED, message="Connection closed")
        return self._session, self._dispatcher
