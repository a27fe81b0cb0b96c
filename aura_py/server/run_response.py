"""The response to a request that a run answers: a stream, one JSON body, or what an earlier request got.

The answer to "which status?" is put off for up to a second: a run that fails before it has told anything is answered
with a real status. After that second the headers and the first frames of a stream go out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aura_py.errors import AuraError, Conflict, RunCancelled
from aura_py.events import (
    Event,
    McpStatus,
    Notice,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    RunFailed,
    RunFinished,
    SessionInfo,
    ToolCompleted,
    ToolStarted,
)
from aura_py.run.engine import Run
from aura_py.run.recording import ResponseRecording
from aura_py.server.envelope import error_object, error_response
from aura_py.server.response_writer import Heartbeat, ResponseWriter
from aura_py.server.sse.frames import DONE, PING, data_frame

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.9
"""Seconds until the headers of a stream go out although nothing was told yet."""
_CLOSING: Final = 10.0
_STEADY_FACTOR: Final = 1.5
_QUIET: Final = (SessionInfo, McpStatus, Notice)
_END: Final = (RunFinished, RunFailed)
_TOOLS_RAN: Final = (ToolStarted, ToolCompleted, OrchestratorToolStarted, OrchestratorToolCompleted)


class StreamEncoder(Protocol):
    """Makes the frames of a stream; ``opening`` comes before everything else."""

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


class Collector(Protocol):
    """Makes one body. ``add`` sees every batch, the last one included."""

    def add(self, batch: list[Event]) -> None: ...
    def body(self, end: RunFinished) -> bytes: ...


@dataclass(slots=True, frozen=True)
class Timing:
    """Seconds: silence before a heartbeat, and how long a reader may not read before it is dropped."""

    heartbeat: float = 10.0
    stall: float = 60.0


def _unchanged(batch: list[Event]) -> list[Event]:
    return batch


@dataclass(slots=True, frozen=True)
class RunAnswer:
    """A run and how it is written; ``rewrite`` changes its batches before they are.

    ``encoder`` is a :class:`StreamEncoder` for a response that is a stream, else a :class:`Collector`.
    """

    run: Run
    encoder: StreamEncoder | Collector
    headers: Mapping[str, str]
    debug_errors: bool = False
    rewrite: Callable[[list[Event]], list[Event]] | None = None


class RunResponse:
    """ASGI response of a run, or without an ``answer`` of its own of the run that ``recording`` is of.

    A client that leaves cancels its run within a second, unless the recording says that it goes on.
    """

    def __init__(
        self, recording: ResponseRecording, answer: RunAnswer | None = None, *, stream: bool, timing: Timing
    ) -> None:
        self._recording = recording
        self._answer = answer
        self._stream = stream
        self._timing = timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        recording, answer, stall = self._recording, self._answer, self._timing.stall
        if answer is None:
            heartbeat = Heartbeat(PING, self._timing.heartbeat) if self._stream else None
            writer = ResponseWriter(scope, receive, send, on_gone=lambda: False, heartbeat=heartbeat, stall=stall)
            with recording.following():
                await writer.serve(partial(self._repeat, writer))
            return
        run = answer.run
        writer = ResponseWriter(
            scope,
            receive,
            send,
            on_gone=lambda: recording.first_reader_left(run, begun=writer.started),
            recording=recording,
            heartbeat=self._heartbeat(answer),
            stall=stall,
        )
        try:
            await writer.serve(partial(self._answer_with, answer, writer))
        finally:
            run.abandon()
            if not run.is_closed:
                run.cancel(RunCancelled("The client's connection was closed."))
            recording.discard()
        if not run.is_closed:
            with anyio.move_on_after(_CLOSING):
                await run.closed()

    def _heartbeat(self, answer: RunAnswer) -> Heartbeat | None:
        if not self._stream:
            return None
        encoder = cast(StreamEncoder, answer.encoder)
        steady = encoder.steady_heartbeat
        return Heartbeat(encoder.heartbeat, self._timing.heartbeat * (_STEADY_FACTOR if steady else 1), steady)

    async def _answer_with(self, answer: RunAnswer, writer: ResponseWriter) -> None:
        try:
            if self._stream:
                await self._write_stream(answer, cast(StreamEncoder, answer.encoder), writer)
            else:
                await self._write_body(answer, cast(Collector, answer.encoder), writer)
        except Exception:
            logger.exception("the response of run `%s` failed", answer.run.context.request_id)
            error = AuraError("Aura failed while writing the answer; the log has the details.")
            answer.run.cancel(error)
            if writer.started:  # ends like any failure, never as a torn connection
                self._forget_unless_acted(answer.run)
                await writer.write(data_frame(error_object(error)) + DONE, last=True)
            else:
                await self._refuse(answer, writer, error)

    async def _write_stream(self, answer: RunAnswer, encoder: StreamEncoder, writer: ResponseWriter) -> None:
        next_events, encode, rewrite = answer.run.next_events, encoder.encode, answer.rewrite or _unchanged
        data = encoder.opening()
        rest: list[Event] = []
        now = asyncio.get_running_loop().time
        patience = now() + PATIENCE
        while not rest and (left := patience - now()) > 0:
            batch = await next_events(left)
            quiet = next((i for i, event in enumerate(batch) if not isinstance(event, _QUIET)), len(batch))
            data += encode(rewrite(batch[:quiet]))
            rest = rewrite(batch[quiet:])
        if len(rest) == 1 and isinstance(rest[0], RunFailed) and now() < patience:
            await self._refuse(answer, writer, rest[0].error)
            return
        if encoder.steady_heartbeat:  # beats first right after the opening events
            data += encoder.heartbeat
        headers = {"content-type": encoder.content_type, "cache-control": encoder.cache_control}
        await writer.start(200, _raw({**headers, "x-accel-buffering": "no", **answer.headers}))
        data += encode(rest)
        last = bool(rest) and isinstance(rest[-1], _END)
        await writer.write(data, last=last)

        def write_now(batch: list[Event]) -> bool:
            if not writer.can_write_now():
                return False
            data = encode(rewrite(batch))
            if data:
                writer.write_now(data)
            return True

        answer.run.push_to(write_now)
        while not last:
            batch = await next_events()
            last = isinstance(batch[-1], _END)
            data = encode(rewrite(batch))
            if data or last:
                await writer.write(data, last=last)

    async def _write_body(self, answer: RunAnswer, collector: Collector, writer: ResponseWriter) -> None:
        rewrite = answer.rewrite or _unchanged
        tools_ran = False
        end: Event | None = None
        while not isinstance(end, _END):
            batch = await answer.run.next_events()
            tools_ran = tools_ran or any(isinstance(event, _TOOLS_RAN) for event in batch)
            written = rewrite(batch)
            collector.add(written)
            end = written[-1] if written else None
        if isinstance(end, RunFailed):
            await self._refuse(answer, writer, end.error, tools_ran=tools_ran)
            return
        body = collector.body(end)
        headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
        await writer.start(200, _raw(headers))
        await writer.write(body, last=True)

    async def _refuse(
        self, answer: RunAnswer, writer: ResponseWriter, error: AuraError, *, tools_ran: bool = False
    ) -> None:
        """The error under its own status."""
        self._forget_unless_acted(answer.run)
        response = error_response(error, debug=answer.debug_errors, tools_ran=tools_ran or answer.run.acted)
        response.headers.update(answer.headers)
        await _send(writer, response)

    def _forget_unless_acted(self, run: Run) -> None:
        """A repetition of a failed request starts afresh, unless that would do something again."""
        if not run.acted:
            self._recording.discard()

    async def _repeat(self, writer: ResponseWriter) -> None:
        recording = self._recording
        await recording.wait_for_head()
        if recording.head is None:
            error = Conflict("The request that this one repeats ended without an answer; send it again.")
            error.headers = {"x-should-retry": "true", "retry-after": "1"}
            await _send(writer, error_response(error))
            return
        await writer.start(*recording.head)
        async with aclosing(recording.frames()) as frames:
            async for frame in frames:
                await writer.write(frame)
        if recording.complete:
            await writer.write(b"", last=True)
        else:
            writer.drop()


async def _send(writer: ResponseWriter, response: Response) -> None:
    await writer.start(response.status_code, response.raw_headers)
    await writer.write(bytes(response.body), last=True)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
