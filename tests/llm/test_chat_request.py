"""What is sent to a Chat Completions server."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM
from aura_py.errors import UnsupportedContent
from aura_py.llm.contract import ChatRequest, NamedTool, Sampling, ToolSpec
from aura_py.llm.json_text import to_json
from aura_py.llm.openai.client import build
from aura_py.messages import (
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    system,
    tool_result,
    user,
)

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
CALL = ToolCall("call_1", "add", '{"a":1}')


def body(request: ChatRequest | None = None, **config: Any) -> dict[str, Any]:
    config.setdefault("model", "gpt-4o")
    model = build(OpenAILLM(api_key=SecretStr("k"), **config), agent="tester")
    return dict(model.body(request or ChatRequest((system("Be brief."), user("hi")))))


def sent(*messages: Message, **config: Any) -> Any:
    return body(ChatRequest(messages), **config)["messages"]


def test_the_least_that_is_sent() -> None:
    assert body() == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("http://localhost:8000/v1", "max_tokens"),
        ("https://api.openai.com.example/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_server_knows(base_url: str | None, key: str) -> None:
    sent_body = body(base_url=base_url, max_tokens=100)
    assert sent_body[key] == 100
    assert len({"max_tokens", "max_completion_tokens"} & sent_body.keys()) == 1


@pytest.mark.parametrize(
    ("model", "base_url", "role"),
    [
        ("o3-mini", None, "developer"),
        ("gpt-5", None, "developer"),
        ("gpt-4o", None, "system"),
        ("o3-mini", "http://localhost:8000/v1", "system"),
    ],
)
def test_reasoning_models_get_their_instructions_as_developer(model: str, base_url: str | None, role: str) -> None:
    assert sent(system("x"), user("y"), model=model, base_url=base_url)[0]["role"] == role


def test_every_sampling_parameter_is_sent() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        stop=("a", "b"),
        seed=3,
        reasoning_effort="high",
        response_format={"type": "json_object"},
    )
    sent_body = body(ChatRequest((user("x"),), sampling=sampling), temperature=1.0, reasoning_effort="low")
    assert {key: value for key, value in sent_body.items() if key not in ("model", "messages", "stream")} == {
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 7,
        "stop": ["a", "b"],
        "seed": 3,
        "reasoning_effort": "high",
        "response_format": {"type": "json_object"},
    }


def test_zero_is_a_value() -> None:
    assert body(temperature=0.0)["temperature"] == 0
    assert body(ChatRequest((user("x"),), sampling=Sampling(seed=0)))["seed"] == 0


def test_additional_parameters_are_merged_last_and_shallowly() -> None:
    extra = {"temperature": 0.1, "stream_options": {"x": 1}, "custom": {"deep": [1]}}
    sent_body = body(temperature=1.0, additional_params=extra)
    assert sent_body["temperature"] == 0.1
    assert sent_body["stream_options"] == {"x": 1}
    assert sent_body["custom"] == {"deep": [1]}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        (NamedTool("add"), {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_tools_and_the_choice_among_them(choice: Any, expected: object) -> None:
    sent_body = body(ChatRequest((user("x"),), tools=(ADD,), tool_choice=choice, parallel_tool_calls=False))
    assert sent_body["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": ADD.parameters}}
    ]
    assert sent_body.get("tool_choice") == expected
    assert sent_body["parallel_tool_calls"] is False


def test_a_tool_is_strict_only_where_its_caller_says_so() -> None:
    tools = (ADD, replace(ADD, name="sum", strict=True))
    sent = body(ChatRequest((user("x"),), tools=tools))["tools"]
    assert ["strict" in tool["function"] for tool in sent] == [False, True]


def test_without_tools_no_choice_is_sent() -> None:
    assert (
        not {"tools", "tool_choice", "parallel_tool_calls"}
        & body(ChatRequest((user("x"),), tool_choice="required", parallel_tool_calls=True)).keys()
    )


def test_calls_and_results_are_paired_by_id() -> None:
    history = (user("go"), Message("assistant", (TextPart("Looking."),), (CALL,)), tool_result(CALL, (TextPart("2"),)))
    assert sent(*history)[1:] == [
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ]


def test_an_assistant_without_text_has_null_beside_calls_and_nothing_alone() -> None:
    assert sent(Message("assistant", (), (CALL,)))[0]["content"] is None
    assert sent(Message("assistant"))[0]["content"] == ""


def test_pictures_of_results_follow_all_results_of_the_turn() -> None:
    other = ToolCall("call_2", "add", "{}")
    picture = ImagePart("data:image/png;base64,AAAA")
    history = sent(
        Message("assistant", (), (CALL, other)),
        tool_result(CALL, (TextPart("map"), picture)),
        tool_result(other, (TextPart("2"),)),
        user("thanks"),
    )
    assert [message["role"] for message in history] == ["assistant", "tool", "tool", "user", "user"]
    assert history[3]["content"][1] == {"type": "image_url", "image_url": {"url": picture.url}}


def test_images_and_files_of_a_user_are_parts() -> None:
    parts = (
        TextPart("see"),
        ImagePart("https://x.example/a.png", "low"),
        FilePart("QUJD", None, "a.pdf", "application/pdf"),
    )
    assert sent(Message("user", parts))[0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ]


def test_a_file_by_its_address_is_refused() -> None:
    with pytest.raises(UnsupportedContent, match=r"`tester`.*address"):
        sent(Message("user", (FilePart(url="https://x.example/a.pdf"),)))


def test_reasoning_goes_back_under_its_own_key_beside_calls_only() -> None:
    thought = Reasoning("hm", "openai", {"key": "reasoning_content"})
    foreign = Reasoning("hm", "anthropic", {"key": "thinking"})
    assert sent(Message("assistant", (), (CALL,), (thought,)))[0]["reasoning_content"] == "hm"
    assert "thinking" not in sent(Message("assistant", (), (CALL,), (foreign,)))[0]
    assert "reasoning_content" not in sent(Message("assistant", (TextPart("x"),), (), (thought,)))[0]


def test_a_conversation_with_anything_in_it_can_be_sent() -> None:
    odd: JsonObject = MappingProxyType({"type": "object", "default": 2**70})
    request = ChatRequest((user("half a \ud83d pair"),), tools=(ToolSpec("x", "", odd),))
    assert "half a \ufffd pair".encode() in to_json(body(request))
    assert b"1180591620717411303424" in to_json(body(request))


@pytest.mark.parametrize(
    ("written", "sent_back"),
    [
        ('{"a": 2}', '{"a": 2}'),
        ('{"a": 2, "b"', '{"invalid_arguments":"{\\"a\\": 2, \\"b\\""}'),
        ("null", "{}"),
        ("[2,3]", '{"invalid_arguments":"[2,3]"}'),
        ('"{\\"a\\": 2}"', '{"a":2}'),
        ("", "{}"),
    ],
)
def test_arguments_go_back_as_the_object_that_was_executed_or_wrapped(written: str, sent_back: str) -> None:
    (entry,) = sent(Message("assistant", (), (ToolCall("c", "f", written),)))
    assert entry["tool_calls"][0]["function"]["arguments"] == sent_back


def test_what_a_server_added_to_its_call_goes_back_to_that_server_only() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "sig"}}}
    call = ToolCall("c", "f", "{}", {"extras": extra, "origin": "http://a/v1"})
    for address, expected in (("http://a/v1", extra["extra_content"]), ("http://b/v1", None)):
        (entry,) = sent(Message("assistant", (), (call,)), base_url=address)
        assert entry["tool_calls"][0].get("extra_content") == expected


@pytest.mark.parametrize(("made_up", "sent_name"), [("", "unnamed"), ("functions.add to", "functions_add_to")])
def test_a_name_that_no_provider_takes_is_sent_as_one_that_they_take(made_up: str, sent_name: str) -> None:
    call = ToolCall("c", made_up, "{}")
    (entry, _) = sent(Message("assistant", (), (call,)), tool_result(call, (TextPart("no such tool"),)))
    assert entry["tool_calls"][0]["function"]["name"] == sent_name


def test_a_name_that_the_request_offers_stays_as_it_is() -> None:
    messages = (Message("assistant", (), (ToolCall("c", "fs.read", "{}"),)),)
    (entry,) = body(ChatRequest(messages, tools=(ToolSpec("fs.read", "", {}),)))["messages"]
    assert entry["tool_calls"][0]["function"]["name"] == "fs.read"


def test_a_call_that_google_has_not_signed_says_so_on_its_compatible_address() -> None:
    address = "https://generativelanguage.googleapis.com/v1beta/openai"
    signed = {"extra_content": {"google": {"thought_signature": "sig"}}}
    theirs = ToolCall("c", "f", "{}", {"extras": signed, "origin": address})
    for calls, signatures in (
        ((CALL, CALL), ["skip_thought_signature_validator", None]),
        ((theirs, CALL), ["sig", None]),
    ):
        (entry,) = sent(Message("assistant", (), calls), base_url=address, model="gemini-3-pro")
        extras = [call.get("extra_content") for call in entry["tool_calls"]]
        assert [extra and extra["google"]["thought_signature"] for extra in extras] == signatures
    (older,) = sent(Message("assistant", (), (CALL,)), base_url=address, model="gemini-2.5-pro")
    assert "extra_content" not in older["tool_calls"][0]
