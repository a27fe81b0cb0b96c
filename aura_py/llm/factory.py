"""From an agent's LLM table to a model: the dialect, its fallbacks, retries and the text-call parser."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from aura_py.llm import transport
from aura_py.llm.circuit import circuit_of
from aura_py.llm.contract import Capabilities, ChatModel
from aura_py.llm.resilience import ResilientModel

if TYPE_CHECKING:
    from aura_py.config.models import LLM

PROVIDERS = ("openai", "openrouter", "anthropic", "bedrock", "gemini", "ollama", "scripted")


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


def capabilities(provider: str) -> Capabilities:
    """What a provider's dialect declares; imports the dialect, not its SDK."""
    declared: Capabilities = _module(provider).CAPABILITIES
    return declared


def preload(config: LLM) -> None:
    """Import what the calls of ``config`` and its fallbacks will need. Slow; call it in a thread after start-up.

    Without it the first question pays.
    """
    if any(table.provider != "scripted" for table in (config, *config.fallback)):
        transport.preload()


def _dialect(config: LLM, agent: str) -> ChatModel:
    model: ChatModel = _module(config.provider).build(config, agent=agent)
    if not config.fallback_tool_parsing:
        return model
    from aura_py.llm.text_calls import TextCallModel

    return TextCallModel(model)


def _module(provider: str) -> ModuleType:
    return import_module(f"aura_py.llm.{provider}")
