"""The agent file as frozen, typed models. Attribute names are the TOML keys (``config.md`` §6–§15).

These classes state shape and defaults; ``loader`` reads TOML leniently, reports every problem with its place, and
only then builds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
Overridable = Literal[
    "temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "tool_choice", "reasoning_effort"
]


class Section(BaseModel):
    """Base of every table."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


# --- models (§8) ---------------------------------------------------------------------------------------------------


class LLMBase(Section):
    model: str
    max_tokens: int | None = None
    context_window: int | None = None
    temperature: float | None = None
    fallback_tool_parsing: bool = False
    tool_choice: Literal["auto"] | None = None
    """``auto``: the model cannot be made to call a tool, and Aura never tries."""
    additional_params: Mapping[str, Any] = Field(default_factory=dict)
    fallback: tuple[LLM, ...] = ()
    """Complete LLM tables tried in order when this model is overloaded or unreachable (extension)."""


class OpenAILLM(LLMBase):
    provider: Literal["openai"] = "openai"
    api_key: SecretStr
    base_url: str | None = None
    reasoning_effort: ReasoningEffort | None = None


class OpenRouterLLM(LLMBase):
    provider: Literal["openrouter"] = "openrouter"
    api_key: SecretStr
    base_url: str | None = None


class AnthropicLLM(LLMBase):
    provider: Literal["anthropic"] = "anthropic"
    api_key: SecretStr
    base_url: str | None = None


class GeminiLLM(LLMBase):
    provider: Literal["gemini"] = "gemini"
    api_key: SecretStr
    base_url: str | None = None


class OllamaLLM(LLMBase):
    provider: Literal["ollama"] = "ollama"
    api_key: SecretStr | None = None
    base_url: str = "http://localhost:11434"


class BedrockLLM(LLMBase):
    provider: Literal["bedrock"] = "bedrock"
    region: str
    profile: str | None = None
    api_key: SecretStr | None = None
    base_url: str | None = None


class ScriptCall(Section):
    """A tool call of a scripted answer; strings inside ``arguments`` are templates."""

    name: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)


class ScriptUsage(Section):
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


class ScriptFailure(Section):
    status: int = 500
    code: str | None = None
    message: str = "scripted failure"
    after_chars: int | None = None


class ScriptRule(Section):
    """One rule (``scripted-provider.md`` §2): match keys first, then answer keys."""

    user: str | None = None
    system: str | None = None
    role: Literal["agent", "coordinator", "worker"] | None = None
    worker: str | None = None
    tools: tuple[str, ...] | None = None
    after_tool: str | None = None
    after_error: bool | None = None
    call: int | None = None
    phase: Literal["plan", "continue"] | None = None

    say: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ScriptCall, ...] = ()
    as_text: bool = False
    format: Literal["json", "hermes", "pythonic", "qwen"] = "json"
    finish: Literal["stop", "length", "content_filter"] = "stop"
    usage: ScriptUsage | None = None
    delay_ms: int = 0
    jitter_ms: int = 0
    error: ScriptFailure | None = None
    hang: bool = False
    times: int | None = None


class ScriptedLLM(LLMBase):
    """``scripted-provider.md`` §1. ``rules`` come from ``script`` or stand inline; the loader has validated them."""

    provider: Literal["scripted"] = "scripted"
    script: Path | None = None
    rules: tuple[ScriptRule, ...] = ()
    tokens_per_second: float = 0
    first_token_ms: int = 0
    chunk_chars: int = 0
    seed: int = 0


LLM: TypeAlias = Annotated[
    OpenAILLM | OpenRouterLLM | AnthropicLLM | GeminiLLM | OllamaLLM | BedrockLLM | ScriptedLLM,
    Field(discriminator="provider"),
]


# --- scratchpad and skills (§9, §10) -------------------------------------------------------------------------------


class ScratchpadSettings(Section):
    enabled: bool = False
    context_safety_margin: float = 0.20
    max_extraction_tokens: int = 10_000
    turn_depth_bonus: int = 6
    default_min_tokens: int | None = None
    """Extension: park outputs of tools that no threshold names (absent: only when they would not fit)."""
    retention_hours: int = 24
    """Extension: age at which files of ended runs are removed at start-up and run end; 0 removes them at run end."""
    max_bytes: int = 1_073_741_824
    """Extension: total size of an agent's scratchpad before the oldest ended runs are removed."""


class SkillSource(Section):
    source: Path


class Skills(Section):
    local: tuple[SkillSource, ...] = ()


class ScratchpadThreshold(Section):
    min_tokens: int = 5120


# --- MCP (§11) -----------------------------------------------------------------------------------------------------


class McpServerBase(Section):
    description: str | None = None
    scratchpad: Mapping[str, ScratchpadThreshold] = Field(default_factory=dict)
    enabled: bool = True
    required: bool = False
    connect_timeout_secs: int = 30
    tool_timeout_secs: int = 0
    max_parallel_tool_calls: int = 8


class StdioServer(McpServerBase):
    transport: Literal["stdio"] = "stdio"
    cmd: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: Mapping[str, SecretStr] = Field(default_factory=dict)
    inherit_env: bool = True


class HttpServer(McpServerBase):
    transport: Literal["http_streamable"] = "http_streamable"
    url: SecretStr
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    headers_from_request: Mapping[str, str] = Field(default_factory=dict)


class SseServer(McpServerBase):
    transport: Literal["sse"] = "sse"
    url: SecretStr
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    headers_from_request: Mapping[str, str] = Field(default_factory=dict)


McpServer: TypeAlias = Annotated[StdioServer | HttpServer | SseServer, Field(discriminator="transport")]


class Mcp(Section):
    servers: Mapping[str, McpServer] = Field(default_factory=dict)
    sanitize_schemas: bool = True


# --- knowledge, tools, approvals (§12–§14) -------------------------------------------------------------------------


class OpenAIEmbedding(Section):
    provider: Literal["openai"] = "openai"
    model: str
    api_key: SecretStr
    base_url: str | None = None
    dimensions: int | None = None


class BedrockEmbedding(Section):
    provider: Literal["bedrock"] = "bedrock"
    model: str
    region: str
    profile: str | None = None
    dimensions: int | None = None


class GeminiEmbedding(Section):
    """Extension (``knowledge.md`` K-2)."""

    provider: Literal["gemini"] = "gemini"
    model: str
    api_key: SecretStr
    base_url: str | None = None
    dimensions: int | None = None


class OllamaEmbedding(Section):
    """Extension (``knowledge.md`` K-2)."""

    provider: Literal["ollama"] = "ollama"
    model: str
    api_key: SecretStr | None = None
    base_url: str = "http://localhost:11434"
    dimensions: int | None = None


Embedding: TypeAlias = Annotated[
    OpenAIEmbedding | BedrockEmbedding | GeminiEmbedding | OllamaEmbedding, Field(discriminator="provider")
]


class VectorStoreBase(Section):
    name: str
    context_prefix: str | None = None
    required: bool = False


class InMemoryStore(VectorStoreBase):
    type: Literal["in_memory"] = "in_memory"
    embedding_model: Embedding


class QdrantStore(VectorStoreBase):
    type: Literal["qdrant"] = "qdrant"
    embedding_model: Embedding
    url: SecretStr
    collection_name: str
    api_key: SecretStr | None = None
    content_field: str | None = None
    metadata_fields: tuple[str, ...] = ()


class BedrockKbStore(VectorStoreBase):
    type: Literal["bedrock_kb"] = "bedrock_kb"
    knowledge_base_id: str
    region: str
    profile: str | None = None
    managed: bool = False


VectorStore: TypeAlias = Annotated[InMemoryStore | QdrantStore | BedrockKbStore, Field(discriminator="type")]


class Tools(Section):
    filesystem: bool = False
    filesystem_root: Path | None = None
    custom_tools: tuple[str, ...] = ()


class ConversationalRoute(Section):
    mode: Literal["conversational"] = "conversational"
    timeout_secs: int = 60


class WebhookRoute(Section):
    mode: Literal["webhook"] = "webhook"
    timeout_secs: int = 300
    url: SecretStr
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    headers_from_request: Mapping[str, str] = Field(default_factory=dict)
    tool_headers_from_response: Mapping[str, str] = Field(default_factory=dict)


class Hitl(Section):
    require_approval: tuple[str, ...] = ()
    route: Annotated[ConversationalRoute | WebhookRoute, Field(discriminator="mode")]


# --- orchestration (§15) -------------------------------------------------------------------------------------------


class OrchestrationTimeouts(Section):
    per_call_timeout_secs: int = 0
    stream_inactivity_timeout_secs: int = 0


class Artifacts(Section):
    memory_dir: Path | None = None
    result_artifact_threshold: int = 4000
    result_summary_length: int = 2000
    session_history_turns: int = 3
    persistence_drain_timeout_ms: int = 2000
    tool_output_artifact_threshold: int = 500
    tool_output_duration_threshold_ms: int = 5000
    show_tool_reasoning_in_continuation: bool = False
    max_session_runs: int = 20
    max_memory_mb: int = 0
    """Extension: total size of the memory directory before the oldest ended runs are removed; 0 is no limit."""
    max_age_days: int = 0
    """Extension: age at which ended runs are removed; 0 is never."""


class Worker(Section):
    """``mcp_filter`` ``None`` inherits the agent's, ``()`` means no MCP tools. ``scratchpad`` is already overlaid."""

    description: str
    preamble: str
    mcp_filter: tuple[str, ...] | None = None
    vector_stores: tuple[str, ...] = ()
    turn_depth: int | None = None
    llm: LLM | None = None
    scratchpad: ScratchpadSettings | None = None
    skills: Skills | None = None
    max_parallel_tasks: int = 0
    """Extension: tasks of this worker that may run at once; 0 is no limit of its own."""
    accept_unsubmitted: bool = False


class Orchestration(Section):
    enabled: bool = False
    max_planning_cycles: int = 3
    max_plan_parse_retries: int = 3
    worker_system_prompt: str | None = None
    worker: Mapping[str, Worker] = Field(default_factory=dict)
    coordinator_vector_stores: tuple[str, ...] = ()
    default_vector_stores: tuple[str, ...] | None = None
    """Extension: stores of the generic worker; ``None`` when the key is absent."""
    allow_direct_answers: bool = True
    allow_clarification: bool = True
    tools_in_planning: Literal["none", "summary", "full"] = "summary"
    max_tools_per_worker: int = 10
    duplicate_call_nudge_threshold: int = 3
    duplicate_call_block_threshold: int = 5
    max_parallel_tasks: int = 8
    """Extension: tasks that run at once; 0 is no limit."""
    schedule: Literal["eager", "waves"] = "eager"
    """Extension: ``waves`` restores the barrier between waves."""
    prompts: Mapping[str, Path] = Field(default_factory=dict)
    """Extension: prompt name to a Jinja2 file that replaces the built-in prompt."""
    timeouts: OrchestrationTimeouts = OrchestrationTimeouts()
    artifacts: Artifacts = Artifacts()


# --- the agent and the file (§6, §7) -------------------------------------------------------------------------------


class AgentSection(Section):
    """``mcp_filter`` ``None`` is all MCP tools, ``()`` is none."""

    name: str
    alias: str | None = None
    description: str | None = None
    system_prompt: str
    context: tuple[str, ...] = ()
    turn_depth: int = 5
    created_at: int | None = None
    """Milliseconds since the epoch; the loader fills in the load time."""
    model_owner: str | None = None
    mcp_filter: tuple[str, ...] | None = None
    enable_client_tools: bool = False
    client_tool_filter: tuple[str, ...] | None = None
    llm: LLM
    scratchpad: ScratchpadSettings = ScratchpadSettings()
    hidden: bool = False
    skills: Skills | None = None
    nudge_last_turn: bool | None = None
    """Absent: off for a single agent, on for workers."""
    nudge_turns_remaining: int | None = None
    request_overrides: tuple[Overridable, ...] = ()
    """Extension: request parameters that may replace the file's; the others are ignored."""
    emit_reasoning: bool = True
    """Extension: reasoning as ``reasoning_content`` deltas."""
    side_requests: Literal["model", "agent", "refuse"] = "model"
    """Extension: titles, tags and follow-ups of chat UIs (``clients.md`` ID-6)."""
    session_turns: Literal["queue", "reject", "interrupt"] = "queue"
    """Extension: a turn in a session that already has one (``clients.md`` CX-6)."""
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    """Extension: what becomes of a run whose client has left (``clients.md`` CX-2)."""
    images: Literal["auto", "note", "refuse"] = "auto"
    """Extension: what becomes of images (``clients.md`` RQ-5); the file knows whether its model sees them."""
    reasoning_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    """Extension: where chat clients find reasoning (``clients.md`` RS-1)."""
    show_progress: bool = False
    """Extension: tools and workers as short reasoning lines (``clients.md`` RS-3)."""


class AgentConfig(Section):
    """One file: one agent. ``path`` is the file as loaded, ``memory_dir`` already resolved over the legacy places."""

    path: Path
    memory_dir: Path | None = None
    agent: AgentSection
    mcp: Mcp = Mcp()
    vector_stores: tuple[VectorStore, ...] = ()
    tools: Tools = Tools()
    hitl: Hitl | None = None
    orchestration: Orchestration = Orchestration()

    @property
    def id(self) -> str:
        """The effective id: alias, else name (§18.1)."""
        return self.agent.alias or self.agent.name

    @property
    def orchestrated(self) -> bool:
        return self.orchestration.enabled


LLMBase.model_rebuild()
