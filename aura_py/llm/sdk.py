"""Which vendor SDK a provider needs, so that it can be imported before the first request waits for it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

_SDKS: Final = {
    "openai": "openai",
    "openrouter": "openai",
    "anthropic": "anthropic",
    "bedrock": "botocore.session",
    "gemini": "google.genai",
    "ollama": "ollama",
}


def import_sdk(provider: str) -> None:
    """Imports the SDK of ``provider``; nothing for providers without one. Takes up to two seconds: use a thread."""
    name = _SDKS.get(provider)
    if name is not None:
        import_module(name)
