"""One ``tools/call`` from arguments to outcome."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import HEADER_MISMATCH, PARSE_ERROR, CallToolResult
from pydantic import ValidationError

from aura_py.events import ToolProgress
from aura_py.mcp.answers import REJECTED, UNREADABLE, HttpFailure
from aura_py.mcp.arguments import SchemaCheck
from aura_py.mcp.attachment import Lease
from aura_py.mcp.connection import Connection
from aura_py.mcp.discovery import ServerTool
from aura_py.mcp.dispatcher import RequestHooks, is_connection_closed
from aura_py.mcp.results import cancelled, rpc_failure, shape_result, transport_failure
from aura_py.messages import JsonObject
from aura_py.tools.contract import CallContext, ToolOutcome

log = logging.getLogger(__name__)

NOTIFY_SECONDS = 2.0
_SESSION_NOT_FOUND = -32001
_MADE_OF_STATUS = frozenset({REJECTED, "Session terminated", "Not Found"})
"""Messages of errors that the SDK makes of a failing status, when the response holds no JSON-RPC error."""
_CHECKED = 16_384
"""Characters of text up to which a result is checked against its output schema; larger ones would hold the loop."""


class SessionLost(Exception):
    """The session has to be opened anew. ``refused``: the call was certainly not executed."""

    def __init__(self, outcome: ToolOutcome, *, refused: bool = True) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome
        self.refused = refused


class ToolChanged(Exception):
    """The server has changed the tool's schema, and with it the headers a call must carry; nothing was executed."""


class PendingCall:
    """A call on its way: its time limit, which progress extends, and what is needed to tell its server to stop."""

    def __init__(self, connection: Connection, public_name: str, seconds: int, context: CallContext) -> None:
        self.scope = anyio.CancelScope()
        self.connection = connection
        self.request_id = connection.new_id()
        self.hooks = RequestHooks(self._sent, self._progress)
        self.done = False
        self._name = public_name
        self._seconds = seconds
        self._context = context

    async def cancel_on_server(self, reason: str) -> None:
        """Tell the server, if it has the call, that nobody waits for it any more."""
        self.done = True
        if not self.hooks.was_sent:
            return
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + NOTIFY_SECONDS) as scope:
            await self.connection.notify_cancelled(self.request_id, reason)
        if scope.cancelled_caught:
            log.warning("MCP server `%s` did not take a cancellation in time", self.connection.name)
            self.connection.close()

    def _sent(self) -> None:
        self._restart_clock()
        self._context.started(self.request_id)

    def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self.done:
            return
        self._restart_clock()
        context = self._context
        self._context.emit(
            ToolProgress(
                context.call_id,
                self._name,
                progress,
                total,
                message,
                self.request_id,
                task_id=context.task_id,
                worker_id=context.initiator or None,
            )
        )

    def _restart_clock(self) -> None:
        if self._seconds:
            self.scope.deadline = anyio.current_time() + self._seconds


async def call_tool(
    lease: Lease, tool: ServerTool, public_name: str, arguments: JsonObject, context: CallContext
) -> ToolOutcome:
    """Make the call. Every failure becomes an outcome; cancellation passes through, once the server has been told
    ``RunContext.stop_reason``."""
    repeatable = tool.annotations.read_only or tool.annotations.idempotent
    for attempt in (1, 2):
        connection = await lease.usable_connection()
        if lease.released:
            return cancelled()
        if connection is None:
            return transport_failure(f"MCP server `{lease.name}` is not available: {lease.failure}")
        try:
            return await _attempt(lease, connection, tool, public_name, arguments, context)
        except SessionLost as lost:
            connection.close()
            log.info("MCP server `%s` has forgotten the session (%s)", lease.name, lost)
            if attempt == 2 or not (lost.refused or repeatable):
                return lost.outcome
        except ToolChanged as changed:
            if attempt == 2:
                return rpc_failure(str(changed), HEADER_MISMATCH)
            await connection.refresh()
    raise AssertionError("unreachable")


async def _attempt(
    lease: Lease,
    connection: Connection,
    tool: ServerTool,
    public_name: str,
    arguments: JsonObject,
    context: CallContext,
) -> ToolOutcome:
    seconds = lease.server.tool_timeout_secs
    call = PendingCall(connection, public_name, seconds, context)
    try:
        with call.scope:
            async with lease.limit, connection.serial or nullcontext():
                return await _send(lease, connection, call, tool, arguments, context)
        await call.cancel_on_server(f"no answer within {seconds} s")
        return transport_failure(
            f"MCP server `{lease.name}` did not answer within {seconds} s (`tool_timeout_secs`); the call was cancelled"
        )
    except anyio.get_cancelled_exc_class():
        await call.cancel_on_server(context.run.stop_reason())
        raise
    finally:
        call.done = True
        connection.take_http_failure(call.request_id)


async def _send(
    lease: Lease,
    connection: Connection,
    call: PendingCall,
    tool: ServerTool,
    arguments: JsonObject,
    context: CallContext,
) -> ToolOutcome:
    try:
        result = await connection.call(tool.native_name, dict(arguments), call.request_id, call.hooks)
    except MCPError as error:
        return _failed(lease, connection, call, error)
    except ValidationError as error:
        log.warning("MCP server `%s` answered tool `%s` with a malformed result", lease.name, tool.native_name)
        return transport_failure(f"the server's answer is not a valid tool result ({error.error_count()} problems)")
    if not isinstance(result, CallToolResult):
        return transport_failure("the server asks for input in the middle of the call, which Aura does not offer")
    outcome = shape_result(lease.name, tool.native_name, result, unwrap=tool.unwrap, images=context.model_sees_images)
    if tool.output is not None and outcome.ok and len(outcome.text) <= _CHECKED:
        _check_output(lease.name, tool, tool.output, outcome)
    return outcome


def _check_output(server: str, tool: ServerTool, check: SchemaCheck, outcome: ToolOutcome) -> None:
    """A result that breaks the tool's own output schema still counts; the log says so."""
    problem = "no structured content" if outcome.structured is None else check.problem(outcome.structured)
    if problem is not None:
        log.warning("MCP server `%s` breaks the output schema of `%s`: %s", server, tool.native_name, problem)


def _no_session(error: MCPError) -> bool:
    """Whether a JSON-RPC error under a status of success says that the server does not know the session."""
    text = error.message.lower()
    return "server not initialized" in text or (error.code == _SESSION_NOT_FOUND and "session" in text)


def _failed(lease: Lease, connection: Connection, call: PendingCall, error: MCPError) -> ToolOutcome:
    failure = connection.take_http_failure(call.request_id)
    if error.code == HEADER_MISMATCH:
        raise ToolChanged(error.message)
    outcome = _outcome_of(lease, connection, failure, error)
    if is_connection_closed(error):
        connection.over = True
        if not call.hooks.was_sent:
            raise SessionLost(outcome)
    elif failure is not None and failure.status is None:
        connection.close()
    elif failure is not None and failure.status == 503 and not failure.session_lost:
        # What stood behind a gateway may have got the call before it went away, and has lost its sessions then.
        raise SessionLost(outcome, refused=False)
    elif (failure is not None and failure.session_lost) or (lease.server.transport != "stdio" and _no_session(error)):
        raise SessionLost(outcome)
    return outcome


def _outcome_of(lease: Lease, connection: Connection, failure: HttpFailure | None, error: MCPError) -> ToolOutcome:
    if failure is not None and (failure.status is None or error.message in _MADE_OF_STATUS):
        return transport_failure(str(failure))
    if error.code == PARSE_ERROR and error.message.startswith("Failed to parse"):
        return transport_failure("the server's answer is not valid JSON")
    if error.code == UNREADABLE or (failure is not None and 300 <= (failure.status or 0) < 400):
        return transport_failure(error.message)
    if is_connection_closed(error):
        how = f" ({connection.ending})" if connection.ending else ""
        return transport_failure(f"MCP server `{lease.name}` went away during the call{how}")
    return rpc_failure(error.message, error.code)
