"""A response's way to its client: writes, heartbeats, disconnects, stalled readers.

A response needs no task beside its writer: the connection says when the client has left, and what is due next, a
heartbeat or the judgement that the reader has stalled, is a :class:`~aura_py.deadlines.Deadline`, which costs a write
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
from starlette.types import Receive, Scope, Send

from aura_py.deadlines import Deadline
from aura_py.run.recording import ResponseRecording

BODY_SEND: Final = "aura.body_send"
"""Scope key: the server's ``send``, without the layers that only look at the start of a response."""
CONNECTION: Final = "aura.connection"
"""ASGI extension: the :class:`Connection` of the response."""


class Connection(Protocol):
    """What Aura's own HTTP server offers beyond ``send``. Under another server a stream has no heartbeats."""

    def watch(self, on_lost: Callable[[], None] | None) -> None:
        """Have ``on_lost`` called when the connection is lost, at once if it is; ``None`` ends that."""

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes included."""

    def can_write(self) -> bool:
        """Whether :meth:`write_now` may be called: the response has begun and its reader keeps up."""
        ...

    def write_now(self, data: bytes) -> None:
        """Write a piece of the body without waiting."""


@dataclass(slots=True, frozen=True)
class Heartbeat:
    """``frame`` is sent after ``seconds`` without a write; ``steady``: every ``seconds``, whatever else is sent."""

    frame: bytes
    seconds: float
    steady: bool = False


class ResponseWriter:
    """Writes one response.

    ``on_gone`` is called once, when the client has left or was dropped; it says whether the writer goes on, for those
    who follow the ``recording``. What is written after that goes nowhere else.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        on_gone: Callable[[], bool],
        recording: ResponseRecording | None = None,
        heartbeat: Heartbeat | None = None,
        stall: float = 60.0,
    ) -> None:
        self._connection: Connection | None = (scope.get("extensions") or {}).get(CONNECTION)
        self._receive = receive
        self._send = send
        self._send_body: Send = scope.get(BODY_SEND, send)
        self._on_gone = on_gone
        self._recording = recording
        self._heartbeat = heartbeat
        self._stall = stall
        self._time = asyncio.get_running_loop().time
        self._writing: float | None = None
        self._beat_waits: float | None = None
        """Since when a heartbeat is due that the reader has no room for."""
        self._last_write = self._last_beat = self._time()
        self._scope = anyio.CancelScope()
        self.started = False
        self.finished = False
        self.gone = False

    async def serve(self, write: Callable[[], Awaitable[None]]) -> None:
        """Runs ``write`` while the client is watched; returns when it is done or the client gone for good."""
        if self._connection is None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._wait_for_disconnect)
                await self._serve(write)
                tasks.cancel_scope.cancel()
            return
        self._connection.watch(self._leave)
        try:
            await self._serve(write)
        finally:
            self._connection.watch(None)

    async def _serve(self, write: Callable[[], Awaitable[None]]) -> None:
        self._deadline = Deadline(self._see_to_it)
        self._deadline.move(self._next_due(self._time()))
        try:
            with self._scope:
                await write()
        finally:
            self._deadline.close()

    async def _wait_for_disconnect(self) -> None:
        while not self.gone:
            if (await self._receive())["type"] == "http.disconnect":
                self._leave()

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self._recording is not None:
            self._recording.start((status, headers))
        if self.gone:
            return
        self.started = True
        self._last_beat = self._time()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """One write to the socket; waits while the client reads slowly."""
        if self._recording is not None:
            self._recording.append(data, last=last)
        if not self.gone:
            await self._write(data, last=last)

    def can_write_now(self) -> bool:
        """Whether :meth:`write_now` may be called: a write would wait neither for the reader nor for one before it."""
        return self._writing is None and self._connection is not None and self._connection.can_write()

    def write_now(self, data: bytes) -> None:
        """:meth:`write` without waiting."""
        assert self._connection is not None
        if self._recording is not None:
            self._recording.append(data)
        self._connection.write_now(data)
        self._last_write = self._time()

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        self._writing = self._time()
        try:
            await self._send_body({"type": "http.response.body", "body": data, "more_body": not last})
        finally:
            self._writing = None
        self._last_write = self._time()
        self.finished = self.finished or last

    def drop(self) -> None:
        """Breaks the connection, of a reader that has stopped reading for instance."""
        if self._connection is not None:
            self._connection.abort()
        self._leave()
        if self._connection is None:  # what waits to be written would wait for ever
            self._stop()

    # --- what is due -----------------------------------------------------------------------------------------------

    def _see_to_it(self) -> None:
        """A heartbeat or the end of a stalled reader, if it is still due: writes in the meantime have put it off."""
        now, heartbeat, connection = self._time(), self._heartbeat, self._connection
        if self._writing is not None and now - self._writing >= self._stall:
            self.drop()
        elif heartbeat is not None and connection is not None and self._beats(heartbeat, now):
            if connection.can_write():
                connection.write_now(heartbeat.frame)
                self._last_write = self._last_beat = now
                self._beat_waits = None
            elif self._beat_waits is None:
                self._beat_waits = now
            elif now - self._beat_waits >= self._stall:
                self.drop()
        if not self.gone:
            self._deadline.move(self._next_due(now))

    def _next_due(self, now: float) -> float:
        if self._writing is not None:
            return self._writing + self._stall
        if self._heartbeat is None:
            return now + self._stall
        if not self.started:
            return now + self._heartbeat.seconds
        beat = self._next_beat(self._heartbeat)
        return beat if beat > now else now + min(self._heartbeat.seconds, self._stall)

    def _next_beat(self, heartbeat: Heartbeat) -> float:
        return (self._last_beat if heartbeat.steady else self._last_write) + heartbeat.seconds

    def _beats(self, heartbeat: Heartbeat, now: float) -> bool:
        if not self.started or self.finished or self.gone or self._writing is not None:
            return False
        return now >= self._next_beat(heartbeat)

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            if not self._on_gone():
                self._stop()

    def _stop(self) -> None:
        self._scope.cancel()
