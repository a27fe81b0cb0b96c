"""The only place that starts a run.

Every entry, a chat completion, ``aura run``, later a schedule or a resumed wait, goes through :meth:`Engine.start`
and consumes one stream of events. Here are the budget, cancellation, usage and the live registry; nothing gets round
them. A run lives in a task of its own with one cancel scope: when that scope is cancelled, everything the run has
started is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio

from aura_py.agent.contract import Runnable, Turn
from aura_py.context import RunContext
from aura_py.errors import AuraError, FailureKind, RunCancelled, RunTimeout, Unavailable
from aura_py.events import Event, ModelCallCompleted, RunFailed, RunFinished
from aura_py.messages import Usage
from aura_py.run.session_queue import Ticket
from aura_py.run.stream import EventStream, Sink

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long cancelled runs may take to clean up at shutdown."""
_ENDING_SECONDS = 1.0
_STOP_REASONS: dict[FailureKind, str] = {"timeout": "timeout", "shutdown": "server shutdown"}


class Run:
    """One run: its identity, its stream of events and the handle to stop it."""

    def __init__(
        self, runnable: Runnable, turn: Turn, context: RunContext, agent: str, buffer: int, ticket: Ticket | None = None
    ) -> None:
        self.agent = agent
        self.context = replace(
            context, emit=self._emit, stop_reason=self._stop_reason, note_side_effect=self._note_side_effect
        )
        self.acted = False
        """A tool that is not marked as read-only has run: asking again may repeat what it did."""
        self._runnable = runnable
        self._turn = turn
        self._ticket = ticket
        self._stream = EventStream(buffer)
        self._scope = anyio.CancelScope()
        self._closed = asyncio.Event()
        self._ended_by: AuraError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._calls = 0
        self._usage = Usage()
        self._first_input = 0

    @property
    def waiting(self) -> bool:
        """The run has done nothing yet: it is not its turn."""
        return self._ticket is not None and self._ticket.waiting

    async def next_events(self, within: float | None = None) -> list[Event]:
        """Everything that happened since the last time; waits for something. May be cancelled without loss.

        The last event is :class:`RunFinished` or :class:`RunFailed`; empty after it, and when nothing happened
        ``within`` so many seconds. For one consumer; a slow one slows the run down once the buffer is full.
        """
        return await self._stream.take(within)

    def push_to(self, sink: Sink) -> None:
        """Has ``sink`` called with every batch that it can take at once; the others come from :meth:`next_events`."""
        self._stream.push_to(sink)

    async def events(self) -> AsyncIterator[list[Event]]:
        """The lists of :meth:`next_events` up to the last one."""
        while batch := await self.next_events():
            yield batch

    def cancel(self, error: AuraError) -> None:
        """Stops the run; its stream ends with :class:`RunFailed` of ``error``. Without effect on an ended run.

        The reader gets its ending within a second even when clean-up (a slow MCP server) takes longer.
        """
        if self._ended_by is None and not self._closed.is_set():
            self._ended_by = error
            self._scope.cancel(error.message)
            timer = asyncio.get_running_loop().call_later(_ENDING_SECONDS, self._end_stream)
            self._timer = timer

    def abandon(self) -> None:
        """Says that nobody reads the stream any more, so that the run never waits for a reader."""
        self._stream.discard()

    @property
    def is_closed(self) -> bool:
        """Whether everything the run has started is gone."""
        return self._closed.is_set()

    async def closed(self) -> None:
        """Returns when everything the run has started is gone."""
        await self._closed.wait()

    # --- the run's own task ----------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        end: Event | None = None
        total = self.context.limits.total
        if total is not None:
            self._scope.deadline = anyio.current_time() + total
        try:
            with self._scope:
                end = await self._consume()
            if end is None:
                raise self._ended_by or RunTimeout(
                    f"The request took longer than {total:g} seconds and was stopped; "
                    "raise STREAMING_TIMEOUT_SECS or ask for less at once."
                )
        except AuraError as error:
            end = self._failed(error)
        except Exception as error:
            logger.exception("run `%s` of agent `%s` failed", self.context.request_id, self.agent)
            end = self._failed(
                AuraError("Aura failed while running the agent; the log has the details.", detail=type(error).__name__)
            )
        finally:
            if end is None:
                end = self._failed(self._ended_by or RunCancelled("The run was cancelled."))
            if self._timer is not None:
                self._timer.cancel()
            self._stream.close(end)
            self._closed.set()
            if self._ticket is not None:
                self._ticket.give_up()

    def _end_stream(self) -> None:
        assert self._ended_by is not None
        self._stream.close(self._failed(self._ended_by))

    async def _consume(self) -> Event | None:
        """Passes the runnable's events on; the closing event comes back instead of being passed on."""
        end = None
        if self._ticket is not None:
            await self._ticket.wait()
        async with aclosing(self._runnable.run(self._turn, self.context)) as events:
            async for batch in events:
                if batch and type(batch[-1]) is RunFinished:
                    end = self._finished(batch.pop())  # type: ignore[arg-type]  # the exact type was tested
                if batch:
                    await self._stream.put(batch)
        return end or self._failed(AuraError(f"Agent `{self.agent}` ended without an answer."))

    def _emit(self, event: Event) -> None:
        if type(event) is ModelCallCompleted:
            if not self._calls:
                self._first_input = event.usage.input
            self._calls += 1
            self._usage = self._usage + event.usage
        self._stream.emit(event)

    def _note_side_effect(self) -> None:
        self.acted = True

    def _stop_reason(self) -> str:
        if self._ended_by is None:
            return "timeout" if self.context.remaining() == 0 else "server shutdown"
        return _STOP_REASONS.get(self._ended_by.failure, "client disconnected")

    def _finished(self, event: RunFinished) -> RunFinished:
        return replace(event, usage=self._usage, context_usage=self._context_usage(), elapsed_ms=self._elapsed_ms())

    def _failed(self, error: AuraError) -> RunFailed:
        log = logger.info if isinstance(error, RunCancelled | Unavailable) else logger.warning
        log(
            "run `%s` of agent `%s` ended: %s",
            self.context.request_id,
            self.agent,
            error.log_text,
        )
        return RunFailed(error, self._usage, self._context_usage(), elapsed_ms=self._elapsed_ms())

    def _context_usage(self) -> Usage:
        """Single agent: first prompt and all completions. Orchestration: the sum."""
        if self._runnable.describe().orchestrated:
            return self._usage
        return Usage(input=self._first_input, output=self._usage.output)

    def _elapsed_ms(self) -> int:
        return round((self.context.clock.monotonic() - self.context.started) * 1000)


class Engine:
    """Starts runs and knows the live ones. One per process; leaving it cancels what is still running."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._idle = asyncio.Event()
        # Runs are cancelled by their own scopes; a group of anyio would make one more for each.
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        for run in self.live:
            run.cancel(RunCancelled("The run was cancelled."))
        await self._tasks.__aexit__(kind, error, traceback)

    @property
    def live(self) -> tuple[Run, ...]:
        """Runs that have not ended, oldest first."""
        return tuple(self._runs.values())

    def start(
        self,
        runnable: Runnable,
        turn: Turn,
        context: RunContext,
        *,
        agent: str = "",
        buffer: int = 400,
        ticket: Ticket | None = None,
    ) -> Run:
        """Starts one run and returns at once.

        Args:
            agent: The agent's effective id, for logs.
            buffer: Events that may wait for the reader before the run does (``STREAMING_BUFFER_SIZE``).
            ticket: The run waits for its turn before it does anything; the wait counts towards its limits.
        """
        assert self._tasks is not None, "the engine is not running"
        run = Run(runnable, turn, context, agent, buffer, ticket)
        if ticket is not None:
            ticket.stop = run.cancel
        self._runs[context.run_id] = run
        self._tasks.create_task(self._run_to_end(run), name=f"run {context.request_id}")
        return run

    async def drain(self, grace: float) -> None:
        """Waits up to ``grace`` seconds for live runs, then stops the rest and waits for their clean-up."""
        with anyio.move_on_after(grace):
            await self._until_idle()
        for run in self.live:
            run.cancel(Unavailable("The server is shutting down; ask again in a moment."))
        with anyio.move_on_after(DRAIN_SECONDS):
            await self._until_idle()

    async def _until_idle(self) -> None:
        while self._runs:
            self._idle = asyncio.Event()
            await self._idle.wait()

    async def _run_to_end(self, run: Run) -> None:
        try:
            await run._drive()
        finally:
            self._runs.pop(run.context.run_id, None)
            if not self._runs:
                self._idle.set()
