"""Tool calls that a model writes as text, through the real server and a real MCP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.wire.process import AuraServer
from tests.wire.providers.agents import MOCK

FORMATS = ("json", "hermes", "pythonic", "qwen")
MARKUP = ("mock_tool", "<", "{", "[")


def agent_file(format_: str, *, chunk: int, parsing: bool = True) -> str:
    return f"""
[agent]
name = "{format_}-{chunk}{"" if parsing else "-raw"}"
system_prompt = "Use tools."
mcp_filter = ["mock_*", "list_metrics"]
[agent.llm]
provider = "scripted"
model = "writes-calls"
fallback_tool_parsing = {str(parsing).lower()}
chunk_chars = {chunk}
[[agent.llm.rules]]
after_tool = "*"
say = "It said: {{{{ result }}}}"
[[agent.llm.rules]]
user = "^forbidden$"
say = "Bye."
tool_calls = [{{ name = "die", arguments = {{}} }}]
as_text = true
format = "{format_}"
[[agent.llm.rules]]
say = "Let me ask."
tool_calls = [
    {{ name = "mock_tool", arguments = {{ message = "one" }} }},
    {{ name = "mock_tool", arguments = {{ message = "two" }} }},
]
as_text = true
format = "{format_}"
{MOCK}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    directory = tmp_path_factory.mktemp("text-calls") / "agents"
    directory.mkdir()
    for format_ in FORMATS:
        for chunk in (1, 0):
            (directory / f"{format_}{chunk}.toml").write_text(agent_file(format_, chunk=chunk))
    (directory / "raw.toml").write_text(agent_file("json", chunk=0, parsing=False))
    server = AuraServer.start(directory, tmp_path_factory.mktemp("server"), env={"PYTHONPATH": str(Path.cwd())})
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made
    server.stop()


def told(client: openai.OpenAI, model: str, question: str) -> tuple[str, list[dict[str, Any]], str | None]:
    """The text that was streamed, the tool events and the finish reason."""
    events: list[dict[str, Any]] = []
    text, finish = "", None
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        stream=True,
        extra_body={"aura": {"events": True}},
    )
    for chunk in stream:
        extra = chunk.model_dump()
        if "mock_tool" in json.dumps(extra) or '"die"' in json.dumps(extra):
            events.append(extra)
        for choice in chunk.choices:
            assert choice.delta.tool_calls is None
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, events, finish


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("chunk", [1, 0])
def test_calls_written_as_text_run_and_the_model_answers_from_their_results(
    client: openai.OpenAI, format_: str, chunk: int
) -> None:
    text, events, finish = told(client, f"{format_}-{chunk}", "ask twice")
    assert text.startswith("Let me ask.")
    assert text.endswith("It said: Mock tool received: two")
    assert finish == "stop"
    assert not any(markup in text for markup in MARKUP)
    assert events


@pytest.mark.parametrize("format_", FORMATS)
def test_a_call_outside_the_filter_is_never_run(client: openai.OpenAI, format_: str) -> None:
    # The tool would end its server's process, and with it the next call.
    text, _, finish = told(client, f"{format_}-0", "forbidden")
    assert "It said" not in text
    assert text.startswith("Bye.")
    assert finish == "stop"
    assert "Mock tool received" in told(client, f"{format_}-0", "ask twice")[0]


def test_without_the_key_text_stays_text(client: openai.OpenAI) -> None:
    text, _, _ = told(client, "json-0-raw", "ask twice")
    assert '"mock_tool"' in text
    assert "It said" not in text
