"""A run as a streamed response (``clients.md`` §5, §7, §8; ``http-api.md`` §14–§15).

The answer to "which status?" is put off for up to a second: a run that fails before it has told anything is answered
with a real status (ER-9). After that second the headers and the first frames go out (ST-4).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio
from starlette.types import Receive, Scope, Send

from aura_py.errors import AuraError
from aura_py.events import Event, McpStatus, Notice, RunFailed, RunFinished, SessionInfo
from aura_py.run.engine import Run
from aura_py.server.envelope import error_object, error_response
from aura_py.server.leaving import client_left, serve_run
from aura_py.server.outlet import Heartbeat, Outlet
from aura_py.server.sse.frames import DONE, data_frame
from aura_py.server.tape import Tape

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.9
"""Seconds until the headers go out although nothing was told yet."""
_QUIET: Final = (SessionInfo, McpStatus, Notice)
_STEADY_FACTOR: Final = 1.5


class StreamEncoder(Protocol):
    """What :class:`RunStream` needs of an encoder."""

    @property
    def content_type(self) -> str: ...
    @property
    def cache_control(self) -> str: ...
    @property
    def heartbeat(self) -> bytes: ...
    @property
    def steady_heartbeat(self) -> bool: ...
    def opening(self) -> bytes: ...
    def encode(self, batch: list[Event]) -> bytes: ...


@dataclass(slots=True, frozen=True)
class Pace:
    """Seconds: silence before a heartbeat, and how long a reader may not read before it is dropped."""

    heartbeat: float = 10.0
    stall: float = 60.0


@dataclass(slots=True)
class RunStream:
    """ASGI response of one run. With a ``tape`` later requests may follow or replay it.

    ``stays``: the run outlives its client (CX-2), unless it still waits for its turn.
    """

    run: Run
    encoder: StreamEncoder
    headers: Mapping[str, str]
    pace: Pace = Pace()
    debug_errors: bool = False
    tape: Tape | None = None
    stays: bool = False
    _held: list[Event] = field(default_factory=list)
    _opened: bool = False
    _beaten: bool = False
    _lock: anyio.Lock | None = field(default_factory=anyio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encoder = self.encoder
        steady = encoder.steady_heartbeat
        seconds = self.pace.heartbeat * (_STEADY_FACTOR if steady else 1)

        def left() -> bool:
            return client_left(self.run, self.tape, stays=self.stays, begun=outlet.started)

        outlet = Outlet(
            scope,
            receive,
            send,
            on_gone=left,
            heartbeat=Heartbeat(encoder.heartbeat, seconds, steady),
            stall=self.pace.stall,
        )

        async def open_late() -> None:
            await self._open(outlet, last=False)

        async def pump() -> None:
            try:
                await self._pump(outlet)
            except Exception:
                logger.exception("the stream of run `%s` failed", self.run.context.request_id)
                await self._give_up(outlet)

        outlet.open_late(PATIENCE, open_late)
        await serve_run(outlet, pump, self.run, self.tape)

    async def _pump(self, outlet: Outlet) -> None:
        encode, tape = self.encoder.encode, self.tape
        async for batch in self.run.events():
            last = isinstance(batch[-1], RunFinished | RunFailed)
            if not self._opened:
                self._held += batch
                if isinstance(batch[-1], RunFailed) and await self._refuse(outlet, batch[-1]):
                    return
                if last or not all(isinstance(event, _QUIET) for event in batch):
                    await self._open(outlet, last=last)
                continue
            data = encode(batch)
            if tape is not None:
                tape.append(data, last=last)
            if (data or last) and not outlet.gone:
                await outlet.write(data, last=last)

    async def _open(self, outlet: Outlet, *, last: bool) -> None:
        """Headers and whatever was held back. Either task may come here; the lock keeps the order.

        A steady heartbeat beats first right after the opening events (``sse-events.md`` §1).
        """
        async with self._lock or nullcontext():
            if outlet.finished:  # the run has been refused while this waited for the lock
                return
            data = b""
            if not outlet.started:
                data = self.encoder.opening()
                headers = self._headers()
                if self.tape is not None:
                    self.tape.start(200, headers)
                if not outlet.gone:
                    await outlet.start(200, headers)
            while self._held or data or last:
                data += self._encode_held()
                if self.tape is not None:
                    self.tape.append(data, last=last)
                if (data or last) and not outlet.gone:
                    await outlet.write(data, last=last)
                data = b""
                if last:
                    break
            self._opened = True
            self._lock = None

    def _encode_held(self) -> bytes:
        held, self._held = self._held, []
        if self._beaten or not self.encoder.steady_heartbeat:
            return self.encoder.encode(held)
        self._beaten = True
        first = next((i for i, event in enumerate(held) if not isinstance(event, _QUIET)), len(held))
        return self.encoder.encode(held[:first]) + self.encoder.heartbeat + self.encoder.encode(held[first:])

    async def _refuse(self, outlet: Outlet, event: RunFailed) -> bool:
        """A run that failed before it told anything is answered with the error's own status."""
        async with self._lock or nullcontext():
            if outlet.started or outlet.late or not all(isinstance(e, _QUIET) or e is event for e in self._held):
                return False
            await respond_with_error(outlet, event.error, self.headers, debug=self.debug_errors)
            return True

    async def _give_up(self, outlet: Outlet) -> None:
        """An exception in the stream's own machinery ends like any failure, never as a torn connection."""
        error = AuraError("Aura failed while writing the stream; the log has the details.")
        self.run.cancel(error)
        if not outlet.started:
            await respond_with_error(outlet, error, self.headers, debug=False)
        elif not outlet.gone:
            await outlet.write(data_frame(error_object(error)) + DONE, last=True)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        encoder = self.encoder
        own = {
            "content-type": encoder.content_type,
            "cache-control": encoder.cache_control,
            "x-accel-buffering": "no",
            **self.headers,
        }
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in own.items()]


async def respond_with_error(
    outlet: Outlet,
    error: AuraError,
    headers: Mapping[str, str],
    *,
    debug: bool,
    tools_ran: bool = False,
    tape: Tape | None = None,
) -> None:
    """The envelope through an outlet; nothing for a client that is gone. ``tape`` keeps it for repeated requests."""
    response = error_response(error, debug=debug, tools_ran=tools_ran)
    response.headers.update(headers)
    if tape is not None:
        tape.start(response.status_code, response.raw_headers)
        tape.append(bytes(response.body), last=True)
    if not outlet.gone:
        await outlet.start(response.status_code, response.raw_headers)
        await outlet.write(bytes(response.body), last=True)
