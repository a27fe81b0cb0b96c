"""Answers against OpenAI's published types: strict, with every required field, and with nothing undeclared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.server.rig import Reply, Rig

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
RESPONSE, COMPLETION, CHUNK = TypeAdapter(Response), TypeAdapter(ChatCompletion), TypeAdapter(ChatCompletionChunk)
FUNCTION = {"type": "function", "name": "read_file", "parameters": {"type": "object"}, "strict": False}
REQUIRED = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *(
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
    ),
    *("max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key"),
}
"""What the schemas of OpenAI and Open Responses require of a response, null or not."""
ADDITIONS = {"ChoiceDelta.reasoning_content", "ChatCompletionMessage.reasoning_content", "ChatCompletion.metadata"}
"""What Aura adds to the published types: thinking, and the session."""


UNTYPED = {
    *("Response.presence_penalty", "Response.frequency_penalty", "Response.store"),
    "ResponseFunctionCallArgumentsDoneEvent.name",
}
"""In the schemas, but not in every version of the types."""


@pytest.fixture(scope="module", autouse=True)
def schemas() -> None:
    """The SDK defers building them, and it takes long."""
    for model in (Response, ChatCompletion, ChatCompletionChunk):
        model.model_rebuild(force=True)
    EVENTS.rebuild(force=True)


def undeclared(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{type(value).__name__}.{key}" for key in value.model_extra or ())
        for key in type(value).model_fields:
            yield from undeclared(getattr(value, key))
    elif isinstance(value, list):
        for item in value:
            yield from undeclared(item)


def checked(response: Any) -> Any:
    model = RESPONSE.validate_json(orjson.dumps(response), strict=True)
    assert set(undeclared(model)) <= UNTYPED
    assert set(response) >= REQUIRED
    return response


async def stream(rig: Rig, **body: object) -> Any:
    """The final response, after every event was checked."""
    reply = await rig.ask("POST", "/v1/responses", {"stream": True, **body})
    events = [line.removeprefix("data: ") for line in reply.text.split("\n") if line.startswith("data: ")]
    for event in events:
        model = EVENTS.validate_json(event, strict=True)
        assert model.type == orjson.loads(event)["type"]
        assert set(undeclared(model)) <= UNTYPED
    for event in (events[0], events[1], events[-1]):
        checked(orjson.loads(event)["response"])
    return orjson.loads(events[-1])["response"]


@pytest.mark.parametrize("question", ["hi", "list", "cut", "break"])
async def test_a_response_and_its_events_are_of_the_published_types(rig: Rig, question: str) -> None:
    final = await stream(rig, model="secret", input=question)
    status = {"cut": "incomplete", "break": "failed"}.get(question, "completed")
    assert final["status"] == status
    assert (final["completed_at"] is not None) == (status == "completed")
    if status == "completed":
        answer = await rig.ask("POST", "/v1/responses", {"model": "secret", "input": question})
        assert checked(answer.json())["output"][-1]["content"] == final["output"][-1]["content"]


async def test_a_response_with_a_call_of_the_client_is_of_the_published_types(rig: Rig) -> None:
    final = await stream(rig, model="team/dev helper", input="use it", tools=[FUNCTION])
    assert final["output"][-1]["type"] == "function_call"


async def test_a_response_repeats_what_was_sent(rig: Rig) -> None:
    sent = {
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "max_tool_calls": 3,
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": None},
        "safety_identifier": "u-1",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": "none",
        "top_p": 0.9,
        "user": "ann",
    }
    final = await stream(rig, model="ops", input="hi", tools=[FUNCTION], **sent)
    assert {key: final[key] for key in sent} == sent
    assert final["tools"] == [{**FUNCTION, "description": None}]


async def test_numbers_are_numbers_when_nothing_was_sent(rig: Rig) -> None:
    final = await stream(rig, model="ops", input="hi", temperature=None)
    keys = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs")
    assert [final[key] for key in keys] == [1.0, 1.0, 0.0, 0.0, 0]


def chunks(reply: Reply) -> list[str]:
    return [line.removeprefix("data: ") for line in reply.text.split("\n") if line.startswith("data: {")]


@pytest.mark.parametrize("question", ["hi", "list", "cut", "use it"])
async def test_a_chat_completion_and_its_chunks_are_of_the_published_types(rig: Rig, question: str) -> None:
    tools = [{"type": "function", "function": {"name": "read_file"}}]
    body: dict[str, Any] = {"model": "team/dev helper" if question == "use it" else "secret", "tools": tools}
    answer = await rig.chat(question, **body)
    model = COMPLETION.validate_json(answer.body, strict=True)
    assert set(undeclared(model)) <= ADDITIONS
    choice = answer.json()["choices"][0]
    assert (choice["logprobs"], choice["message"]["refusal"]) == (None, None)
    for chunk in chunks(await rig.chat(question, stream=True, stream_options={"include_usage": True}, **body)):
        assert set(undeclared(CHUNK.validate_json(chunk, strict=True))) <= ADDITIONS
