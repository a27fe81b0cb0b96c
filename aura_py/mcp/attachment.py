"""One run's use of its servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import anyio

from aura_py.config.models import McpServer
from aura_py.events import ServerStatus
from aura_py.tools.contract import Tool

if TYPE_CHECKING:
    from aura_py.mcp.calls import PendingCall
    from aura_py.mcp.connection import Connection

CLEANUP_SECONDS = 5.0


class Connector(Protocol):
    """Where a lease gets its connection from."""

    async def connect(self, lease: Lease) -> None: ...

    def trim(self) -> None: ...


class Lease:
    """One server within one run: its present connection, or the reason why there is none."""

    def __init__(self, pool: Connector, name: str, server: McpServer, key: str, headers: Mapping[str, str]) -> None:
        self.pool = pool
        self.name = name
        self.server = server
        self.key = key
        self.headers = headers
        self.connection: Connection | None = None
        self.failure: str | None = None
        self.limit = anyio.Semaphore(max(1, server.max_parallel_tool_calls))
        self._reconnecting = anyio.Lock()
        self._closed = False

    def take(self, connection: Connection) -> None:
        """Holds ``connection`` until the lease is dropped, unless it has been closed for good."""
        self.drop()
        if not self._closed:
            connection.acquire()
            self.connection, self.failure = connection, None

    def drop(self) -> None:
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.release()
            self.pool.trim()

    def close(self) -> None:
        self._closed = True
        self.drop()

    async def live(self) -> Connection | None:
        """A usable connection, opened anew if the present one is gone; ``None`` when that fails."""
        if self.connection is not None and self.connection.usable:
            return self.connection
        async with self._reconnecting:
            if self.connection is None or not self.connection.usable:
                await self.pool.connect(self)
        return self.connection


class McpAttachment:
    """The servers of one run.

    ``statuses`` are sorted by server name; ``tools`` stand in file order, then server order, under public names.
    ``unavailable_note`` tells the model which servers are missing. A server whose call is cancelled from outside is
    told ``RunContext.stop_reason``.
    """

    def __init__(self, leases: tuple[Lease, ...], statuses: tuple[ServerStatus, ...]) -> None:
        self.statuses = statuses
        self.tools: tuple[Tool, ...] = ()
        self.cancelled = False
        self._leases = leases
        self._in_flight: set[PendingCall] = set()

    @property
    def unavailable_note(self) -> str | None:
        missing = [f"`{status.server_name}`" for status in self.statuses if status.status == "failed"]
        if not missing:
            return None
        which = "tool server is" if len(missing) == 1 else "tool servers are"
        return (
            f"The following {which} unavailable at the moment: {', '.join(missing)}. None of their tools can be used "
            "now. If the task needs them, say that they are unavailable instead of guessing."
        )

    @property
    def calls_in_flight(self) -> int:
        return len(self._in_flight)

    @contextlib.contextmanager
    def track(self, call: PendingCall) -> Iterator[None]:
        self._in_flight.add(call)
        try:
            yield
        finally:
            self._in_flight.discard(call)

    async def cancel(self, reason: str) -> int:
        """Cancels every call in flight and refuses new ones.

        Each server is told with ``notifications/cancelled``, at most 2 s each and 5 s in all. Returns how many
        notifications were sent.
        """
        self.cancelled = True
        calls = list(self._in_flight)
        sent = 0

        async def cancel_on_server(call: PendingCall) -> None:
            nonlocal sent
            if await call.cancel_on_server(reason):
                sent += 1

        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + CLEANUP_SECONDS):
            async with anyio.create_task_group() as tasks:
                for call in calls:
                    tasks.start_soon(cancel_on_server, call)
        for call in calls:
            call.end()
        return sent

    async def release(self) -> None:
        """Gives the connections back to the pool. Calls still in flight are cancelled first, later ones refused."""
        self.cancelled = True
        try:
            if self._in_flight:
                await self.cancel("client disconnected")
        finally:
            for lease in self._leases:
                lease.close()
