"""One run: what its coordinator and its workers share, and the record of what they did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from aura_py.config.models import AgentConfig
from aura_py.context import RunContext
from aura_py.events import Event, ModelCallCompleted
from aura_py.mcp import McpAttachment
from aura_py.messages import Usage
from aura_py.orchestration.deadline import DeadlineExceeded, run_with_timeout
from aura_py.orchestration.failures import AttemptTimeout
from aura_py.orchestration.plan import Plan, Task
from aura_py.orchestration.prompt_journal import PromptJournal
from aura_py.orchestration.prompts import PromptLibrary
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.orchestration.team import Team
from aura_py.tools.contract import Tool


@dataclass(slots=True, frozen=True)
class PhaseTimings:
    planning_ms: int
    execution_ms: int
    task_compute_ms: int
    tool_ms: int


@dataclass(slots=True)
class OrchestrationRun:
    """The context of a run and its growing record.

    Args:
        stop_at: When work must end so that an answer can still be given, on ``context.clock``; before the run's
            deadline, ``None`` without one.
    """

    config: AgentConfig
    context: RunContext
    run_id: str
    orchestrator_id: str
    query: str
    team: Team
    prompts: PromptLibrary
    files: RunDirectory
    journal: PromptJournal
    started_at: datetime
    attachment: McpAttachment | None = None
    stop_at: float | None = None
    plans: list[Plan] = field(default_factory=list)
    """One for each iteration that was begun."""
    timings: PhaseTimings | None = None
    usage: Usage = Usage()
    answered: Literal["direct", "clarification", "failed"] | None = None
    """How the run ended, or how it ended without any plan."""
    outcome: str | None = None
    response_summary: str | None = None
    cancelled: bool = False

    def __post_init__(self) -> None:
        emit = self.context.emit

        def count(event: Event) -> None:
            if isinstance(event, ModelCallCompleted):
                self.usage += event.usage
            emit(event)

        self.context = replace(self.context, emit=count)

    @property
    def iterations(self) -> int:
        return len(self.plans)

    def failed_tasks(self) -> list[tuple[int, Task]]:
        """The failed tasks of all iterations, each with the number of its iteration."""
        return [(number, task) for number, plan in enumerate(self.plans, start=1) for task in plan.having("failed")]

    @property
    def mcp_tools(self) -> tuple[Tool, ...]:
        return self.attachment.tools if self.attachment is not None else ()

    @property
    def unavailable(self) -> str | None:
        """A note for prompts about MCP servers that cannot be reached."""
        return self.attachment.unavailable_note if self.attachment is not None else None

    def time_left(self) -> float | None:
        """Seconds until work must stop; ``None`` without a deadline."""
        return None if self.stop_at is None else max(0.0, self.stop_at - self.context.clock.monotonic())

    def call_limit(self) -> float | None:
        """Seconds that a planning call or an attempt may take: ``per_call_timeout_secs``, less when time is short."""
        seconds = self.config.orchestration.timeouts.per_call_timeout_secs
        limits = [limit for limit in (float(seconds) if seconds else None, self.time_left()) if limit is not None]
        return min(limits, default=None)

    async def run_limited(self, who: str, limit: float | None, work: Callable[[], Awaitable[None]]) -> None:
        """Runs ``work`` of ``who`` for at most ``limit`` seconds.

        Raises:
            AttemptTimeout: The limit was reached.
        """
        try:
            await run_with_timeout(self.context.clock, limit, work)
        except DeadlineExceeded:
            seconds = self.config.orchestration.timeouts.per_call_timeout_secs
            how = f"timed out after {seconds}s" if limit == seconds else "was stopped: the request's time is up"
            raise AttemptTimeout(f"{who} {how}.") from None
