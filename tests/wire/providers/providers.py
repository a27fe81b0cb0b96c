"""Every provider as the contract suite meets it: an agent's LLM table that points at a fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aura_py.config import models

KEY = "sk-never-shown-1f2e3d"
AWS = {
    # Bedrock takes its credentials from the environment; the id of the key is the part that is sent.
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": "never-sent-at-all",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
FAKES = Path(__file__).parent / "fakes"


def _openai(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.OpenAILLM(model=model, api_key=SecretStr(KEY), base_url=f"{address}/v1", **extra)


def _openrouter(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.OpenRouterLLM(model=model, api_key=SecretStr(KEY), base_url=f"{address}/api/v1", **extra)


def _anthropic(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.AnthropicLLM(model=model, api_key=SecretStr(KEY), base_url=address, **extra)


def _gemini(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.GeminiLLM(model=model, api_key=SecretStr(KEY), base_url=address, **extra)


def _ollama(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.OllamaLLM(model=model, api_key=SecretStr(KEY), base_url=address, **extra)


def _bedrock(model: str, address: str, extra: dict[str, Any]) -> models.LLM:
    return models.BedrockLLM(model=model, region="eu-west-1", api_key=SecretStr(KEY), base_url=address, **extra)


_ALL: dict[str, Callable[[str, str, dict[str, Any]], models.LLM]] = {
    "openai": _openai,
    "openrouter": _openrouter,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "bedrock": _bedrock,
}

NAMES = tuple(name for name in _ALL if (FAKES / f"{name}.py").exists())


def table(provider: str, model: str, address: str, **extra: Any) -> models.LLM:
    """The ``[agent.llm]`` table of ``provider`` for a fake at ``address``."""
    return _ALL[provider](model, address, extra)
