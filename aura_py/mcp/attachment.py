"""One run's use of its servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio

from aura_py.config.models import McpServer
from aura_py.events import ServerStatus
from aura_py.tools.contract import Tool

if TYPE_CHECKING:
    from aura_py.mcp.connection import Connection
    from aura_py.mcp.pool import McpPool


class Lease:
    """One server within one run: its present connection, or the reason why there is none."""

    def __init__(self, pool: McpPool, name: str, server: McpServer, key: str, headers: Mapping[str, str]) -> None:
        self.name = name
        self.server = server
        self.key = key
        self.headers = headers
        self.connection: Connection | None = None
        self.failure: str | None = None
        self.limit = anyio.Semaphore(max(1, server.max_parallel_tool_calls))
        self.released = False
        self._pool = pool
        self._reconnecting = anyio.Lock()

    def attach(self, connection: Connection) -> None:
        """Use ``connection`` until it is detached, unless the lease has been released."""
        self.detach()
        if not self.released:
            connection.acquire()
            self.connection, self.failure = connection, None

    def detach(self) -> None:
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.release()
            self._pool.trim()

    def release(self) -> None:
        self.released = True
        self.detach()

    async def usable_connection(self) -> Connection | None:
        """Return the connection, opened anew if the present one is gone; ``None`` when that fails."""
        if self.connection is not None and self.connection.usable:
            return self.connection
        async with self._reconnecting:
            if not self.released and (self.connection is None or not self.connection.usable):
                await self._pool.connect(self)
        return self.connection


class McpAttachment:
    """The servers of one run.

    ``statuses`` are sorted by server name; ``tools`` stand in file order, then server order, under public names.
    """

    def __init__(self, leases: tuple[Lease, ...], statuses: tuple[ServerStatus, ...], tools: tuple[Tool, ...]) -> None:
        self.statuses = statuses
        self.tools = tools
        self._leases = leases

    @property
    def unavailable_note(self) -> str | None:
        """A sentence for the model that names the servers which are missing."""
        missing = [f"`{status.server_name}`" for status in self.statuses if status.status == "failed"]
        if not missing:
            return None
        which = "tool server is" if len(missing) == 1 else "tool servers are"
        return (
            f"The following {which} unavailable at the moment: {', '.join(missing)}. None of their tools can be used "
            "now. If the task needs them, say that they are unavailable instead of guessing."
        )

    async def release(self) -> None:
        """Give the connections back to the pool. Calls are over by then, or cancelled with the run; later ones are
        refused."""
        for lease in self._leases:
            lease.release()
