"""Whole orchestrations in process: real engine, real scripted model, all events in a list."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from aura_py.agent.contract import Turn
from aura_py.config.models import LLM, AgentConfig, ScriptedLLM
from aura_py.context import Clock, RunLimits, SystemClock
from aura_py.errors import ProviderRejected
from aura_py.events import Event, RunFailed, RunFinished, TextDelta
from aura_py.llm.contract import ChatModel, ChatRequest, Delta
from aura_py.llm.resilience import ResilientModel
from aura_py.llm.scripted.client import ScriptedModel
from aura_py.llm.text_calls.model import TextCallModel
from aura_py.mcp import McpPool
from aura_py.messages import user
from aura_py.orchestration import Orchestrator
from aura_py.run.engine import Engine, Run
from aura_py.run.identity import new_context

Rule = Mapping[str, Any]
E = TypeVar("E")


def call(tool: str, /, **arguments: object) -> Rule:
    return {"name": tool, "arguments": arguments}


def plan(*steps: object, goal: str = "the goal") -> Rule:
    return call("create_plan", goal=goal, steps=list(steps), routing_rationale="why", planning_summary="how")


def answer(text: str = "the answer", **more: object) -> Rule:
    return call("respond_directly", response=text, routing_rationale="enough is known", **more)


def ask(question: str = "which one?", **more: object) -> Rule:
    return call("request_clarification", question=question, routing_rationale="ambiguous", **more)


def submit(result: str = "found it", summary: str = "in short", confidence: str = "high") -> Rule:
    return call("submit_result", summary=summary, result=result, confidence=confidence)


def step(text: str, worker: str | None = "alpha") -> dict[str, object]:
    return {"type": "task", "task": text, **({"worker": worker} if worker else {})}


def parallel(*items: object) -> dict[str, object]:
    return {"type": "parallel", "items": list(items)}


def chain(*steps: object) -> dict[str, object]:
    return {"type": "chain", "steps": list(steps)}


def coordinator(phase: str, *calls: Rule, **rule: object) -> Rule:
    return {"role": "coordinator", "phase": phase, "tool_calls": list(calls), **rule}


def worker(*calls: Rule, **rule: object) -> Rule:
    return {"role": "worker", "tool_calls": list(calls), **rule}


def config(
    rules: Iterable[Rule],
    *,
    workers: Mapping[str, Mapping[str, object]] | None = None,
    servers: Mapping[str, object] | None = None,
    memory_dir: Path | None = None,
    agent: Mapping[str, object] | None = None,
    llm: Mapping[str, object] | None = None,
    filesystem: bool = True,
    **orchestration: object,
) -> AgentConfig:
    """An agent file as it is after loading; two workers, ``alpha`` and ``beta``, unless told otherwise."""
    team = {"alpha": {}, "beta": {}} if workers is None else workers
    return AgentConfig.model_validate(
        {
            "path": Path("team.toml"),
            "memory_dir": memory_dir,
            "agent": {
                "name": "team",
                "system_prompt": "Be of use.",
                "llm": {"provider": "scripted", "model": "demo", "rules": list(rules), **(llm or {})},
                **(agent or {}),
            },
            "mcp": {"servers": dict(servers or {})},
            "tools": {"filesystem": filesystem},
            "orchestration": {
                "enabled": True,
                "worker": {
                    name: {"description": f"Does {name} work.", "preamble": f"You are {name}.", **given}
                    for name, given in team.items()
                },
                **orchestration,
            },
        }
    )


@dataclass
class Transcript:
    """One finished run: its events and what was sent to models."""

    events: list[Event]
    requests: list[ChatRequest] = field(default_factory=list)

    @property
    def end(self) -> RunFinished | RunFailed:
        last = self.events[-1]
        assert isinstance(last, RunFinished | RunFailed)
        return last

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} of {kind.__name__}"
        return found[0]

    def names(self, *kinds: type[Event]) -> list[str]:
        """Names of the events of these kinds, in order."""
        return [type(event).__name__ for event in self.events if isinstance(event, kinds)]

    def asked(self, caller: str) -> list[ChatRequest]:
        return [request for request in self.requests if request.info.caller == caller]


class RecordingModel:
    """The scripted model, with what it was asked kept for the test."""

    def __init__(
        self, inner: ChatModel, requests: list[ChatRequest], *, forcing: bool = True, refuses: bool = False
    ) -> None:
        self.provider, self.model = inner.provider, inner.model
        self.context_window = inner.context_window
        self.capabilities = replace(inner.capabilities, tool_choice=forcing)
        self._inner, self._requests, self._refuses = inner, requests, refuses

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        self._requests.append(request)
        if self._refuses and request.tool_choice not in ("auto", "none"):
            raise ProviderRejected("no", provider_status=400, parameters=frozenset({"tool_choice"}))
        async for batch in self._inner.stream(request):
            yield batch

    async def aclose(self) -> None:
        await self._inner.aclose()


class Harness:
    """An engine, a pool and a clock; starts orchestrations and collects what they tell."""

    def __init__(self, engine: Engine, mcp: McpPool, clock: Clock) -> None:
        self.engine, self.mcp, self.clock = engine, mcp, clock
        self.requests: list[ChatRequest] = []
        self.models: list[ChatModel] = []
        """Closed with the stage."""
        self.forcing = True
        """Whether the models can be made to call a tool."""
        self.refuses = False
        """Whether they answer a forced tool call with a 400."""

    def orchestrator(self, settings: AgentConfig, **options: Any) -> Orchestrator:
        def model_for(llm: LLM) -> ChatModel:
            assert isinstance(llm, ScriptedLLM)
            model: ChatModel = ScriptedModel(llm, agent="team", clock=self.clock)
            if llm.fallback_tool_parsing:
                model = TextCallModel(model)
            recording = RecordingModel(model, self.requests, forcing=self.forcing, refuses=self.refuses)
            plain = self.forcing and not self.refuses
            return recording if plain else ResilientModel(recording, agent="team", clock=self.clock)

        return Orchestrator(settings, model_for=model_for, mcp=self.mcp, **options)

    def start(
        self,
        settings: AgentConfig | Orchestrator,
        query: str = "What is up?",
        *,
        turn: Turn | None = None,
        session: str | None = None,
        headers: Mapping[str, str] | None = None,
        owner: str = "anonymous",
        total: float | None = None,
    ) -> Run:
        runnable = settings if isinstance(settings, Orchestrator) else self.orchestrator(settings)
        context = new_context(
            session_id=session, headers=headers, owner=owner, limits=RunLimits(total=None), clock=self.clock
        )
        if total is not None:
            context = replace(context, limits=RunLimits(total=total), deadline=context.started + total)
        return self.engine.start(runnable, turn or Turn((user(query),)), context, agent="team")

    async def run(self, settings: AgentConfig | Orchestrator, query: str = "What is up?", **options: Any) -> Transcript:
        before = len(self.requests)
        run = self.start(settings, query, **options)
        events = await collect(run)
        await run.closed()
        return Transcript(events, self.requests[before:])


async def collect(run: Run, until: Callable[[Event], bool] = lambda _event: False) -> list[Event]:
    """Everything ``run`` tells, up to the end or to the first event that ``until`` picks."""
    events: list[Event] = []
    async for batch in run.events():
        for event in batch:
            events.append(event)
            if until(event):
                return events
    return events


@asynccontextmanager
async def open_harness(clock: Clock | None = None) -> AsyncIterator[Harness]:
    async with McpPool() as mcp, Engine() as engine:
        harness = Harness(engine, mcp, clock or SystemClock())
        try:
            yield harness
        finally:
            for model in harness.models:
                await model.aclose()


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
