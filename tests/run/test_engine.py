"""The one way a run starts and the ways it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import anyio

from aura_py.agent.contract import Description, Turn
from aura_py.context import RunContext, RunLimits
from aura_py.errors import ProviderOverloaded, RequestError, RunCancelled
from aura_py.events import Event, ModelCallCompleted, RunFailed, RunFinished, TextDelta
from aura_py.messages import Usage, user
from aura_py.run.engine import Engine
from aura_py.run.identity import new_context

TURN = Turn((user("hello"),))
Body = Callable[[RunContext], AsyncGenerator[list[Event], None]]


class Scene:
    """A runnable made of one async generator."""

    def __init__(self, body: Body, *, orchestrated: bool = False) -> None:
        self._body = body
        self._orchestrated = orchestrated

    def describe(self) -> Description:
        return Description("scene", "none", "none", None, self._orchestrated)

    def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        return self._body(context)


def with_engine(test: Callable[[Engine], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """An engine for one test, entered and left in the test's own task."""

    async def run_test() -> None:
        async with Engine() as engine:
            await test(engine)

    return run_test


async def collect(events: AsyncIterator[list[Event]]) -> list[Event]:
    return [event async for batch in events for event in batch]


@with_engine
async def test_a_finished_run_reports_the_sum_of_its_model_calls(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        context.emit(ModelCallCompleted(Usage(input=100, output=10)))
        yield [TextDelta("hi")]
        context.emit(ModelCallCompleted(Usage(input=150, output=5)))
        yield [RunFinished("stop", Usage(), Usage())]

    events = await collect(engine.start(Scene(body), TURN, new_context()).events())
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.usage.input, end.usage.output) == (250, 15)
    assert (end.context_usage.input, end.context_usage.output) == (100, 15)


@with_engine
async def test_an_error_of_the_runnable_becomes_the_closing_event_with_usage(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        context.emit(ModelCallCompleted(Usage(input=7, output=1)))
        yield [TextDelta("partial")]
        raise ProviderOverloaded("The provider is overloaded.")

    events = await collect(engine.start(Scene(body), TURN, new_context()).events())
    end = events[-1]
    assert isinstance(end, RunFailed)
    assert isinstance(end.error, ProviderOverloaded)
    assert end.usage.total == 8


@with_engine
async def test_an_unexpected_exception_ends_the_run_without_its_text_reaching_the_client(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        yield [TextDelta("x")]
        raise RuntimeError("password=hunter2")

    end = (await collect(engine.start(Scene(body), TURN, new_context()).events()))[-1]
    assert isinstance(end, RunFailed)
    assert "hunter2" not in end.error.message


@with_engine
async def test_the_request_budget_ends_the_run_as_a_timeout(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        yield [TextDelta("x")]
        await asyncio.Event().wait()

    run = engine.start(Scene(body), TURN, new_context(limits=RunLimits(total=0.05)))
    end = (await collect(run.events()))[-1]
    assert isinstance(end, RunFailed)
    assert (end.error.status, end.error.failure) == (504, "timeout")


@with_engine
async def test_a_cancelled_run_gives_back_what_it_holds_before_it_counts_as_closed(engine: Engine) -> None:
    started, released = anyio.Event(), anyio.Event()

    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            released.set()
        yield []

    run = engine.start(Scene(body), TURN, new_context())
    await started.wait()
    run.cancel(RunCancelled("The client has gone."))
    await run.closed()
    assert released.is_set()
    assert engine.live == ()
    end = (await collect(run.events()))[-1]
    assert isinstance(end, RunFailed)
    assert end.error.message == "The client has gone."


@with_engine
async def test_a_drain_lets_a_run_finish_within_its_grace(engine: Engine) -> None:
    proceed = anyio.Event()

    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        await proceed.wait()
        yield [RunFinished("stop", Usage(), Usage())]

    run = engine.start(Scene(body), TURN, new_context())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engine.drain, 30.0)
        await anyio.wait_all_tasks_blocked()
        proceed.set()
    assert isinstance((await collect(run.events()))[-1], RunFinished)


@with_engine
async def test_a_drain_stops_what_outlives_its_grace_and_says_so(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        yield [TextDelta("x")]
        await asyncio.Event().wait()

    run = engine.start(Scene(body), TURN, new_context())
    await engine.drain(0.01)
    end = (await collect(run.events()))[-1]
    assert isinstance(end, RunFailed)
    assert (end.error.status, end.error.code) == (503, "server_shutdown")


@with_engine
async def test_a_request_error_keeps_its_status(engine: Engine) -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        raise RequestError("no")
        yield []

    end = (await collect(engine.start(Scene(body), TURN, new_context()).events()))[-1]
    assert isinstance(end, RunFailed)
    assert end.error.status == 400


async def test_leaving_the_engine_leaves_no_task_behind() -> None:
    async def body(context: RunContext) -> AsyncGenerator[list[Event], None]:
        await asyncio.Event().wait()
        yield []

    before = len(asyncio.all_tasks())
    async with Engine() as engine:
        for _ in range(10):
            engine.start(Scene(body), TURN, new_context())
        await anyio.wait_all_tasks_blocked()
    assert len(asyncio.all_tasks()) == before
