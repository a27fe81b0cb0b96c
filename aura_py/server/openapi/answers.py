"""Answers: JSON bodies, and the frames of streams."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

Count: TypeAlias = Annotated[int, Field(ge=0)]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


class ErrorDetail(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(TypedDict):
    """What every answer other than 2xx is, and what ends a stream that fails."""

    error: ErrorDetail


class Model(TypedDict):
    """An agent."""

    id: str
    name: str
    object: Literal["model"]
    created: Annotated[int, Field(description="Seconds since 1970.")]
    owned_by: str
    description: NotRequired[str]
    context_length: NotRequired[int]


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[Model]


class PromptTokenDetails(TypedDict):
    cached_tokens: Count
    cache_write_tokens: NotRequired[Count]


class CompletionTokenDetails(TypedDict):
    reasoning_tokens: Count


class Usage(TypedDict):
    """The sum over all model calls of the run."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: NotRequired[PromptTokenDetails]
    completion_tokens_details: NotRequired[CompletionTokenDetails]


class AnsweredFunction(TypedDict):
    name: str
    arguments: str


class AnsweredCall(TypedDict):
    """A call of a tool that the caller runs."""

    id: str
    type: Literal["function"]
    function: AnsweredFunction


class ChatMessage(TypedDict):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[AnsweredCall]]


class ChatChoice(TypedDict):
    index: Literal[0]
    message: ChatMessage
    logprobs: None
    finish_reason: FinishReason


class SessionMetadata(TypedDict):
    chat_session_id: str


class ChatCompletion(TypedDict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    metadata: SessionMetadata


class FunctionDelta(TypedDict):
    name: NotRequired[str]
    arguments: str


class CallDelta(TypedDict):
    index: Count
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionDelta


class Delta(TypedDict):
    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]
    reasoning_content: NotRequired[str]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[CallDelta]]


class ChunkChoice(TypedDict):
    index: Literal[0]
    delta: Delta
    finish_reason: FinishReason | None


class ChatCompletionChunk(TypedDict):
    """`choices` is empty in the chunk with the usage, and in one that carries `aura`, a vendor event."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage]
    aura: NotRequired[Annotated[dict[str, object], Field(description="An event's `type` and its fields.")]]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: list[object]
    logprobs: list[object]


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class OutputMessage(TypedDict):
    id: str
    type: Literal["message"]
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"]
    content: list[OutputText]


class OutputReasoning(TypedDict):
    id: str
    type: Literal["reasoning"]
    status: Literal["in_progress", "completed", "incomplete"]
    summary: list[SummaryText]


class OutputCall(TypedDict):
    """A call of a tool that the caller runs; of one that Aura ran with `AURA_RESPONSES_TOOLS=function_call`."""

    id: str
    type: Literal["function_call"]
    status: Literal["in_progress", "completed"]
    call_id: str
    name: str
    arguments: str


class ToolText(TypedDict):
    type: Literal["input_text"]
    text: str


class OutputCallOutput(TypedDict):
    id: str
    type: Literal["function_call_output"]
    status: Literal["completed", "incomplete"]
    call_id: str
    output: list[ToolText]


class McpText(TypedDict):
    type: Literal["text"]
    text: str | None


class McpFailure(TypedDict):
    type: Literal["mcp_tool_execution_error"]
    content: list[McpText]


class OutputMcpCall(TypedDict):
    """A tool that Aura ran."""

    id: str
    type: Literal["mcp_call"]
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    approval_request_id: None
    server_label: Literal["aura"]
    name: str
    arguments: str
    output: str | None
    error: McpFailure | None


OutputItem: TypeAlias = OutputMessage | OutputReasoning | OutputCall | OutputCallOutput | OutputMcpCall


class ResponseFailure(TypedDict):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(TypedDict):
    reason: Literal["max_output_tokens", "content_filter"]


class InputTokenDetails(TypedDict):
    cached_tokens: Count
    cache_write_tokens: Count


class ResponseUsage(TypedDict):
    input_tokens: Count
    input_tokens_details: InputTokenDetails
    output_tokens: Count
    output_tokens_details: CompletionTokenDetails
    total_tokens: Count


class Response(TypedDict):
    """Parameters of the request are repeated as they were sent."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False]
    error: ResponseFailure | None
    incomplete_details: IncompleteDetails | None
    model: str
    output: list[OutputItem]
    instructions: object
    max_output_tokens: object
    max_tool_calls: object
    prompt_cache_key: object
    safety_identifier: object
    user: object
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: dict[str, object]
    store: Literal[False]
    service_tier: Literal["default"]
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: float
    text: dict[str, object]
    tool_choice: object
    tools: list[object]
    truncation: Literal["disabled"]
    usage: ResponseUsage | None
    metadata: dict[str, str]


class ResponseEvent(TypedDict):
    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    sequence_number: Count
    response: Response


class ItemEvent(TypedDict):
    type: Literal["response.output_item.added", "response.output_item.done"]
    sequence_number: Count
    output_index: Count
    item: OutputItem


class PartEvent(TypedDict):
    type: Literal["response.content_part.added", "response.content_part.done"]
    sequence_number: Count
    item_id: str
    output_index: Count
    content_index: Literal[0]
    part: OutputText


class SummaryPartEvent(TypedDict):
    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    sequence_number: Count
    item_id: str
    output_index: Count
    summary_index: Literal[0]
    part: SummaryText


class TextDeltaEvent(TypedDict):
    type: Literal["response.output_text.delta"]
    sequence_number: Count
    item_id: str
    output_index: Count
    content_index: Literal[0]
    delta: str
    logprobs: list[object]


class TextDoneEvent(TypedDict):
    type: Literal["response.output_text.done"]
    sequence_number: Count
    item_id: str
    output_index: Count
    content_index: Literal[0]
    text: str
    logprobs: list[object]


class SummaryDeltaEvent(TypedDict):
    type: Literal["response.reasoning_summary_text.delta"]
    sequence_number: Count
    item_id: str
    output_index: Count
    summary_index: Literal[0]
    delta: str


class SummaryDoneEvent(TypedDict):
    type: Literal["response.reasoning_summary_text.done"]
    sequence_number: Count
    item_id: str
    output_index: Count
    summary_index: Literal[0]
    text: str


class ArgumentsDeltaEvent(TypedDict):
    type: Literal["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"]
    sequence_number: Count
    item_id: str
    output_index: Count
    delta: str


class ArgumentsDoneEvent(TypedDict):
    type: Literal["response.function_call_arguments.done", "response.mcp_call_arguments.done"]
    sequence_number: Count
    item_id: str
    output_index: Count
    name: NotRequired[str]
    arguments: str


class McpCallEvent(TypedDict):
    type: Literal["response.mcp_call.in_progress", "response.mcp_call.completed", "response.mcp_call.failed"]
    sequence_number: Count
    item_id: str
    output_index: Count


ResponseStreamEvent: TypeAlias = (
    ResponseEvent
    | ItemEvent
    | PartEvent
    | SummaryPartEvent
    | TextDeltaEvent
    | TextDoneEvent
    | SummaryDeltaEvent
    | SummaryDoneEvent
    | ArgumentsDeltaEvent
    | ArgumentsDoneEvent
    | McpCallEvent
)


class ServerTool(TypedDict):
    name: str
    description: NotRequired[str]
    title: NotRequired[str]
    inputSchema: NotRequired[dict[str, object]]
    outputSchema: NotRequired[dict[str, object]]
    annotations: NotRequired[dict[str, object]]


class InfoServer(TypedDict):
    transport: Literal["stdio", "http_streamable", "sse"]
    command: NotRequired[str]
    url: NotRequired[Annotated[str, Field(description="Scheme, host and port.")]]
    description: NotRequired[str]
    tools: NotRequired[list[ServerTool]]


class InfoWorker(TypedDict):
    name: str
    description: str
    model: NotRequired[str]


class InfoSkill(TypedDict):
    name: str
    description: str


class IndexedDocuments(TypedDict):
    found: Count
    done: Count


class InfoStore(TypedDict):
    name: str
    type: Literal["in_memory", "qdrant", "pgvector", "bedrock_kb"]
    description: NotRequired[str]
    state: NotRequired[Literal["closed", "indexing", "ready", "failed"]]
    documents: NotRequired[Annotated[IndexedDocuments, Field(description="How far the sources are indexed.")]]


class InfoAgent(TypedDict):
    id: str
    description: NotRequired[str]
    model: str
    workers: NotRequired[list[InfoWorker]]
    mcp_servers: dict[str, InfoServer]
    vector_stores: NotRequired[list[InfoStore]]
    skills: NotRequired[list[InfoSkill]]
    broken_skills: NotRequired[Annotated[list[str], Field(description="Left out; `aura check` says why.")]]


class InfoProcess(TypedDict):
    index: Count
    count: Count


class Info(TypedDict):
    default_agent: NotRequired[str]
    process: NotRequired[Annotated[InfoProcess, Field(description="Which of several processes has answered.")]]
    agents: list[InfoAgent]


class Live(TypedDict):
    status: Literal["alive"]


class ReloadState(TypedDict):
    ok: Annotated[bool, Field(description="False when the last reload changed nothing.")]


class FailedServers(TypedDict):
    failed: Annotated[list[str], Field(description="Names of servers that cannot be reached.")]


class FailedStores(TypedDict):
    failed: Annotated[list[str], Field(description="Names of vector stores that cannot be opened.")]


class Ready(TypedDict):
    """`degraded` serves requests, with less than it should have."""

    status: Literal["ready", "degraded", "not_ready"]
    draining: bool
    agents: NotRequired[Count]
    reload: NotRequired[ReloadState]
    mcp_servers: NotRequired[FailedServers]
    vector_stores: NotRequired[FailedStores]
