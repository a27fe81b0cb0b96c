"""Build models from configuration tables: the provider's dialect, its fallbacks, retries and the text-call parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aura_py.llm import transport
from aura_py.llm.circuit import circuit_of
from aura_py.llm.contract import ChatModel
from aura_py.llm.registry import provider_module
from aura_py.llm.resilience import ResilientModel, RetryPolicy

if TYPE_CHECKING:
    from aura_py.config.models import LLM, Embedding
    from aura_py.llm.embeddings import EmbeddingModel


def build_model(config: LLM, *, agent: str) -> ChatModel:
    """The model that ``config`` describes, ready for calls. Only its own provider's modules are imported.

    Raises:
        ConfigurationError: The provider cannot do what the table asks for.
    """
    tables = (config, *config.fallback)
    chain = [_dialect(table, agent) for table in tables]
    return ResilientModel(
        chain[0],
        chain[1:],
        agent=agent,
        caps=[table.max_tokens for table in tables],
        circuits=[circuit_of(table) for table in tables],
        never_forced=[table.tool_choice == "auto" for table in tables],
    )


def build_embeddings(config: Embedding, *, agent: str, policy: RetryPolicy | None = None) -> EmbeddingModel:
    """The embedding model that ``config`` describes. Only its own provider's modules are imported.

    Raises:
        ConfigurationError: The provider cannot do what the table asks for.
    """
    module = provider_module(config.provider, "embeddings")
    return cast("EmbeddingModel", module.build(config, agent=agent, policy=policy))


def preload(config: LLM) -> None:
    """Import what the calls of ``config`` and its fallbacks will need. Slow; call it in a thread after start-up.

    Without it the first question pays.
    """
    if any(table.provider != "scripted" for table in (config, *config.fallback)):
        transport.preload()


def _dialect(config: LLM, agent: str) -> ChatModel:
    model: ChatModel = provider_module(config.provider).build(config, agent=agent)
    if not config.fallback_tool_parsing:
        return model
    from aura_py.llm.text_calls import TextCallModel

    return TextCallModel(model)
