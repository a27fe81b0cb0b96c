"""The agent file as frozen, typed models. Attribute names are the TOML keys.

The loader reads TOML leniently by what the models say, reports every problem with its place, and only then builds them.
"""

from aura_py.config.models.agent import AgentSection, Overridable
from aura_py.config.models.approvals import ConversationalRoute, Hitl, WebhookRoute
from aura_py.config.models.knowledge import (
    BedrockEmbedding,
    BedrockKbStore,
    Embedding,
    GeminiEmbedding,
    InMemoryStore,
    OllamaEmbedding,
    OpenAIEmbedding,
    PgvectorStore,
    QdrantStore,
    SearchableStore,
    VectorStore,
    VectorStoreBase,
)
from aura_py.config.models.llm import (
    LLM,
    PROVIDERS,
    AnthropicLLM,
    BedrockLLM,
    GeminiLLM,
    LLMBase,
    OllamaLLM,
    OpenAILLM,
    OpenRouterLLM,
    ReasoningEffort,
    ScriptedLLM,
)
from aura_py.config.models.mcp import HttpServer, Mcp, McpServer, McpServerBase, SseServer, StdioServer
from aura_py.config.models.orchestration import Artifacts, Orchestration, OrchestrationTimeouts, Worker
from aura_py.config.models.root import AgentConfig
from aura_py.config.models.scratchpad import ScratchpadSettings, ScratchpadThreshold
from aura_py.config.models.script import ScriptCall, ScriptFailure, ScriptRule, ScriptUsage
from aura_py.config.models.skills import Skills, SkillSource
from aura_py.config.models.tools import Tools
from aura_py.config.tables import Section

__all__ = [
    "LLM",
    "PROVIDERS",
    "AgentConfig",
    "AgentSection",
    "AnthropicLLM",
    "Artifacts",
    "BedrockEmbedding",
    "BedrockKbStore",
    "BedrockLLM",
    "ConversationalRoute",
    "Embedding",
    "GeminiEmbedding",
    "GeminiLLM",
    "Hitl",
    "HttpServer",
    "InMemoryStore",
    "LLMBase",
    "Mcp",
    "McpServer",
    "McpServerBase",
    "OllamaEmbedding",
    "OllamaLLM",
    "OpenAIEmbedding",
    "OpenAILLM",
    "OpenRouterLLM",
    "Orchestration",
    "OrchestrationTimeouts",
    "Overridable",
    "PgvectorStore",
    "QdrantStore",
    "ReasoningEffort",
    "ScratchpadSettings",
    "ScratchpadThreshold",
    "ScriptCall",
    "ScriptFailure",
    "ScriptRule",
    "ScriptUsage",
    "ScriptedLLM",
    "SearchableStore",
    "Section",
    "SkillSource",
    "Skills",
    "SseServer",
    "StdioServer",
    "Tools",
    "VectorStore",
    "VectorStoreBase",
    "WebhookRoute",
    "Worker",
]
