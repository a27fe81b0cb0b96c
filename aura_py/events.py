"""What a run tells the world: facts, never wire text.

A stream yields *lists* of events, everything that arrived together. Encoders in ``server/sse`` and ``cli`` own names,
field order and modes. The last event of every stream is :class:`RunFinished` or
:class:`RunFailed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from aura_py.errors import AuraError
from aura_py.messages import FinishReason, Json, JsonObject, ToolCall, Usage

ToolKind = Literal["mcp", "client", "scratchpad", "filesystem", "knowledge", "skill", "orchestration"]
"""Where a tool comes from. ``client`` tools are run by the caller, ``scratchpad`` ones are hidden from clients."""

ServerState = Literal["connected", "failed", "not_attempted"]
Transport = Literal["stdio", "http_streamable", "sse"]


# --- text ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class TextDelta:
    """Text of the answer. ``text`` is never empty."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """Text of a model's thinking. ``agent_id`` is ``main``, ``coordinator`` or a worker's name."""

    text: str
    agent_id: str = "main"
    parent_agent_id: str | None = None


# --- the run -------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class SessionInfo:
    """The first event of every run. ``model`` is ``provider/model``; ``context_limit`` is in tokens."""

    model: str
    context_limit: int | None = None


@dataclass(slots=True, frozen=True)
class ServerStatus:
    """One MCP server as this run sees it. ``reason`` is set only when it failed and never holds a credential."""

    server_name: str
    transport: Transport
    status: ServerState
    tools_count: int = 0
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class McpStatus:
    servers: tuple[ServerStatus, ...]


@dataclass(slots=True, frozen=True)
class ModelCallCompleted:
    """One model call ended. ``tool_calls`` are the ids it asked for; ``usage`` is this call's alone."""

    usage: Usage
    tool_calls: tuple[str, ...] = ()
    agent_id: str = "main"


@dataclass(slots=True, frozen=True)
class ScratchpadUsage:
    """Tokens parked on disk and tokens read back, for one agent (``main``) or one worker attempt."""

    tokens_intercepted: int
    tokens_extracted: int
    agent_id: str = "main"


@dataclass(slots=True, frozen=True)
class Notice:
    """Something the operator should know that is not part of the answer (a degraded worker, a full disk)."""

    code: str
    message: str


@dataclass(slots=True, frozen=True)
class RunFinished:
    """The run has its answer.

    ``usage`` is the billed sum over all model calls; ``context_usage`` is the position in the context window
    (prompt of the first call, completions of all). ``turn_limit`` says that the agent had to
    answer before it was done. ``answer`` is the text of the last turn that produced text. ``client_calls`` are the
    calls that the caller must run (``finish_reason`` is then ``tool_calls``).
    """

    finish_reason: FinishReason
    usage: Usage
    context_usage: Usage
    answer: str = ""
    reasoning: str = ""
    client_calls: tuple[ToolCall, ...] = ()
    turn_limit: bool = False
    elapsed_ms: int = 0


@dataclass(slots=True, frozen=True)
class RunFailed:
    """The run ended without its answer; ``answer`` is the text that was already told."""

    error: AuraError
    usage: Usage = Usage()
    context_usage: Usage = Usage()
    answer: str = ""
    elapsed_ms: int = 0


# --- tools of a single agent ---------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class ToolRequested:
    """The model asked for a tool. ``arguments`` is its JSON text; ``parsed`` the object in it, else ``{}``."""

    call_id: str
    name: str
    arguments: str
    parsed: JsonObject
    kind: ToolKind


@dataclass(slots=True, frozen=True)
class ToolStarted:
    """The request to an MCP server was really sent (``mcp`` tools only)."""

    call_id: str
    name: str
    progress_token: int | str | None = None


@dataclass(slots=True, frozen=True)
class ToolProgress:
    """An MCP progress notification. The last three fields are set inside orchestrations only."""

    call_id: str
    name: str
    progress: float
    total: float | None = None
    message: str | None = None
    progress_token: int | str | None = None
    phase: str = "mcp_progress"
    task_id: int | None = None
    worker_id: str | None = None


@dataclass(slots=True, frozen=True)
class ToolCompleted:
    """The outcome of a call. ``result`` is set on success, ``error`` on failure; neither is cut."""

    call_id: str
    name: str
    kind: ToolKind
    duration_ms: int
    ok: bool
    result: str | None = None
    error: str | None = None


# --- orchestration -------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class PlanCreated:
    goal: str
    tasks: tuple[str, ...]
    routing_mode: Literal["routed", "orchestrated"]
    routing_rationale: str
    planning_response: str = ""
    iteration: int = 1
    task_ids: tuple[int, ...] = ()
    dependencies: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    waves: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class DirectAnswer:
    """``response`` is the whole answer, or its beginning when it is ``streamed``: told while the model writes it."""

    response: str
    routing_rationale: str
    streamed: bool = False


@dataclass(slots=True, frozen=True)
class ClarificationNeeded:
    question: str
    routing_rationale: str
    options: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class TaskStarted:
    task_id: int
    description: str
    worker_id: str
    orchestrator_id: str
    iteration: int = 1
    wave: int = 1


@dataclass(slots=True, frozen=True)
class TaskCompleted:
    task_id: int
    worker_id: str
    orchestrator_id: str
    success: bool
    duration_ms: int
    result: str = ""
    iteration: int = 1
    wave: int = 1


@dataclass(slots=True, frozen=True)
class WorkerReasoning:
    task_id: int
    worker_id: str
    text: str
    iteration: int = 1


@dataclass(slots=True, frozen=True)
class OrchestratorToolStarted:
    """A tool of the coordinator (``task_id`` is None, ``worker_id`` is ``main``) or of a worker starts."""

    call_id: str
    name: str
    kind: ToolKind
    worker_id: str
    arguments: Json = None
    task_id: int | None = None
    progress_token: int | str | None = None
    iteration: int = 1


@dataclass(slots=True, frozen=True)
class OrchestratorToolCompleted:
    call_id: str
    name: str
    kind: ToolKind
    worker_id: str
    ok: bool
    duration_ms: int
    result: str = ""
    task_id: int | None = None
    iteration: int = 1


@dataclass(slots=True, frozen=True)
class Synthesizing:
    iteration: int


@dataclass(slots=True, frozen=True)
class IterationCompleted:
    iteration: int
    will_replan: bool
    planning_ms: int
    execution_ms: int
    task_compute_ms: int
    tool_ms: int
    reasoning: str | None = None
    gaps: tuple[str, ...] = ()
    blocked: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class ReplanStarted:
    iteration: int
    trigger: str = "post_execute_create_plan"


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | SessionInfo
    | McpStatus
    | ModelCallCompleted
    | ScratchpadUsage
    | Notice
    | RunFinished
    | RunFailed
    | ToolRequested
    | ToolStarted
    | ToolProgress
    | ToolCompleted
    | PlanCreated
    | DirectAnswer
    | ClarificationNeeded
    | TaskStarted
    | TaskCompleted
    | WorkerReasoning
    | OrchestratorToolStarted
    | OrchestratorToolCompleted
    | Synthesizing
    | IterationCompleted
    | ReplanStarted
)
