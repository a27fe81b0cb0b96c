"""The list of providers: a new one is a package and an entry here."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

from aura_py.llm.contract import Capabilities

_PACKAGES: Final = {
    "openai": "aura_py.llm.openai",
    "openrouter": "aura_py.llm.openrouter",
    "anthropic": "aura_py.llm.anthropic",
    "bedrock": "aura_py.llm.bedrock",
    "gemini": "aura_py.llm.gemini",
    "ollama": "aura_py.llm.ollama",
    "scripted": "aura_py.llm.scripted",
}
PROVIDERS: Final = tuple(_PACKAGES)


def provider_module(provider: str, name: str = "client") -> ModuleType:
    """Import a module of a provider's package: ``client`` builds chat models, ``embeddings`` embedding models."""
    return import_module(f"{_PACKAGES[provider]}.{name}")


def capabilities(provider: str) -> Capabilities:
    """What a provider's chat models can do. Imports the provider's package, but no SDK."""
    declared: Capabilities = provider_module(provider).CAPABILITIES
    return declared
