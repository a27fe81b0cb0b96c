"""What everything inside one run shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from aura_py.config.models import AgentConfig
from aura_py.context import RunContext
from aura_py.mcp import McpAttachment
from aura_py.orchestration.prompt_journal import PromptJournal
from aura_py.orchestration.prompts import PromptLibrary
from aura_py.orchestration.run_directory import RunDirectory
from aura_py.orchestration.team import Team
from aura_py.orchestration.traces import Traces
from aura_py.tools.contract import Tool


@dataclass(slots=True)
class OrchestrationRun:
    """One run: its identity, its connections, its files, its clock. ``stop_at`` is when work must end so that an
    answer can still be given; it is on ``context.clock`` and before the run's deadline."""

    config: AgentConfig
    context: RunContext
    orchestrator_id: str
    team: Team
    prompts: PromptLibrary
    files: RunDirectory
    journal: PromptJournal
    traces: Traces
    attachment: McpAttachment | None = None
    stop_at: float | None = None
    calls: dict[str, int] = field(default_factory=dict)
    """Model calls made so far, by agent."""

    @property
    def mcp_tools(self) -> tuple[Tool, ...]:
        return self.attachment.tools if self.attachment is not None else ()

    @property
    def unavailable(self) -> str | None:
        return self.attachment.unavailable_note if self.attachment is not None else None

    def time_left(self) -> float | None:
        """Seconds until work must stop; ``None`` without a budget."""
        return None if self.stop_at is None else max(0.0, self.stop_at - self.context.clock.monotonic())

    def bounded(self, seconds: int) -> float | None:
        """A configured limit of ``seconds`` (0 is none), no longer than the time that is left."""
        limits = [limit for limit in (float(seconds) if seconds else None, self.time_left()) if limit is not None]
        return min(limits, default=None)
