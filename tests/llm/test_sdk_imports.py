"""Starting with one provider imports no other provider's SDK."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SDKS = {"openai": "openai", "anthropic": "anthropic", "bedrock": "boto3", "gemini": "google.genai", "ollama": "ollama"}
_BUILD = """
import sys
from pydantic import SecretStr
from aura_py.config import models
from aura_py.llm.factory import build_model

key = SecretStr("k")
table = {
    "openai": lambda: models.OpenAILLM(model="m", api_key=key),
    "openrouter": lambda: models.OpenRouterLLM(model="m", api_key=key),
    "anthropic": lambda: models.AnthropicLLM(model="m", api_key=key),
    "gemini": lambda: models.GeminiLLM(model="m", api_key=key),
    "ollama": lambda: models.OllamaLLM(model="m"),
    "bedrock": lambda: models.BedrockLLM(model="m", region="eu-west-1"),
}[sys.argv[1]]()
build_model(table, agent="tester")
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize("provider", [*_SDKS, "openrouter"])
def test_building_a_model_imports_at_most_its_own_sdk(provider: str) -> None:
    command = [sys.executable, "-c", _BUILD, provider, *_SDKS.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) <= {_SDKS.get(provider, "openai")}


def test_declaring_capabilities_imports_no_sdk() -> None:
    code = (
        "import sys; from docs.references.providers import capability_table; capability_table();"
        " print(*(name for name in sys.argv[1:] if name in sys.modules))"
    )
    command = [sys.executable, "-c", code, *_SDKS.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
