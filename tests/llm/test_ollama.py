"""What only Ollama's dialect does; the rest is in the contract suite."""

from __future__ import annotations

from typing import Any

import pytest

from aura_py.errors import ProviderNotFound, RequestError, UnsupportedContent
from aura_py.llm.contract import ChatRequest, Delta, Text, Thinking, ThinkingBlock
from aura_py.llm.ollama.body import build_body
from aura_py.llm.ollama.client import ollama_errors
from aura_py.llm.ollama.stream import OllamaStream
from aura_py.llm.request_body import BodyOptions
from aura_py.messages import FilePart, ImagePart, Message, Reasoning, TextPart, ToolCall, assistant, tool_result, user
from tests.llm.conversations import CALL, WEATHER, after_a_call, ask, asked, sampled


def body(request: ChatRequest, model: str = "qwen3:8b", **rest: Any) -> dict[str, Any]:
    options = {"max_tokens": None, "temperature": None, "additional_params": {}, **rest}
    return build_body(request, BodyOptions(asked("ollama", model), **options))


def read(*chunks: bytes) -> tuple[list[Delta], OllamaStream]:
    reader = OllamaStream(asked("ollama", "m"))
    deltas = [delta for chunk in chunks for delta in reader.feed(chunk)]
    return [*deltas, *reader.end()], reader


def test_sampling_goes_to_the_options() -> None:
    sent = body(sampled(temperature=0.1, top_p=0.2, max_tokens=9, stop=("x",), seed=4))
    assert sent["options"] == {"temperature": 0.1, "top_p": 0.2, "num_predict": 9, "stop": ["x"], "seed": 4}


def test_some_additional_params_stand_beside_the_options() -> None:
    extra = {"num_ctx": 8192, "think": False, "keep_alive": "10m", "format": "json", "temperature": 0.9}
    sent = body(ask(), temperature=0.1, additional_params=extra)
    assert sent["options"] == {"num_ctx": 8192, "temperature": 0.9}
    assert (sent["think"], sent["keep_alive"], sent["format"]) == (False, "10m", "json")


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("qwen3:8b", "none", False),
        ("qwen3:8b", "low", True),
        ("gpt-oss:20b", "medium", "medium"),
        ("gpt-oss:20b", "xhigh", "high"),
    ],
)
def test_reasoning_effort_is_think(model: str, effort: Any, expected: bool | str) -> None:
    assert body(sampled(reasoning_effort=effort), model)["think"] == expected


def test_a_schema_is_the_format() -> None:
    schema = {"type": "object"}
    assert body(sampled(response_format={"type": "json_schema", "json_schema": {"schema": schema}}))["format"] == schema
    assert body(sampled(response_format={"type": "json_object"}))["format"] == "json"


def test_tools_are_left_out_when_none_may_be_called_and_a_forced_one_is_refused() -> None:
    assert "tools" not in body(ask(tools=(WEATHER,), tool_choice="none"))
    with pytest.raises(RequestError, match="cannot force"):
        body(ask(tools=(WEATHER,), tool_choice="required"))


def test_calls_results_and_thinking_go_back() -> None:
    messages = body(ask(*after_a_call(Reasoning("hm", "ollama")), tools=(WEATHER,)))["messages"]
    assert messages[1]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": {"city": "Oslo"}}
    assert messages[1]["thinking"] == "hm"
    assert (messages[2]["role"], messages[2]["tool_name"], messages[2]["content"]) == ("tool", "get_weather", "rain")


def test_pictures_of_results_follow_all_results() -> None:
    other = ToolCall("call_b2", "add", "{}")
    picture = ImagePart("data:image/png;base64,AAAA")
    results = (tool_result(CALL, (TextPart("map"), picture)), tool_result(other, (TextPart("3"),)))
    messages = body(ask(user("go"), assistant("", (CALL, other)), *results, tools=(WEATHER,)))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[-1]["images"] == ["AAAA"]


@pytest.mark.parametrize(
    "part", [ImagePart("https://example.org/a.png"), FilePart(data="AAAA", media_type="application/pdf")]
)
def test_what_ollama_cannot_take_is_refused(part: ImagePart | FilePart) -> None:
    with pytest.raises(UnsupportedContent):
        body(ask(Message("user", (part,))))


def test_thinking_becomes_a_block_when_the_text_begins() -> None:
    deltas, _ = read(
        b'{"message":{"thinking":"a"},"done":false}\n{"message":{"thinking":"b"},"done":false}\n',
        b'{"message":{"content":"c"},"done":false}\n{"message":{},"done":true,"done_reason":"stop"}\n',
    )
    assert deltas[:4] == [Thinking("a"), Thinking("b"), ThinkingBlock(Reasoning("ab", "ollama")), Text("c")]


def test_a_last_line_without_line_feed_counts() -> None:
    deltas, reader = read(b'{"message":{"content":"c"},"done":true,"done_reason":"length"}')
    assert reader.failure is None
    assert deltas[0] == Text("c")


def test_a_missing_model_is_told_with_the_command_that_gets_it() -> None:
    error = ollama_errors("tester", "qwen3:8b", "http://somewhere", "").status(404, '{"error":"model not found"}')
    assert isinstance(error, ProviderNotFound)
    assert "ollama pull qwen3:8b" in error.message
