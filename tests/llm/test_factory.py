"""From a table to a model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM, ScriptedLLM, ScriptFailure, ScriptRule
from aura_py.llm import PROVIDERS, build_model, capabilities
from aura_py.llm.contract import ChatRequest, Text
from aura_py.messages import user

SDKS = {
    "openai": "openai",
    "openrouter": "openai",
    "anthropic": "anthropic",
    "gemini": "google.genai",
    "bedrock": "boto3",
    "ollama": "ollama",
    "scripted": "",
}


def imported(code: str, names: Iterable[str] = set(SDKS.values()) - {""}) -> set[str]:
    """Those of ``names`` that a fresh interpreter has imported after ``code``."""
    report = f"import sys; print(*(name for name in {sorted(names)!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.split())


def test_the_room_itself_imports_no_sdk() -> None:
    assert imported("import aura_py.llm") == set()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_imports_no_other_provider_s_sdk(provider: str) -> None:
    keys = {"bedrock": "model='m', region='eu-west-1'", "ollama": "model='m'"}
    keys["scripted"] = "model='m', rules=(models.ScriptRule(say='x'),)"
    classes = {"openai": "OpenAI", "openrouter": "OpenRouter"}
    name = classes.get(provider, provider.capitalize())
    code = (
        "from aura_py.config import models; from aura_py.llm import build_model\n"
        f"build_model(models.{name}LLM({keys.get(provider, 'model=chr(109), api_key=chr(107)')}), agent='a')"
    )
    assert imported(code) <= {SDKS[provider]}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_capabilities_are_known_without_an_sdk(provider: str) -> None:
    assert imported(f"from aura_py.llm import capabilities; capabilities({provider!r})") == set()


def test_building_a_model_does_not_wait_for_the_transport() -> None:
    code = (
        "from aura_py.config.models import OpenAILLM; from aura_py.llm import build_model\n"
        "build_model(OpenAILLM(model='m', api_key='k'), agent='a')"
    )
    assert imported(code, {"aiohttp", "openai"}) == set()


def test_preloading_imports_what_the_first_call_needs() -> None:
    code = (
        "from aura_py.config.models import OpenAILLM; from aura_py.llm import preload\n"
        "preload(OpenAILLM(model='m', api_key='k'))"
    )
    assert imported(code, {"aiohttp", "openai"}) == {"aiohttp"}


async def test_the_declared_fallbacks_answer_in_order() -> None:
    busy = ScriptedLLM(model="busy", rules=(ScriptRule(error=ScriptFailure(status=401)),))
    fine = ScriptedLLM(model="fine", rules=(ScriptRule(say="here"),))
    unreachable = OpenAILLM(model="m", api_key=SecretStr("k"), base_url="http://127.0.0.1:9/v1", fallback=(fine, busy))
    model = build_model(unreachable, agent="tester")
    deltas = [delta async for batch in model.stream(ChatRequest((user("x"),))) for delta in batch]
    await model.aclose()
    assert Text("here") in deltas
    assert (model.provider, model.model) == ("openai", "m")


def test_what_a_model_is_called_comes_from_its_table() -> None:
    model = build_model(OpenAILLM(model="m", api_key=SecretStr("k"), context_window=1000), agent="tester")
    assert (model.provider, model.model, model.context_window) == ("openai", "m", 1000)
    assert model.capabilities == capabilities("openai")
