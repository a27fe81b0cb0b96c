"""From an agent's LLM table to a model: the dialect, its fallbacks, retries and the text-call parser."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from aura_py.errors import ConfigurationError
from aura_py.llm.contract import Capabilities, ChatModel
from aura_py.llm.resilience import ResilientModel

if TYPE_CHECKING:
    from aura_py.config.models import LLM

PROVIDERS = ("openai", "openrouter", "anthropic", "bedrock", "gemini", "ollama", "scripted")


def build_model(config: LLM, *, agent: str) -> ChatModel:
    """The model that ``config`` describes, ready for calls. Only its own provider's modules are imported.

    Raises:
        ConfigurationError: The provider is not built, or cannot do what the table asks for.
    """
    chain = [_dialect(table, agent) for table in (config, *config.fallback)]
    return ResilientModel(chain[0], chain[1:], agent=agent)


def capabilities(provider: str) -> Capabilities:
    """What a provider's dialect declares; imports the dialect, not its SDK."""
    return cast("Capabilities", import_module(f"aura_py.llm.{provider}").CAPABILITIES)


def _dialect(config: LLM, agent: str) -> ChatModel:
    name = f"aura_py.llm.{config.provider}"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigurationError(
            f"agent `{agent}`: provider `{config.provider}` is not built yet; use `openai` or `scripted`"
        ) from error
    model: ChatModel = module.build(config, agent=agent)
    if not config.fallback_tool_parsing:
        return model
    from aura_py.llm.text_calls import TextCallModel

    return TextCallModel(model)
