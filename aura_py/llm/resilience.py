"""Retries, deadlines and the fallback chain, once for all providers.

Nothing is tried again after the first visible delta: what a reader has seen cannot be taken back.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest

from aura_py.context import Clock, SystemClock
from aura_py.deadlines import NEVER, Deadline
from aura_py.errors import (
    FirstChunkTimeout,
    InactivityTimeout,
    ProviderError,
    ProviderUnreachable,
    RequestError,
    RunTimeout,
)
from aura_py.llm.circuit import Circuit
from aura_py.llm.contract import Capabilities, ChatModel, ChatRequest, Delta, UsageReport
from aura_py.llm.parameters import refused_additions, refused_overrides, without_parameters

_log = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """``attempts`` per model, the first included. Waits grow from ``base`` to ``cap`` seconds, with full jitter.

    A provider that asks for more than ``patience`` seconds is not waited for. A model with another behind it gets
    ``attempts_before_next`` only, and the next one answers at once where waiting longer than ``base`` was asked for.
    """

    attempts: int = 3
    base: float = 0.5
    cap: float = 8.0
    patience: float = 30.0
    attempts_before_next: int = 2

    def before_next(self) -> RetryPolicy:
        """The policy for a model whose place another one can take."""
        attempts = min(self.attempts, self.attempts_before_next)
        return replace(self, attempts=attempts, cap=self.base, patience=min(self.patience, self.base))

    def wait(self, attempt: int, asked: float | None, chance: random.Random) -> float | None:
        """Seconds before attempt number ``attempt`` + 1 (from 1), or ``None`` to give up."""
        if attempt >= self.attempts:
            return None
        grown = min(self.cap, self.base * 2 ** (attempt - 1))
        if asked is None:
            return chance.uniform(grown / 2, grown)
        if asked > self.patience:
            return None
        return asked + chance.uniform(0, self.base / 2)


@dataclass(slots=True, frozen=True, eq=False)
class _Link:
    place: int
    model: ChatModel
    cap: int | None
    circuit: Circuit
    refused: frozenset[str]
    """Optional parameters that this model is known not to take before it is asked."""


class ResilientModel:
    """A chain of models that answers as one. Its name and capabilities are those of the first.

    Args:
        caps: The ``max_tokens`` of each model's table, which no request exceeds.
        circuits: What is remembered of each model; by default the chain remembers for itself.
        never_forced: Whether each model's table says that it cannot be made to call a tool.
    """

    def __init__(
        self,
        first: ChatModel,
        fallbacks: Sequence[ChatModel] = (),
        *,
        agent: str,
        caps: Sequence[int | None] = (),
        circuits: Sequence[Circuit] = (),
        never_forced: Sequence[bool] = (),
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.provider = first.provider
        self.model = first.model
        self.context_window = first.context_window
        self.capabilities: Capabilities = first.capabilities
        self._chain = tuple(
            _Link(
                place,
                model,
                cap,
                circuit or Circuit(),
                frozenset({"tool_choice"}) if never or not model.capabilities.tool_choice else frozenset(),
            )
            for place, (model, cap, circuit, never) in enumerate(
                zip_longest((first, *fallbacks), caps, circuits, never_forced)
            )
        )
        self._agent = agent
        self._policy = policy or RetryPolicy()
        self._clock = clock or SystemClock()
        self._random = chance or random.Random()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        failure: ProviderError | RunTimeout | None = None
        order = self._order()
        for number, link in enumerate(order, start=1):
            rest = order[number:]
            try:
                first, batches = await self._begin(link, _capped(request, link.cap), last=not rest)
            except _AttemptsFailed as failed:
                failure = failed.error
                if not rest or not (_helps_elsewhere(failure) or _jumped(link, rest)):
                    raise failure from failure.__cause__
                _log.warning("%s Trying the next model of the fallback chain.", failure.log_text)
            except RequestError as unfit:
                # The caller asked for something this model cannot do; only the first model's word is for the caller.
                if link.place == 0:
                    raise
                _log.warning("%s It is no help in the fallback chain.", unfit.message)
            else:
                async with aclosing(batches):
                    yield first
                    async for batch in batches:
                        yield batch
                return
        if failure is not None:
            raise failure from failure.__cause__

    async def aclose(self) -> None:
        for link in self._chain:
            await link.model.aclose()

    def _order(self) -> Sequence[_Link]:
        """The chain as declared, but for the models that cool down: they come last."""
        if len(self._chain) == 1:
            return self._chain
        now = self._clock.monotonic()
        return sorted(self._chain, key=lambda link: link.circuit.cooling(now))

    async def _begin(
        self, link: _Link, request: ChatRequest, *, last: bool
    ) -> tuple[list[Delta], AsyncGenerator[list[Delta], None]]:
        """What :meth:`_attempts` gives; the link's circuit learns from it."""
        began = self._clock.monotonic()
        with link.circuit.asking() as asked:
            try:
                begun = await self._attempts(link, request, last=last)
            except _AttemptsFailed as failed:
                if _helps_elsewhere(failed.error):
                    self._cool(link, asked, began, failed.error)
                else:
                    link.circuit.answered()
                raise
        if link.circuit.answered():
            _log.info(
                "Agent `%s`: provider `%s`, model `%s`, answers again.",
                self._agent,
                link.model.provider,
                link.model.model,
            )
        return begun

    def _cool(self, link: _Link, asked: int, began: float, error: ProviderError | RunTimeout) -> None:
        now = self._clock.monotonic()
        seconds = link.circuit.failed(asked, now, waited=now - began, wish=_wish(error))
        if seconds and len(self._chain) > 1:
            _log.warning(
                "Agent `%s`: provider `%s`, model `%s`, is asked after the others of its chain for %.0f s.",
                self._agent,
                link.model.provider,
                link.model.model,
                seconds,
            )

    async def _attempts(
        self, link: _Link, request: ChatRequest, *, last: bool
    ) -> tuple[list[Delta], AsyncGenerator[list[Delta], None]]:
        """One model's attempts, until one of them has something to show: that, and the rest of its stream.

        An attempt that fails over something that Aura added on its own does not count: it is repeated without.

        Raises:
            _AttemptsFailed: All of them failed.
            RequestError: The model does not take a parameter that the caller set.
        """
        model, circuit = link.model, link.circuit
        deadline = _Deadlines(self._agent, model, request)
        policy = self._policy if last else self._policy.before_next()
        request = self._without_known_refusals(request, link)
        attempt = 0
        suspected: frozenset[str] = frozenset()
        while True:
            attempt += 1
            batches = self._timed(model, request, deadline)
            try:
                first: list[Delta] = await anext(batches, [])
                circuit.refused |= suspected
                return first, batches
            except (ProviderError, RunTimeout) as error:
                if isinstance(error, ProviderError):
                    refused = refused_additions(error, request)
                    if refused:
                        names = ", ".join(f"`{name}`" for name in sorted(refused))
                        _log.info(
                            "Agent `%s`: provider `%s`, model `%s`, refuses %s; asking again without.",
                            self._agent,
                            model.provider,
                            model.model,
                            names,
                        )
                        suspected |= refused
                        request = without_parameters(request, refused)
                        attempt -= 1
                        continue
                    overrides = refused_overrides(error, request)
                    if overrides:
                        circuit.answered()
                        raise self._parameter_refused(link, min(overrides)) from error
                again = _helps_again(error, last=last)
                wait = policy.wait(attempt, _wish(error), self._random) if again else None
                if wait is None or not deadline.allows(wait):
                    raise _AttemptsFailed(error) from error
                _log.warning("%s Trying again in %.1f s.", error.log_text, wait)
            await self._clock.sleep(wait)

    def _without_known_refusals(self, request: ChatRequest, link: _Link) -> ChatRequest:
        """``request`` without what this model is known to refuse."""
        choice = request.tool_choice
        if choice not in ("auto", "none") and "tool_choice" in link.refused & request.from_caller:
            raise self._parameter_refused(link, "tool_choice")
        return without_parameters(request, link.refused | link.circuit.refused)

    def _parameter_refused(self, link: _Link, param: str) -> RequestError:
        return RequestError(
            f"Agent `{self._agent}`: provider `{link.model.provider}`, model `{link.model.model}`, does not take"
            f" `{param}` as the request sets it; change it or leave it out.",
            param=param,
        )

    async def _timed(
        self, model: ChatModel, request: ChatRequest, deadline: _Deadlines
    ) -> AsyncGenerator[list[Delta], None]:
        """One attempt under its deadlines. Usage alone is held back until something visible comes.

        An empty list is a sign of life without anything to show.
        """
        held: list[Delta] = []
        visible = False
        with deadline.watching():
            async with aclosing(model.stream(request)) as batches:
                while True:
                    deadline.wait()
                    try:
                        batch = await anext(batches, None)
                    except asyncio.CancelledError as error:
                        if deadline.has_passed():
                            raise deadline.missed() from error
                        raise
                    if batch is None:
                        return
                    if not visible and batch:
                        held += batch
                        if all(isinstance(delta, UsageReport) for delta in batch):
                            continue
                        visible = True
                        batch, held = held, []
                    deadline.heard()
                    if batch:
                        yield batch


class _AttemptsFailed(Exception):
    """Carries a failure that nobody has seen anything of yet."""

    def __init__(self, error: ProviderError | RunTimeout) -> None:
        super().__init__(error.message)
        self.error = error


class _Deadlines:
    """The first delta's deadline spans all attempts at one model; then silence is measured while a delta is awaited.

    Like ``asyncio.timeout``, a deadline that passes cancels the task that waits; unlike it, it is moved without a timer
    for each delta.
    """

    __slots__ = (
        "_agent",
        "_cancelling",
        "_deadline",
        "_first",
        "_first_at",
        "_heard",
        "_loop",
        "_model",
        "_passed",
        "_silence",
        "_task",
    )

    def __init__(self, agent: str, model: ChatModel, request: ChatRequest) -> None:
        self._agent = agent
        self._model = model
        self._first = request.first_delta_timeout
        self._silence = request.inactivity_timeout
        self._loop = asyncio.get_running_loop()
        self._first_at = NEVER if self._first is None else self._loop.time() + self._first
        self._heard = self._passed = False
        self._deadline: Deadline | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """One attempt, which the present task reads: nothing was heard of it yet."""
        self._heard = self._passed = False
        self._deadline = Deadline(self._pass)
        self._task = asyncio.current_task()
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        try:
            yield
        finally:
            self._deadline.close()

    def wait(self) -> None:
        """From now on the task waits for the next delta."""
        assert self._deadline is not None
        if not self._heard:
            at = self._first_at
        elif self._silence is None:
            at = NEVER
        else:
            at = self._loop.time() + self._silence
        self._deadline.move(at)

    def heard(self) -> None:
        """A delta has come; until the next :meth:`wait` its reader takes its time."""
        assert self._deadline is not None
        self._heard = True
        self._deadline.at = NEVER

    def has_passed(self) -> bool:
        """Whether it was the deadline, and nothing else, that cancelled the task."""
        return self._passed and self._task is not None and self._task.uncancel() <= self._cancelling

    def _pass(self) -> None:
        if self._task is not None:
            self._passed = True
            self._task.cancel()

    def allows(self, wait: float) -> bool:
        return self._loop.time() + wait < self._first_at

    def missed(self) -> RunTimeout:
        name = f"Agent `{self._agent}`: provider `{self._model.provider}`, model `{self._model.model}`,"
        if self._heard:
            return InactivityTimeout(
                f"{name} fell silent for {self._silence:g} seconds in the middle of its answer; try again."
            )
        return FirstChunkTimeout(f"{name} sent nothing within {self._first:g} seconds; try again or raise the limit.")


def _jumped(link: _Link, rest: Sequence[_Link]) -> bool:
    """Whether a model that is declared before this one waits behind it: then this one's refusal is not the verdict."""
    return any(other.place < link.place for other in rest)


def _capped(request: ChatRequest, cap: int | None) -> ChatRequest:
    wish = request.sampling.max_tokens
    if cap is None or wish is None or wish <= cap:
        return request
    return replace(request, sampling=replace(request.sampling, max_tokens=cap))


def _helps_again(error: ProviderError | RunTimeout, *, last: bool) -> bool:
    if isinstance(error, ProviderUnreachable) and not last:
        # Connecting may take as long as its timeout each time.
        return False
    return error.retryable and not isinstance(error, RunTimeout)


def _helps_elsewhere(error: ProviderError | RunTimeout) -> bool:
    return error.retryable


def _wish(error: ProviderError | RunTimeout) -> float | None:
    return error.retry_after if isinstance(error, ProviderError) else None
