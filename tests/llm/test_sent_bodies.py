"""What is sent, held against the types of each SDK: names, shapes and values of every field."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM, OpenRouterLLM
from aura_py.llm import openai, openrouter
from aura_py.llm.anthropic import body as anthropic_body
from aura_py.llm.bedrock import body as bedrock_body
from aura_py.llm.contract import ChatRequest, NamedTool, Sampling, ToolChoice
from aura_py.llm.gemini import body as gemini_body
from aura_py.llm.ollama import body as ollama_body
from aura_py.llm.request_body import BodyOptions
from aura_py.messages import (
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from tests.llm.conversations import ADD, WEATHER, asked
from tests.llm.sdk_types import misfits

PIXEL = "data:image/png;base64,iVBORw0KGgo="
DOCUMENT = FilePart(data="data:application/pdf;base64,AAAA", name="a.pdf", media_type="application/pdf")
SCHEMA: JsonObject = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHOICES: tuple[ToolChoice, ...] = ("auto", "none", "required", NamedTool("add"))


def conversation(provider: str, *, document: bool = True, **opaque: Any) -> tuple[Message, ...]:
    """Everything that a conversation may hold."""
    first = ToolCall("call_a1", "get_weather", '{"city":"Oslo"}', opaque.pop("call", {}))
    second = ToolCall("call_b2", "add", '{"a":1}')
    picture = ImagePart(PIXEL)
    return (
        system("Be brief."),
        system("And kind."),
        Message("user", (TextPart("see"), picture, *((DOCUMENT,) if document else ()))),
        Message("assistant", (TextPart("Let me look."),), (first, second), (Reasoning("hm", provider, opaque),)),
        tool_result(first, (TextPart("rain"), picture)),
        tool_result(second, (TextPart("no"),), is_error=True),
        assistant("Done."),
        user("thanks"),
    )


def sampling(**rest: Any) -> Sampling:
    wanted: JsonObject = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    return Sampling(**{"max_tokens": 5000, "stop": ("END",), "response_format": wanted, **rest})


def request(messages: tuple[Message, ...], choice: ToolChoice, **rest: Any) -> ChatRequest:
    tools = (WEATHER, replace(ADD, strict=True))
    return ChatRequest(messages, tools=tools, tool_choice=choice, parallel_tool_calls=False, sampling=sampling(**rest))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tool_choice": "any"}, ".tool_choice"),
        ({"temprature": 1}, ".temprature: is unknown"),
        ({"max_tokens": "9"}, ".max_tokens"),
        ({"messages": [{"role": "user"}]}, ".messages[0].content: is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, ".messages[0].content[0]"),
    ],
    ids=str,
)
def test_these_tests_would_notice(change: dict[str, Any], complaint: str) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    assert misfits(body, CompletionCreateParamsStreaming) == []
    assert any(each.startswith(complaint) for each in misfits({**body, **change}, CompletionCreateParamsStreaming))


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:9/v1"])
def test_chat_completions(choice: ToolChoice, base_url: str | None) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    config = OpenAILLM(model="gpt-5", api_key=SecretStr("k"), base_url=base_url)
    asks = request(conversation("openai"), choice, seed=1, temperature=0.5, top_p=0.9, reasoning_effort="low")
    assert misfits(openai.build(config, agent="tester").body(asks), CompletionCreateParamsStreaming) == []


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_openrouter_is_chat_completions_and_its_own_reasoning(choice: ToolChoice) -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    config = OpenRouterLLM(model="m", api_key=SecretStr("k"))
    details: Any = [{"type": "reasoning.encrypted", "data": "x", "index": 0}]
    asks = request(conversation("openrouter", reasoning_details=details), choice, seed=1, reasoning_effort="low")
    body = openrouter.build(config, agent="tester").body(asks)
    assert misfits(body, CompletionCreateParamsStreaming) == [
        ".reasoning: is unknown",
        ".messages[3].reasoning_details: is unknown",
    ]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("claude-sonnet-4-5", None),
        ("claude-sonnet-4-5", "low"),
        ("claude-opus-4-6", "xhigh"),
        ("claude-opus-5", "none"),
    ],
)
def test_messages(choice: ToolChoice, model: str, effort: Any) -> None:
    from anthropic.types.message_create_params import MessageCreateParamsStreaming

    body = anthropic_body.build_body(
        request(conversation("anthropic", signature="s"), choice, reasoning_effort=effort),
        BodyOptions(replace(asked("anthropic", model), address=anthropic_body.ADDRESS), temperature=None),
    )
    assert misfits(body, MessageCreateParamsStreaming) == []


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize(("model", "effort"), [("gemini-2.5-flash", "low"), ("gemini-3-pro-preview", "xhigh")])
def test_generate_content(choice: ToolChoice, model: str, effort: Any) -> None:
    from google.genai import types

    talk = conversation("gemini", thoughtSignature="c2ln", call={"thoughtSignature": "c2ln", "id": "f1"})
    asks = request(talk, choice, seed=1, reasoning_effort=effort)
    body = gemini_body.build_body(
        asks,
        BodyOptions(asked("gemini", model), temperature=0.5),
    )
    known: Mapping[str, Any] = {
        "contents": types.Content,
        "tools": types.Tool,
        "systemInstruction": types.Content,
        "toolConfig": types.ToolConfig,
        "generationConfig": types.GenerationConfig,
    }
    assert body.keys() <= known.keys()
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            # The SDK's models forbid what they do not know.
            known[name].model_validate_json(json.dumps(each))


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_chat(choice: Any) -> None:
    from ollama._types import ChatRequest as OllamaRequest

    body = ollama_body.build_body(
        request(conversation("ollama", document=False), choice, seed=1, reasoning_effort="low"),
        BodyOptions(asked("ollama", "gpt-oss:20b"), temperature=0.5),
    )
    understood = OllamaRequest.model_validate(body).model_dump(exclude_none=True)
    assert body.keys() == understood.keys()
    for ours, theirs in zip(body["messages"], understood["messages"], strict=True):
        # Ids pair calls with results on servers that know them; the package does not yet.
        assert ours.keys() - theirs.keys() <= {"tool_call_id"}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize(
    ("model", "effort"),
    [("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "low"), ("us.anthropic.claude-opus-4-6-v1", "xhigh")],
)
def test_converse(choice: ToolChoice, model: str, effort: Any) -> None:
    import botocore.session
    from botocore.serialize import create_serializer
    from botocore.validate import ParamValidator

    body = bedrock_body.build_body(
        request(conversation("bedrock", signature="s"), choice, reasoning_effort=effort),
        BodyOptions(asked("bedrock", model), temperature=None),
    )
    operation = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("ConverseStream")
    parameters = _with_bytes(body)
    report = ParamValidator().validate({**parameters, "modelId": model}, operation.input_shape)
    assert report.generate_report() == ""
    theirs = create_serializer("rest-json").serialize_to_request({**parameters, "modelId": model}, operation)
    assert json.loads(theirs["body"]) == body


def _with_bytes(value: Any) -> Any:
    """The same body as parameters of the SDK, which takes bytes and encodes them itself."""
    if isinstance(value, dict):
        return {
            name: base64.b64decode(each) if name in ("bytes", "redactedContent") else _with_bytes(each)
            for name, each in value.items()
        }
    return [_with_bytes(each) for each in value] if isinstance(value, list) else value
