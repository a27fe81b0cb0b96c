"""The OpenAI dialect against a real inference server: llama.cpp over a tiny model of random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM
from aura_py.errors import ContextOverflow
from aura_py.llm import build_model
from aura_py.llm.contract import (
    ChatModel,
    ChatRequest,
    Delta,
    Finish,
    NamedTool,
    Sampling,
    Text,
    ToolCallReady,
    ToolSpec,
    UsageReport,
)
from aura_py.messages import JsonObject, system, user
from tests.wire.providers.local_model import WINDOW

try:
    import_module("xllamacpp")
except ImportError as error:
    pytest.skip(f"llama.cpp cannot be loaded here: {error}", allow_module_level=True)

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.wire.providers.local_model", str(tmp_path_factory.mktemp("model"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT, text=True
    ) as process:
        assert process.stdout is not None
        found = next((line.strip() for line in process.stdout if line.startswith("http")), "")
        yield found
        process.communicate(timeout=20)


@pytest.fixture
async def model(address: str) -> AsyncIterator[ChatModel]:
    table = OpenAILLM(model="tiny", api_key=SecretStr("any"), base_url=f"{address}/v1", max_tokens=12)
    built = build_model(table, agent="tester")
    yield built
    await built.aclose()


async def ask(model: ChatModel, request: ChatRequest) -> list[Delta]:
    return [delta async for batch in model.stream(request) for delta in batch]


async def test_text_usage_and_finish_come_from_a_real_server(model: ChatModel) -> None:
    deltas = await ask(model, ChatRequest((system("Be brief."), user("hello"))))
    assert any(isinstance(delta, Text) for delta in deltas)
    (usage,) = [delta.usage for delta in deltas if isinstance(delta, UsageReport)]
    assert usage.input > 0
    assert 0 < usage.output <= 12
    assert deltas[-1] in (Finish("length"), Finish("stop"))


async def test_questions_follow_each_other_without_a_lost_connection(
    model: ChatModel, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        await ask(model, ChatRequest((user("hello"),)))
    assert caplog.records == []


async def test_a_response_format_binds_a_real_sampler(model: ChatModel) -> None:
    schema: JsonObject = {"type": "string", "enum": ["affirmative"]}
    form: JsonObject = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    deltas = await ask(model, ChatRequest((user("go"),), sampling=Sampling(response_format=form, max_tokens=64)))
    text = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    assert text.strip()
    assert '"affirmative"'.startswith(text.strip())  # random weights may dawdle until the limit, but not stray


async def test_a_conversation_beyond_the_window_is_an_overflow(model: ChatModel) -> None:
    with pytest.raises(ContextOverflow):
        await ask(model, ChatRequest((user("word " * WINDOW),)))


async def test_a_forced_call_comes_back_as_a_call(model: ChatModel) -> None:
    flag: JsonObject = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
    request = ChatRequest(
        (user("go"),),
        tools=(ToolSpec("switch", "Switches.", flag),),
        tool_choice=NamedTool("switch"),
        sampling=Sampling(max_tokens=200, temperature=0, seed=1),
    )
    deltas = await ask(model, request)
    for call in (delta.call for delta in deltas if isinstance(delta, ToolCallReady)):
        assert call.name == "switch"
        assert isinstance(json.loads(call.arguments)["on"], bool)
    assert isinstance(deltas[-1], Finish)
