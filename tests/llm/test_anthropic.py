"""What only Anthropic's dialect does; the rest is in the contract suite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from aura_py.config.models import AnthropicLLM
from aura_py.errors import (
    ConfigurationError,
    ContextOverflow,
    ProviderAuthError,
    ProviderError,
    ProviderOverloaded,
    RequestError,
    UnsupportedContent,
)
from aura_py.llm import claude
from aura_py.llm.anthropic.body import build_body
from aura_py.llm.anthropic.client import build
from aura_py.llm.anthropic.stream import AnthropicStream
from aura_py.llm.contract import ChatRequest, Delta, Finish, NamedTool, ThinkingBlock, UsageReport
from aura_py.llm.request_body import BodyOptions
from aura_py.messages import FilePart, ImagePart, Message, Reasoning, TextPart, ToolCall, system, tool_result, user
from tests.llm.conversations import ADD, WEATHER, after_a_call, ask, asked, sampled

MODEL = "claude-sonnet-4-5"


OFFICIAL = "https://api.anthropic.com"


def body(request: ChatRequest, model: str = MODEL, address: str = "", **rest: Any) -> dict[str, Any]:
    options = {"max_tokens": None, "temperature": None, "additional_params": {}, **rest}
    who = asked("anthropic", model)
    return build_body(request, BodyOptions(replace(who, address=address) if address else who, **options))


def read(*events: dict[str, Any]) -> tuple[list[Delta], AnthropicStream]:
    reader = AnthropicStream(asked("anthropic", MODEL))
    deltas = [delta for event in events for delta in reader.feed(b"data: " + orjson.dumps(event) + b"\n\n")]
    return deltas, reader


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-sonnet-4-20250514", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("claude-opus-4-5", 64_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-5", 32_000),
        ("somebody-elses-model", 8192),
    ],
)
def test_max_tokens_is_always_sent(model: str, limit: int) -> None:
    assert body(ask(), model)["max_tokens"] == limit


def test_the_stable_prefix_ends_with_cache_markers() -> None:
    sent = body(ask(tools=(WEATHER, ADD)))
    assert ["cache_control" in tool for tool in sent["tools"]] == [False, True]
    assert "cache_control" in sent["system"][-1]
    assert "cache_control" not in str(sent["messages"])


def test_thinking_goes_back_with_its_signature_before_the_call() -> None:
    thoughts = (
        Reasoning("I wonder.", "anthropic", {"signature": "sig"}),
        Reasoning("", "anthropic", {"redacted": "blob"}),
        Reasoning("not mine", "gemini", {"thoughtSignature": "x"}),
    )
    sent = body(ask(*after_a_call(*thoughts), tools=(WEATHER,)))
    kinds = [block["type"] for block in sent["messages"][1]["content"]]
    assert kinds == ["thinking", "redacted_thinking", "tool_use"]
    assert sent["messages"][1]["content"][0]["signature"] == "sig"


def test_a_forced_tool_becomes_auto_while_the_model_thinks() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    forced = ask(tools=(WEATHER,), tool_choice=NamedTool("get_weather"))
    assert body(forced)["tool_choice"] == {"type": "tool", "name": "get_weather"}
    assert "tool_choice" not in body(forced, additional_params=thinking)
    assert "tool_choice" not in body(forced, "claude-fable-5-1")


def test_a_budget_is_dropped_while_calls_made_without_thinking_are_answered() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    signed = Reasoning("hm", "anthropic", {"signature": "s"})
    assert body(ask(*after_a_call(), tools=(WEATHER,)), additional_params=thinking)["thinking"]["type"] == "disabled"
    assert (
        body(ask(*after_a_call(signed), tools=(WEATHER,)), additional_params=thinking)["thinking"]["type"] == "enabled"
    )
    assert body(ask(), additional_params=thinking)["thinking"]["type"] == "enabled"


def test_parallel_calls_can_be_switched_off() -> None:
    sent = body(ask(tools=(WEATHER,), parallel_tool_calls=False))
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-sonnet-4-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        ("claude-sonnet-4-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-3-5-haiku-latest", "none", {}),
        (
            "claude-opus-4-6",
            "minimal",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (
            "claude-sonnet-4-6",
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
        ),
        (
            "claude-opus-4-7",
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
        ),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_reasoning_effort_is_the_models_own_knob(model: str, effort: Any, expected: dict[str, Any]) -> None:
    sent = body(sampled(reasoning_effort=effort), model)
    assert {key: sent[key] for key in ("thinking", "output_config") if key in sent} == expected


def test_an_effort_replaces_the_temperature_of_the_file() -> None:
    assert "temperature" not in body(sampled(reasoning_effort="low"), temperature=0.2)


def test_a_budget_stays_below_max_tokens() -> None:
    assert claude.thinking_budget("high", 8000) == 6976


@pytest.mark.parametrize(
    ("model", "limit", "effort"),
    [("claude-3-5-haiku-latest", None, "high"), (MODEL, 1000, "high"), ("claude-fable-5-1", None, "none")],
)
def test_an_effort_that_cannot_be_had_is_refused(model: str, limit: int | None, effort: Any) -> None:
    with pytest.raises(RequestError, match="reasoning_effort"):
        body(sampled(reasoning_effort=effort), model, max_tokens=limit)


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_sampling_of_a_request_is_refused_for_models_without_it(name: str) -> None:
    for model in ("claude-opus-4-7", "claude-sonnet-5", "claude-fable-5-1"):
        with pytest.raises(RequestError, match=name):
            body(sampled(**{name: 0.5}), model, address=OFFICIAL)
        assert body(sampled(**{name: 0.5}), model)[name] == 0.5
    assert body(sampled(**{name: 0.5}), "claude-sonnet-4-6", address=OFFICIAL)[name] == 0.5


def test_a_temperature_of_the_file_is_refused_at_load_for_models_without_it() -> None:
    def table(**rest: Any) -> AnthropicLLM:
        return AnthropicLLM(api_key=SecretStr("k"), temperature=0.2, **rest)

    with pytest.raises(ConfigurationError, match="`claude-opus-4-8` has no `temperature`"):
        build(table(model="claude-opus-4-8"), agent="tester")
    build(table(model="claude-sonnet-4-6"), agent="tester")
    build(table(model="claude-opus-4-8", base_url="http://gateway"), agent="tester")


def test_arguments_are_asked_for_as_they_are_written_where_the_field_is_known() -> None:
    request = ask(tools=(WEATHER, ADD))
    assert [tool["eager_input_streaming"] for tool in body(request, address=OFFICIAL)["tools"]] == [True, True]
    assert not any("eager_input_streaming" in tool for tool in body(request)["tools"])


def test_additional_params_win() -> None:
    sent = body(sampled(temperature=0.5), additional_params={"temperature": 0.1, "top_k": 5})
    assert (sent["temperature"], sent["top_k"]) == (0.1, 5)


def test_a_json_object_without_a_schema_is_refused() -> None:
    with pytest.raises(RequestError, match="json_schema"):
        body(sampled(response_format={"type": "json_object"}))


def test_tool_blocks_without_tools_are_told_as_text() -> None:
    sent = body(ask(*after_a_call()))
    assert "tool_use" not in str(sent)
    assert "rain" in str(sent)


def test_an_image_by_address_stays_an_address() -> None:
    picture = Message("user", (TextPart("see"), ImagePart("https://example.org/a.png")))
    block = body(ask(picture))["messages"][0]["content"][1]
    assert block == {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


def test_an_image_of_a_type_nobody_reads_is_refused() -> None:
    picture = Message("user", (ImagePart("data:image/tiff;base64,AAAA"),))
    with pytest.raises(UnsupportedContent, match="image/tiff"):
        body(ask(picture))


def test_a_pdf_is_a_document() -> None:
    file = Message("user", (TextPart("read"), FilePart(data="AAAA", name="a.pdf", media_type="application/pdf")))
    block = body(ask(file))["messages"][0]["content"][1]
    assert (block["type"], block["title"], block["source"]["type"]) == ("document", "a.pdf", "base64")


def test_a_failed_call_is_marked() -> None:
    call = ToolCall("call_1", "add", "{}")
    failed = tool_result(call, (TextPart("boom"),), is_error=True)
    sent = body(ask(user("go"), Message("assistant", (), (call,)), failed, tools=(ADD,)))
    assert sent["messages"][-1]["content"][0]["is_error"] is True


def test_several_system_messages_stay_blocks_of_one_prompt() -> None:
    sent = body(ask(system("one"), system("two"), user("hi")))
    assert [block["text"] for block in sent["system"]] == ["one", "two"]


def test_redacted_thinking_is_kept_for_later() -> None:
    deltas, _ = read(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": "blob"}},
        {"type": "content_block_stop", "index": 0},
    )
    assert deltas == [ThinkingBlock(Reasoning("", "anthropic", {"redacted": "blob"}))]


def test_input_counts_what_came_from_the_cache() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 1}
    deltas, _ = read({"type": "message_start", "message": {"usage": usage}})
    assert isinstance(deltas[0], UsageReport)
    assert (deltas[0].usage.input, deltas[0].usage.cached, deltas[0].usage.cache_write) == (28, 20, 3)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_every_stop_reason_has_its_finish_reason(stop: str, reason: str) -> None:
    deltas, reader = read(
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )
    assert deltas[-1] == Finish(reason)  # type: ignore[arg-type]
    assert reader.done


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("overloaded_error", "Overloaded", ProviderOverloaded),
        ("api_error", "Internal", ProviderOverloaded),
        ("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum", ContextOverflow),
    ],
)
def test_an_error_event_has_its_class(kind: str, message: str, expected: type[Exception]) -> None:
    _, reader = read({"type": "error", "error": {"type": kind, "message": message}})
    assert type(reader.failure) is expected


def test_unknown_events_are_skipped() -> None:
    deltas, reader = read({"type": "something_new", "payload": 1}, {"type": "ping"})
    assert deltas == []
    assert reader.failure is None


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"message": "busy", "code": 503}}, ProviderOverloaded),
        ({"error": {"type": "authentication_error", "message": "no"}}, ProviderAuthError),
        ({"error": "it broke"}, ProviderOverloaded),
        ({"type": "error", "error": None}, ProviderOverloaded),
        ({"type": "error"}, ProviderOverloaded),
    ],
)
def test_an_error_without_a_type_is_an_error(event: dict[str, Any], kind: type[ProviderError]) -> None:
    reader = AnthropicStream(asked("anthropic", "m"))
    reader.feed(b"data: " + orjson.dumps(event) + b"\n\n")
    assert type(reader.failure) is kind
