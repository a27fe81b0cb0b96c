"""The process's MCP connections."""

from __future__ import annotations

import contextvars
import hashlib
import importlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from aura_py.config.models import McpServer, StdioServer
from aura_py.errors import ServerUnavailable
from aura_py.events import ServerStatus
from aura_py.mcp import reasons
from aura_py.mcp.attachment import Lease, McpAttachment
from aura_py.mcp.discovery import PreparedTools, describe
from aura_py.mcp.headers import resolve_headers
from aura_py.mcp.names import resolve_collisions
from aura_py.mcp.tool import McpTool
from aura_py.messages import JsonObject

if TYPE_CHECKING:
    from aura_py.mcp.connection import Connection

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 5.0
_CONNECTING = 16
_CONNECTING_SECONDS = 30.0
"""How many connections are opened at once, and for how long one of them keeps the next one waiting."""

_FIRST_BACKOFF = 1.0
_FIRST_BACKOFF_AFTER_TIMEOUT = 10.0
_LONGEST_BACKOFF = 60.0
_REMEMBERED = 1024


@dataclass(slots=True)
class _Failure:
    reason: str
    until: float
    backoff: float


@dataclass(slots=True, frozen=True)
class ServerInfo:
    """A server for introspection. ``tools`` are MCP tool objects as Aura uses them, ``None`` if it is not connected."""

    status: ServerStatus
    tools: tuple[JsonObject, ...] | None


class McpPool:
    """Connections that outlive requests, each for one server and one set of resolved headers.

    An async context manager; one per process. Two requests share a connection only if every header is the same, so
    one user's credentials never serve another. Unused connections are closed after ``idle_ttl`` seconds, the least
    recently used ones first when there are more than ``max_connections``.
    """

    def __init__(self, *, idle_ttl: float = 300.0, list_ttl: float = 60.0, max_connections: int = 256) -> None:
        self._idle_ttl = idle_ttl
        self._list_ttl = list_ttl
        self._max = max_connections
        self._connections: OrderedDict[str, Connection] = OrderedDict()
        self._owned: set[Connection] = set()
        self._connecting = anyio.Semaphore(_CONNECTING)
        self._ended_one = anyio.Event()
        self._failures: OrderedDict[str, _Failure] = OrderedDict()
        self._tasks: TaskGroup | None = None
        self._connection_class: type[Connection] | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + _SHUTDOWN_SECONDS):
            while self._owned:
                for connection in self._owned:
                    connection.abort()
                self._ended_one = anyio.Event()
                await self._ended_one.wait()
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)
        return None

    async def attach(
        self,
        servers: Mapping[str, McpServer],
        *,
        headers: Mapping[str, str],
        sanitize: bool = True,
        reserved: Collection[str] = (),
    ) -> McpAttachment:
        """Connect to all enabled servers, or reuse the connections that exist.

        Args:
            servers: In file order.
            headers: The request's headers, names in lower case.
            sanitize: ``[mcp].sanitize_schemas``.
            reserved: Names of built-in tools, which MCP tools never take.

        Raises:
            ServerUnavailable: A server with ``required = true`` cannot be reached.
        """
        leases = tuple(self._lease(name, server, headers) for name, server in servers.items() if server.enabled)
        try:
            await self._connect_all(leases)
            prepared = [_prepared_tools(lease, sanitize=sanitize) for lease in leases]
            for lease in leases:
                if lease.failure is not None and lease.server.required:
                    raise ServerUnavailable(
                        f"MCP server `{lease.name}` is required and not available: {lease.failure}; "
                        "start it or set `required = false`"
                    )
        except BaseException:
            for lease in leases:
                lease.release()
            raise
        return McpAttachment(leases, _statuses(leases, prepared), tuple(_bind(leases, prepared, reserved)))

    async def probe(
        self,
        servers: Mapping[str, McpServer],
        *,
        headers: Mapping[str, str],
        sanitize: bool = True,
        seconds: float = 30.0,
    ) -> tuple[ServerInfo, ...]:
        """Return what every enabled server offers now, in file order, for ``/aura/info``.

        Tools are read anew from servers that are already connected. A server that has not answered within
        ``seconds`` has no tools.
        """
        found: dict[str, ServerInfo] = {}

        async def look(name: str, server: McpServer) -> None:
            lease = self._lease(name, server, headers)
            try:
                known = lease.connection
                if known is not None:
                    await known.refresh()
                if known is None or not known.usable:
                    await self.connect(lease)
                prepared = _prepared_tools(lease, sanitize=sanitize)
                status = _statuses([lease], [prepared])[0]
                tools = tuple(describe(each) for each in prepared.tools) if lease.connection else None
                found[name] = ServerInfo(status, tools)
            finally:
                lease.release()

        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for name, server in servers.items():
                    if server.enabled:
                        tasks.start_soon(look, name, server)
        late = reasons.timed_out(seconds)
        return tuple(
            found.get(name) or ServerInfo(ServerStatus(name, server.transport, "failed", 0, late), None)
            for name, server in servers.items()
            if server.enabled
        )

    async def reachable(self, name: str, server: McpServer) -> bool:
        """Whether a server without headers of a caller is there, as far as anybody has asked for it.

        Connects to one that is required or was not there the last time, with the usual back-off.
        """
        lease = self._lease(name, server, {})
        try:
            if lease.connection is None and (server.required or lease.key in self._failures):
                await self.connect(lease)
                return lease.connection is not None
            return True
        finally:
            lease.release()

    # --- leases ------------------------------------------------------------------------------------------------

    def _lease(self, name: str, server: McpServer, inbound: Mapping[str, str]) -> Lease:
        resolved = {} if isinstance(server, StdioServer) else resolve_headers(name, server, inbound)
        lease = Lease(self, name, server, connection_key(server, resolved), resolved)
        connection = self._connections.get(lease.key)
        if connection is not None and connection.usable:
            connection.refresh_if_old()
            self._connections.move_to_end(lease.key)
            lease.attach(connection)
        return lease

    async def _connect_all(self, leases: Sequence[Lease]) -> None:
        missing = [lease for lease in leases if lease.connection is None]
        if len(missing) == 1:
            await self.connect(missing[0])
        elif missing:
            async with anyio.create_task_group() as tasks:
                for lease in missing:
                    tasks.start_soon(self.connect, lease)

    async def connect(self, lease: Lease) -> None:
        """Give ``lease`` a usable connection, or the reason why there is none."""
        lease.detach()
        failure = self._failures.get(lease.key)
        if failure is not None and anyio.current_time() < failure.until:
            lease.failure = failure.reason
            return
        connection = self._connections.get(lease.key)
        if connection is None or not (connection.usable or not connection.settled.is_set()):
            connection = await self._open(lease)
        await connection.settled.wait()
        if connection.usable:
            lease.attach(connection)
        else:
            lease.failure = connection.failure or reasons.timed_out(lease.server.connect_timeout_secs)

    async def _open(self, lease: Lease) -> Connection:
        if self._connection_class is None:
            for needed in ("jsonschema", "aura_py.mcp.calls", "aura_py.mcp.connection"):
                module = await anyio.to_thread.run_sync(importlib.import_module, needed)
            self._connection_class = module.Connection
            present = self._connections.get(lease.key)
            if present is not None:
                return present
        if self._tasks is None:
            raise RuntimeError("the MCP pool is not open")
        self.trim(room_for=1)
        connection = self._connection_class(
            lease.key,
            lease.name,
            lease.server,
            lease.headers,
            idle_ttl=self._idle_ttl,
            list_ttl=self._list_ttl,
        )
        self._connections[lease.key] = connection
        self._owned.add(connection)
        contextvars.Context().run(self._tasks.start_soon, self._own, connection)
        return connection

    async def _own(self, connection: Connection) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                async with self._connecting:
                    tasks.start_soon(connection.run)
                    with anyio.move_on_after(_CONNECTING_SECONDS):
                        await connection.settled.wait()
                await connection.settled.wait()
                self._remember(connection)
        finally:
            connection.settled.set()
            if self._connections.get(connection.key) is connection:
                del self._connections[connection.key]
            self._owned.discard(connection)
            self._ended_one.set()

    def trim(self, room_for: int = 0) -> None:
        """Close unused connections, the least recently used first, while there are more than allowed."""
        excess = len(self._connections) + room_for - self._max
        if excess <= 0:
            return
        unused = [found for found in self._connections.values() if found.users == 0 and found.settled.is_set()]
        for connection in unused[:excess]:
            connection.close()
            del self._connections[connection.key]

    def _remember(self, connection: Connection) -> None:
        """Keep the reason of a failure, and for how long nobody has to try again."""
        before = self._failures.pop(connection.key, None)
        if connection.failure is None:
            return
        first = _FIRST_BACKOFF_AFTER_TIMEOUT if connection.timed_out else _FIRST_BACKOFF
        backoff = min(_LONGEST_BACKOFF, max(first, before.backoff * 2 if before else 0.0))
        self._failures[connection.key] = _Failure(connection.failure, anyio.current_time() + backoff, backoff)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)


def connection_key(server: McpServer, headers: Mapping[str, str]) -> str:
    """Equal for two servers exactly when they may share a connection. A hash, because headers are credentials."""
    if isinstance(server, StdioServer):
        env = sorted((name, value.get_secret_value()) for name, value in server.env.items())
        identity = repr((server.transport, server.cmd, server.args, env, server.inherit_env))
    else:
        identity = repr((server.transport, server.url.get_secret_value(), sorted(headers.items())))
    return hashlib.sha256(f"{identity}{server.max_parallel_tool_calls == 1}".encode("utf-8", "replace")).hexdigest()


def _prepared_tools(lease: Lease, *, sanitize: bool) -> PreparedTools:
    if lease.connection is None or lease.connection.tool_list is None:
        return PreparedTools()
    return lease.connection.tool_list.prepare(sanitize=sanitize)


def _statuses(leases: Sequence[Lease], prepared: Sequence[PreparedTools]) -> tuple[ServerStatus, ...]:
    found = [
        ServerStatus(lease.name, lease.server.transport, "connected", len(tools.tools))
        if lease.connection is not None
        else ServerStatus(lease.name, lease.server.transport, "failed", 0, lease.failure)
        for lease, tools in zip(leases, prepared, strict=True)
    ]
    return tuple(sorted(found, key=lambda status: status.server_name))


def _bind(leases: Sequence[Lease], prepared: Sequence[PreparedTools], reserved: Collection[str]) -> list[McpTool]:
    if not any(of_server.tools for of_server in prepared):
        return []
    from aura_py.mcp.calls import call_tool

    names = resolve_collisions(
        tuple((lease.name, tools.names) for lease, tools in zip(leases, prepared, strict=True)),
        frozenset(reserved),
    )
    tools: list[McpTool] = []
    for lease, of_server, public in zip(leases, prepared, names, strict=True):
        send = partial(call_tool, lease)
        tools.extend(
            McpTool(name, each.parameters, lease.name, each.tool, send, each.renamed)
            for name, each in zip(public, of_server.tools, strict=True)
            if name is not None
        )
    return tools
