"""Models for tests of what stands around a model: they say what they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime

from aura_py.errors import ProviderOverloaded
from aura_py.llm.contract import Capabilities, ChatRequest, Delta, Finish, Text

Script = Sequence[list[Delta] | BaseException | asyncio.Event | Callable[[], None]]


class Says:
    """Answers call after call with the next script; the last one again and again.

    A list is yielded, an exception raised, an event waited for, a function called.
    """

    provider = "fake"
    context_window: int | None = None
    capabilities = Capabilities(images=False, tool_images=False)

    def __init__(self, *scripts: Script, model: str = "parrot") -> None:
        self.model = model
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self._scripts = scripts

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        try:
            for step in script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, list):
                    yield step
                else:
                    step()
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        self.closed += 100


class Sleeper:
    """A clock that notes how long it was asked to sleep, and does not. Time passes when a test says so."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.passed = 0.0

    def monotonic(self) -> float:
        return sum(self.slept) + self.passed

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)


def answer(text: str = "fine") -> Script:
    return ([Text(text)], [Finish("stop")])


def overloaded(retry_after: float | None = None) -> ProviderOverloaded:
    return ProviderOverloaded("the provider is busy", provider_status=503, retry_after=retry_after)
