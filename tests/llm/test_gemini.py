"""What only Gemini's dialect does; the rest is in the contract suite."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from aura_py.errors import (
    ContextOverflow,
    ProviderAuthError,
    ProviderOverloaded,
    RequestError,
    UnsupportedContent,
)
from aura_py.llm.contract import ChatRequest, Delta, Finish, NamedTool, ThinkingBlock, ToolCallReady
from aura_py.llm.gemini.body import build_body
from aura_py.llm.gemini.schema import readable
from aura_py.llm.gemini.stream import GeminiStream, google_error
from aura_py.llm.request_body import BodyOptions
from aura_py.messages import ImagePart, Message, Reasoning, TextPart, ToolCall, assistant, tool_result, user
from tests.llm.conversations import CALL, WEATHER, after_a_call, ask, asked, sampled

MODEL = "gemini-2.5-flash"


def body(request: ChatRequest, model: str = MODEL, **rest: Any) -> dict[str, Any]:
    options = {"max_tokens": None, "temperature": None, "additional_params": {}, **rest}
    return build_body(request, BodyOptions(asked("gemini", model), **options))


def read(*events: dict[str, Any]) -> tuple[list[Delta], GeminiStream]:
    reader = GeminiStream(asked("gemini", MODEL))
    deltas = [delta for event in events for delta in reader.feed(b"data: " + orjson.dumps(event) + b"\r\n\r\n")]
    return [*deltas, *reader.end()], reader


def parts(*given: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(given)}, **candidate}]}


def test_sampling_goes_to_the_generation_config() -> None:
    sent = body(sampled(temperature=0.1, top_p=0.2, max_tokens=9, stop=("x",), seed=4), "gemini-2.0-flash")
    assert sent["generationConfig"] == {
        "temperature": 0.1,
        "topP": 0.2,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "seed": 4,
    }


def test_additional_generation_config_is_merged_in_depth() -> None:
    extra = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 7}, "topK": 3}, "safetySettings": []}
    sent = body(ask(), temperature=0.5, additional_params=extra)
    assert sent["generationConfig"] == {
        "temperature": 0.5,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 7},
        "topK": 3,
    }
    assert sent["safetySettings"] == []


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"includeThoughts": False, "thinkingBudget": 128}),
        ("gemini-2.5-flash", "medium", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-3-pro-preview", "high", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.5-flash", "none", {"includeThoughts": False, "thinkingLevel": "MINIMAL"}),
        ("gemini-flash-latest", "low", {"includeThoughts": True, "thinkingLevel": "LOW"}),
    ],
)
def test_reasoning_effort_is_the_models_own_knob(model: str, effort: Any, expected: dict[str, Any]) -> None:
    assert body(sampled(reasoning_effort=effort), model)["generationConfig"]["thinkingConfig"] == expected


def test_an_effort_for_a_model_that_does_not_think_is_refused() -> None:
    with pytest.raises(RequestError, match="reasoning_effort"):
        body(sampled(reasoning_effort="low"), "gemini-2.0-flash")


def test_a_forced_tool_is_the_only_allowed_one() -> None:
    sent = body(ask(tools=(WEATHER,), tool_choice=NamedTool("get_weather")))
    assert sent["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}


def test_schemas_are_said_in_the_keys_gemini_reads() -> None:
    schema: Any = {
        "$schema": "x",
        "type": "object",
        "definitions": {"city": {"type": "string", "pattern": "a"}},
        "properties": {
            "city": {"$ref": "#/definitions/city"},
            "unit": {"const": "C"},
            "both": {"allOf": [{"type": "object", "properties": {"a": {"not": {}}}}, {"required": ["a"]}]},
            "pattern": {"type": "string"},
        },
        "unevaluatedProperties": False,
    }
    assert readable(schema) == {
        "type": "object",
        "$defs": {"city": {"type": "string"}},
        "properties": {
            "city": {"$ref": "#/$defs/city"},
            "unit": {"enum": ["C"]},
            "both": {"type": "object", "properties": {"a": {}}, "required": ["a"]},
            "pattern": {"type": "string"},
        },
    }


def test_a_call_goes_back_with_its_signature_and_its_own_id() -> None:
    call = ToolCall("call_1", "get_weather", "{}", {"thoughtSignature": "sig", "id": "call_1"})
    contents = body(ask(*after_a_call(call=call), tools=(WEATHER,)))["contents"]
    assert contents[1]["parts"] == [
        {"functionCall": {"name": "get_weather", "args": {}, "id": "call_1"}, "thoughtSignature": "sig"}
    ]
    assert contents[2]["parts"] == [
        {"functionResponse": {"name": "get_weather", "response": {"output": "rain"}, "id": "call_1"}}
    ]


def test_a_made_up_id_is_not_sent() -> None:
    assert "call_a1" not in str(body(ask(*after_a_call(), tools=(WEATHER,))))


def test_a_call_of_another_model_gets_the_stand_in_for_a_signature() -> None:
    contents = body(ask(*after_a_call(), tools=(WEATHER,)), "gemini-3-pro-preview")["contents"]
    assert contents[1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in str(body(ask(*after_a_call(), tools=(WEATHER,))))


def test_a_signature_of_text_goes_back_after_the_text() -> None:
    signed = assistant("Hello", (), (Reasoning("hm", "gemini", {"thoughtSignature": "sig"}),))
    contents = body(ask(user("hi"), signed, user("more")))["contents"]
    assert contents[1]["parts"] == [{"text": "Hello"}, {"text": "", "thoughtSignature": "sig"}]


def test_pictures_of_results_follow_all_results() -> None:
    other = ToolCall("call_b2", "add", "{}")
    picture = ImagePart("data:image/png;base64,AAAA")
    messages = (
        user("go"),
        assistant("", (CALL, other)),
        tool_result(CALL, (TextPart("map"), picture)),
        tool_result(other, (TextPart("3"),), is_error=True),
    )
    last = body(ask(*messages, tools=(WEATHER,)))["contents"][-1]["parts"]
    assert [next(iter(part)) for part in last] == ["functionResponse", "functionResponse", "inlineData"]
    assert last[1]["functionResponse"]["response"] == {"error": "3"}


def test_an_image_by_address_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedContent, match="data:"):
        body(ask(Message("user", (ImagePart("https://example.org/a.png"),))))


def test_a_call_keeps_its_signature() -> None:
    deltas, _ = read(
        parts({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "sig"}, finishReason="STOP")
    )
    ready = next(delta for delta in deltas if isinstance(delta, ToolCallReady))
    assert ready.call.opaque == {"thoughtSignature": "sig"}
    assert ready.call.id.startswith("call_")
    assert deltas[-1] == Finish("tool_calls")


def test_a_signature_on_text_is_kept_for_later() -> None:
    deltas, _ = read(
        parts({"text": "hm", "thought": True}),
        parts({"text": "Hello"}),
        parts({"text": "", "thoughtSignature": "sig"}, finishReason="STOP"),
    )
    blocks = [delta.reasoning for delta in deltas if isinstance(delta, ThinkingBlock)]
    assert [(block.text, dict(block.opaque)) for block in blocks] == [("hm", {}), ("", {"thoughtSignature": "sig"})]


def test_a_blocked_prompt_is_a_content_filter() -> None:
    deltas, _ = read({"promptFeedback": {"blockReason": "SAFETY"}})
    assert deltas == [Finish("content_filter")]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length"), ("RECITATION", "content_filter")],
)
def test_every_stop_reason_has_its_finish_reason(stop: str, reason: str) -> None:
    deltas, _ = read(parts({"text": "x"}, finishReason=stop))
    assert deltas[-1] == Finish(reason)  # type: ignore[arg-type]


def test_a_call_the_service_could_not_read_may_be_tried_again() -> None:
    _, reader = read({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]})
    assert type(reader.failure) is ProviderOverloaded


def test_an_error_in_a_plain_body_is_understood() -> None:
    reader = GeminiStream(asked("gemini", MODEL))
    reader.feed(b'[{\n  "error": {\n    "code": 503,\n    "message": "busy",\n    "status": "UNAVAILABLE"\n  }\n}]\n')
    reader.end()
    assert type(reader.failure) is ProviderOverloaded


def test_the_wish_to_wait_is_read_from_the_details() -> None:
    error: Any = {
        "code": 429,
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}],
    }
    assert google_error(asked("gemini", MODEL), error).retry_after == 12.5


def test_a_bad_key_is_told_although_its_status_says_bad_request() -> None:
    error: Any = {"code": 400, "message": "API key not valid. Please pass a valid API key."}
    assert type(google_error(asked("gemini", MODEL), error)) is ProviderAuthError


def test_an_overflow_is_recognised() -> None:
    message = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    assert type(google_error(asked("gemini", MODEL), {"code": 400, "message": message})) is ContextOverflow
