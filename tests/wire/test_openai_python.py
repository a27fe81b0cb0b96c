"""The unmodified ``openai`` Python SDK against the real server."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.wire.conftest import StartServer
from tests.wire.process import AuraServer

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "read_file", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
}


def say(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(server: AuraServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["ops", "dev"]
    assert client.models.retrieve("dev").owned_by == "scripted"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("nope")
    assert refused.value.code == "model_not_found"


def test_an_answer_in_one_piece(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="ops", messages=say("hi"))
    assert answer.choices[0].message.content == "You said hi"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14


def test_the_raw_loop_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="ops", messages=say("hi"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "You said hi"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [14]
    assert chunks[-1].choices == []


def test_an_unguarded_loop_over_choices_works_without_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="ops", messages=say("hi"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "You said hi"


@pytest.mark.parametrize("events", [False, True])
def test_the_helper_accumulates_the_same_answer(client: openai.OpenAI, events: bool) -> None:
    extra = {"aura": {"events": True}} if events else {}
    with client.chat.completions.stream(
        model="ops", messages=say("hi"), stream_options={"include_usage": True}, extra_body=extra
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "You said hi"
    assert final.choices[0].message.role == "assistant"
    assert final.usage is not None
    assert final.usage.completion_tokens == 4


@pytest.mark.parametrize("model", ["ops", "dev"])
def test_an_sdk_that_checks_every_field_finds_nothing_amiss(server: AuraServer, model: str) -> None:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
    ) as strict:
        assert model in [each.id for each in strict.models.list()]
        assert strict.models.retrieve(model).id == model
        for text in ("hi", "use it", "cut"):
            whole = strict.chat.completions.create(model=model, messages=say(text), tools=[TOOL])
            assert whole.choices[0].message.role == "assistant"
            with strict.chat.completions.create(
                model=model, messages=say(text), tools=[TOOL], stream=True, stream_options={"include_usage": True}
            ) as stream:
                assert [chunk.usage for chunk in stream if chunk.usage]


def test_a_client_tool_goes_through_the_helper_and_back(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="dev", messages=say("use it"), tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    choice = final.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("read_file", '{"path":"a.cfg"}')
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "use it"},
        {
            "role": "assistant",
            "content": choice.message.content,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "port=9000"},
    ]
    answer = client.chat.completions.create(model="dev", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content == "It says port=9000"


@pytest.mark.parametrize("events", [False, True])
def test_a_tool_that_aura_ran_never_shows_as_a_call(client: openai.OpenAI, events: bool) -> None:
    extra = {"aura": {"events": events}}
    with client.chat.completions.stream(model="files", messages=say("list"), extra_body=extra) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls is None
    assert final.choices[0].finish_reason == "stop"
    assert (final.choices[0].message.content or "").startswith("Looking.\n\nFound ")
    answer = client.chat.completions.create(model="files", messages=say("list"))
    assert answer.choices[0].message.tool_calls is None
    assert "one.txt" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("helper", [False, True])
def test_a_failure_in_mid_stream_is_raised(client: openai.OpenAI, helper: bool) -> None:
    def read() -> None:
        if helper:
            with client.chat.completions.stream(model="ops", messages=say("break")) as stream:
                stream.until_done()
        else:
            list(client.chat.completions.create(model="ops", messages=say("break"), stream=True))

    with pytest.raises(openai.APIError) as failed:
        read()
    assert "raw provider text" not in str(failed.value)


def test_a_failure_before_the_first_byte_has_its_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model="ops", messages=say("reject"), stream=True)
    assert failed.value.status_code == 502


def test_a_bad_request_is_not_repeated(server: AuraServer) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=5) as client:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="ops", messages=[])


def test_closing_the_stream_ends_the_run(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="ops", messages=say("long"), stream=True)
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(model="ops", messages=say("hi")).choices[0].message.content


async def test_the_async_client_streams_too(server: AuraServer) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(model="ops", messages=say("hi"), stream=True)
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(parts) == "You said hi"
        async with client.chat.completions.stream(model="ops", messages=say("hi")) as helper:
            final = await helper.get_final_completion()
        assert final.choices[0].message.content == "You said hi"


def test_responses_in_one_piece_and_streamed(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="ops", input="hi")
    assert answer.output_text == "You said hi"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14
    with client.responses.stream(model="ops", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == "You said hi"
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="ops", input="hi", previous_response_id="resp_1")


def test_a_key_is_required_when_keys_are_configured(start: StartServer) -> None:
    server = start("--default-agent", "ops", env={"AURA_API_KEYS": "team:right-key=ops"})
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong-key", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="right-key", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["ops"]


def test_named_events_break_no_raw_loop_that_refuses_them(start: StartServer) -> None:
    server = start("--default-agent", "ops", "--aura-custom-events")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="ops", messages=say("hi"), stream=True, extra_headers={"X-Aura-Events": "off"}
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "You said hi"
    assert "AURA_CUSTOM_EVENTS" in server.log
