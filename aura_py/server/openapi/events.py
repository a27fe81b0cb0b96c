"""``aura.*`` events: the data of named events, and with `type` beside them the `aura` object of vendor chunks."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

Count: TypeAlias = Annotated[int, Field(ge=0)]
ProgressToken: TypeAlias = int | str


class _Session(TypedDict):
    session_id: str
    trace_id: NotRequired[str]


class _Agent(_Session):
    agent_id: str


class _Tokens(_Session):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class SessionInfo(_Session):
    model: str
    model_context_limit: NotRequired[Count]


class McpServerStatus(TypedDict):
    server_name: str
    transport: str
    status: Literal["connected", "failed"]
    tools_count: Count
    reason: NotRequired[str]


class McpStatus(_Session):
    servers: list[McpServerStatus]


class Notice(_Agent):
    code: str
    message: str


class ErrorEvent(_Agent):
    kind: str
    message: str
    retryable: bool
    elapsed_ms: Count


class ToolRequested(_Agent):
    tool_id: str
    tool_name: str
    arguments: dict[str, object]


class ToolStart(_Agent):
    tool_id: str
    tool_name: str
    progress_token: NotRequired[ProgressToken]


class ToolComplete(_Agent):
    tool_id: str
    tool_name: str
    duration_ms: Count
    success: bool
    result: NotRequired[str]
    error: NotRequired[str]


class Progress(_Agent):
    message: str
    phase: str
    percent: NotRequired[Annotated[int, Field(ge=0, le=100)]]
    progress_token: NotRequired[ProgressToken]
    tool_call_id: NotRequired[str]
    task_id: NotRequired[Count]
    worker_id: NotRequired[str]


class Reasoning(_Agent):
    content: str
    parent_agent_id: NotRequired[str]


class ToolUsage(_Tokens):
    tool_ids: list[str]


class UsageEvent(_Tokens):
    """What the last model call read and wrote."""


class ScratchpadUsage(_Agent):
    tokens_intercepted: Count
    tokens_extracted: Count


class WorkerReasoning(_Agent):
    task_id: Count
    worker_id: str
    content: str
    iteration: Count


class TaskDependencies(TypedDict):
    task: Count
    depends_on: list[Count]


class PlanCreated(_Agent):
    goal: str
    tasks: list[str]
    routing_mode: str
    routing_rationale: str
    planning_response: NotRequired[str]
    iteration: Count
    task_ids: NotRequired[list[Count]]
    dependencies: NotRequired[list[TaskDependencies]]
    waves: NotRequired[list[list[Count]]]


class DirectAnswer(_Agent):
    response: str
    routing_rationale: str
    streamed: NotRequired[Literal[True]]


class ClarificationNeeded(_Agent):
    question: str
    options: NotRequired[list[str]]
    routing_rationale: str


class TaskStarted(_Agent):
    description: str
    task_id: Count
    orchestrator_id: str
    worker_id: str
    iteration: Count
    wave: Count


class TaskCompleted(_Agent):
    task_id: Count
    orchestrator_id: str
    worker_id: str
    success: bool
    duration_ms: Count
    result: NotRequired[str]
    iteration: Count
    wave: Count


class WorkerToolStarted(_Agent):
    task_id: NotRequired[Count]
    tool_call_id: str
    tool_name: str
    worker_id: str
    arguments: NotRequired[object]
    progress_token: NotRequired[ProgressToken]
    iteration: Count


class WorkerToolCompleted(_Agent):
    task_id: NotRequired[Count]
    tool_call_id: str
    success: bool
    duration_ms: Count
    result: NotRequired[str]
    iteration: Count


class Synthesizing(_Agent):
    iteration: Count


class BlockedTask(TypedDict):
    task_id: Count
    blocked_by: list[Count]


class IterationComplete(_Agent):
    iteration: Count
    will_replan: bool
    reasoning: NotRequired[str]
    gaps: NotRequired[list[str]]
    blocked: NotRequired[list[BlockedTask]]
    planning_ms: Count
    execution_ms: Count
    task_compute_ms: Count
    tool_ms: Count


class ReplanStarted(_Agent):
    iteration: Count
    trigger: str


EVENTS: Final = {
    "session_info": SessionInfo,
    "mcp_status": McpStatus,
    "notice": Notice,
    "error": ErrorEvent,
    "tool_requested": ToolRequested,
    "tool_start": ToolStart,
    "tool_complete": ToolComplete,
    "progress": Progress,
    "reasoning": Reasoning,
    "tool_usage": ToolUsage,
    "usage": UsageEvent,
    "scratchpad_usage": ScratchpadUsage,
    "orchestrator.worker_reasoning": WorkerReasoning,
    "orchestrator.plan_created": PlanCreated,
    "orchestrator.direct_answer": DirectAnswer,
    "orchestrator.clarification_needed": ClarificationNeeded,
    "orchestrator.task_started": TaskStarted,
    "orchestrator.task_completed": TaskCompleted,
    "orchestrator.tool_call_started": WorkerToolStarted,
    "orchestrator.tool_call_completed": WorkerToolCompleted,
    "orchestrator.synthesizing": Synthesizing,
    "orchestrator.iteration_complete": IterationComplete,
    "orchestrator.replan_started": ReplanStarted,
}
"""Names without `aura.`, and what the event carries."""
