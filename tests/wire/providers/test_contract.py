"""One contract for all providers. Each behaviour runs against every provider's real wire protocol.

Where a provider cannot do something its ``CAPABILITIES`` say so, and the same test pins what happens instead.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    FirstChunkTimeout,
    InactivityTimeout,
    ProviderAuthError,
    ProviderError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderProtocolError,
    ProviderRejected,
    ProviderUnreachable,
    RequestError,
)
from aura_py.llm.contract import (
    ChatModel,
    ChatRequest,
    Delta,
    Finish,
    NamedTool,
    Sampling,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    ToolSpec,
    UsageReport,
)
from aura_py.llm.resilience import ResilientModel, RetryPolicy
from aura_py.messages import ImagePart, Message, TextPart, ToolCall, assistant, system, tool_result, user
from tests.wire.providers import providers
from tests.wire.providers.conftest import Partner

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
NOW = ToolSpec("now", "The time.", {"type": "object", "properties": {}})
TOOLS = (WEATHER, ADD, NOW)


def ask(text: str = "hello", **rest: Any) -> ChatRequest:
    return ChatRequest((system("Be brief."), user(text)), **rest)


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


def thinking_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Thinking))


def calls_of(deltas: list[Delta]) -> list[ToolCall]:
    return [delta.call for delta in deltas if isinstance(delta, ToolCallReady)]


def usage_of(deltas: list[Delta]) -> Any:
    return [delta.usage for delta in deltas if isinstance(delta, UsageReport)][-1]


def shown_of(deltas: list[Delta]) -> list[Delta]:
    """Everything but usage, which some providers report before they say anything."""
    return [delta for delta in deltas if not isinstance(delta, UsageReport)]


def finish_of(deltas: list[Delta]) -> str:
    assert isinstance(deltas[-1], Finish)
    assert sum(isinstance(delta, Finish) for delta in deltas) == 1
    return deltas[-1].reason


async def failure(partner: Partner, scenario: str, **rest: Any) -> tuple[AuraError, list[Delta]]:
    """The error a call ends with, and what came before it."""
    return await failure_of(partner.model(scenario), ask(**rest))


async def failure_of(
    model: ChatModel, request: ChatRequest, gate: Callable[[], Awaitable[None]] | None = None
) -> tuple[AuraError, list[Delta]]:
    """As :func:`failure`; ``gate`` is called after every list of deltas that shows something."""
    deltas: list[Delta] = []
    try:
        async for batch in model.stream(request):
            deltas += batch
            if gate is not None and shown_of(batch):
                await gate()
    except AuraError as error:
        return error, deltas
    return pytest.fail("the call did not fail")


# --- text ----------------------------------------------------------------------------------------------------------


async def test_text_arrives_in_order_and_ends_with_stop(partner: Partner) -> None:
    deltas = await partner.ask("plain_text")
    assert text_of(deltas) == "Hello, world!"
    assert finish_of(deltas) == "stop"


async def test_no_text_delta_is_empty(partner: Partner) -> None:
    deltas = await partner.ask("plain_text")
    assert all(delta.text for delta in deltas if isinstance(delta, Text | Thinking))


async def test_unicode_survives_packets_of_one_byte(partner: Partner) -> None:
    deltas = await partner.ask("unicode_in_single_bytes")
    assert text_of(deltas) == "Grüße 🌍 漢字 👩‍👩‍👧!"
    assert all(delta.text.encode() for delta in deltas if isinstance(delta, Text))


async def test_what_arrives_in_one_packet_is_one_list(partner: Partner) -> None:
    batches = [batch async for batch in partner.model("one_packet").stream(ask())]
    longest = max(batches, key=len)
    assert [delta.text for delta in longest if isinstance(delta, Text)] == ["Hello", ", world", "!"]


async def test_no_list_of_deltas_is_empty(partner: Partner) -> None:
    assert all([batch async for batch in partner.model("keepalives").stream(ask())])


async def test_keepalives_between_deltas_are_not_content(partner: Partner) -> None:
    deltas = await partner.ask("keepalives")
    assert text_of(deltas) == "ab"


async def test_an_empty_answer_is_a_clean_stop(partner: Partner) -> None:
    deltas = await partner.ask("empty_answer")
    assert text_of(deltas) == ""
    assert finish_of(deltas) == "stop"


async def test_one_model_serves_many_calls_at_once(partner: Partner) -> None:
    model = partner.model("plain_text")

    async def one() -> str:
        return text_of([delta async for batch in model.stream(ask()) for delta in batch])

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(8)]
    assert [task.result() for task in tasks] == ["Hello, world!"] * 8


# --- reasoning -----------------------------------------------------------------------------------------------------


async def test_reasoning_arrives_before_the_text_and_apart_from_it(partner: Partner) -> None:
    deltas = await partner.ask("reasoning")
    assert text_of(deltas) == "Then speak."
    if partner.capabilities.reasoning:
        assert thinking_of(deltas) == "First think."
        kinds = [type(delta) for delta in deltas]
        assert kinds.index(Thinking) < kinds.index(Text)
    else:
        assert thinking_of(deltas) == ""


async def test_reasoning_before_a_tool_call_can_be_sent_back_with_its_result(partner: Partner) -> None:
    deltas = await partner.ask("tool_after_reasoning", ask(tools=TOOLS))
    call = calls_of(deltas)[0]
    blocks = tuple(delta.reasoning for delta in deltas if isinstance(delta, ThinkingBlock))
    history = (
        user("weather?"),
        Message("assistant", (), (call,), blocks),
        tool_result(call, (TextPart("rain"),)),
    )
    assert text_of(await partner.ask("plain_text", ChatRequest(history, tools=TOOLS))) == "Hello, world!"
    if any(block.opaque for block in blocks):
        body = (await partner.requests())[-1]["body"]
        assert "c2lnbmVk" in body or "I need the weather." in body


# --- tool calls ----------------------------------------------------------------------------------------------------


async def test_a_tool_call_is_assembled_from_its_fragments(partner: Partner) -> None:
    deltas = await partner.ask("one_tool", ask(tools=TOOLS))
    (call,) = calls_of(deltas)
    assert call.name == "get_weather"
    assert orjson.loads(call.arguments) == {"city": "Oslo"}
    assert call.id
    assert finish_of(deltas) == "tool_calls"


async def test_text_before_a_tool_call_is_kept(partner: Partner) -> None:
    assert text_of(await partner.ask("one_tool", ask(tools=TOOLS))) == "Let me see."


async def test_fragments_add_up_to_the_complete_arguments(partner: Partner) -> None:
    deltas = await partner.ask("three_tools", ask(tools=TOOLS))
    ready = calls_of(deltas)
    for position, call in enumerate(ready):
        pieces = [d for d in deltas if isinstance(d, ToolCallFragment) and d.position == position]
        if pieces:
            assert {piece.id for piece in pieces} == {call.id}
            assert orjson.loads("".join(piece.arguments for piece in pieces)) == orjson.loads(call.arguments)


async def test_three_parallel_calls_keep_their_order(partner: Partner) -> None:
    ready = calls_of(await partner.ask("three_tools", ask(tools=TOOLS)))
    assert [(call.name, orjson.loads(call.arguments)) for call in ready] == [
        ("get_weather", {"city": "Oslo"}),
        ("get_weather", {"city": "Rome"}),
        ("add", {"a": 1, "b": 2}),
    ]


async def test_parallel_calls_have_different_ids(partner: Partner) -> None:
    ready = calls_of(await partner.ask("three_tools", ask(tools=TOOLS)))
    assert len({call.id for call in ready}) == 3


async def test_a_call_without_arguments_gets_an_empty_object(partner: Partner) -> None:
    (call,) = calls_of(await partner.ask("tool_without_arguments", ask(tools=TOOLS)))
    assert (call.name, orjson.loads(call.arguments)) == ("now", {})


async def test_malformed_arguments_reach_the_caller_as_written(partner: Partner) -> None:
    """Providers that send arguments as an object tell of an error instead, which may be tried again."""
    if not partner.capabilities.malformed_arguments:
        error, deltas = await failure(partner, "malformed_arguments", tools=TOOLS)
        assert type(error) is ProviderOverloaded
        assert calls_of(deltas) == []
        return
    (call,) = calls_of(await partner.ask("malformed_arguments", ask(tools=TOOLS)))
    assert call.name == "get_weather"
    assert call.arguments == '{"city": "Os'


async def test_tools_are_sent_with_name_description_and_schema(partner: Partner) -> None:
    await partner.ask("plain_text", ask(tools=TOOLS))
    body = (await partner.requests())[-1]["body"]
    assert "get_weather" in body
    assert "The weather in a city." in body
    assert "city" in body


async def test_tool_results_follow_their_calls_in_the_history(partner: Partner) -> None:
    calls = (ToolCall("call_a1", "get_weather", '{"city":"Oslo"}'), ToolCall("call_b2", "add", '{"a":1,"b":2}'))
    history = (
        system("Be brief."),
        user("go"),
        assistant("Looking.", calls),
        tool_result(calls[0], (TextPart("rain in Oslo"),)),
        tool_result(calls[1], (TextPart("no such thing"),), is_error=True),
    )
    assert text_of(await partner.ask("plain_text", ChatRequest(history, tools=TOOLS))) == "Hello, world!"
    body = (await partner.requests())[-1]["body"]
    places = [body.index(word) for word in ("Looking.", "rain in Oslo", "no such thing")]
    assert places == sorted(places)


async def test_a_model_that_refuses_to_be_forced_is_asked_in_words(partner: Partner) -> None:
    model = ResilientModel(partner.model("refuses_to_be_forced"), agent="tester")
    request = ask(tools=TOOLS, tool_choice=NamedTool("add"))
    deltas = [delta async for batch in model.stream(request) for delta in batch]
    assert [call.name for call in calls_of(deltas)] == ["add"]
    bodies = [seen["body"] for seen in await partner.requests()]
    assert len(bodies) == (2 if partner.capabilities.tool_choice else 1)
    assert "Call the tool `add` now." in bodies[-1]


async def test_extras_that_a_server_refuses_are_left_out(partner: Partner) -> None:
    family = {"gemini": "gemini-2.5-flash-", "bedrock": "anthropic.claude-sonnet-4-5-"}.get(partner.provider, "")
    model = ResilientModel(partner.model("refuses_extras", family), agent="tester")
    deltas = [delta async for batch in model.stream(ask(tools=TOOLS)) for delta in batch]
    assert text_of(deltas) == "Hello there"
    assert len(await partner.requests()) == (1 if partner.provider == "ollama" else 2)


async def test_a_call_that_the_output_limit_cuts_stays_as_it_came(partner: Partner) -> None:
    if not partner.capabilities.malformed_arguments:
        return
    deltas = await partner.ask("length_in_tool_call", ask(tools=TOOLS))
    assert finish_of(deltas) == "length"
    assert [call.arguments for call in calls_of(deltas)] in ([], ['{"a": 1, "b'])


async def test_a_forced_tool_is_asked_for_or_refused(partner: Partner) -> None:
    request = ask(tools=TOOLS, tool_choice=NamedTool("add"))
    if not partner.capabilities.tool_choice:
        with pytest.raises(RequestError, match="tool_choice"):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    sent = await partner.sent()
    sent.pop("tools", None)
    choice = {key: value for key, value in sent.items() if "tool" in key.lower()}
    assert "add" in json.dumps(choice)


async def test_no_tool_may_be_called_when_the_choice_is_none(partner: Partner) -> None:
    request = ask(tools=TOOLS, tool_choice="none")
    await partner.ask("plain_text", request)
    sent = await partner.sent()
    said = json.dumps({key: value for key, value in sent.items() if "tool" in key.lower()}).lower()
    assert "none" in said or "get_weather" not in said


# --- what is sent --------------------------------------------------------------------------------------------------


async def test_the_system_prompt_and_the_question_are_sent(partner: Partner) -> None:
    await partner.ask("plain_text", ask("how deep is the sea?"))
    body = (await partner.requests())[-1]["body"]
    assert "Be brief." in body
    assert "how deep is the sea?" in body


async def test_an_image_in_a_user_message_is_sent_or_refused(partner: Partner) -> None:
    picture = ImagePart(f"data:image/png;base64,{PIXEL}")
    request = ChatRequest((Message("user", (TextPart("what is this?"), picture)),))
    if not partner.capabilities.images:
        with pytest.raises(RequestError):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    assert PIXEL in (await partner.requests())[-1]["body"]


async def test_an_image_in_a_tool_result_is_sent_or_refused(partner: Partner) -> None:
    call = ToolCall("call_a1", "get_weather", '{"city":"Oslo"}')
    picture = ImagePart(f"data:image/png;base64,{PIXEL}")
    history = (user("go"), assistant("", (call,)), tool_result(call, (TextPart("a map"), picture)))
    request = ChatRequest(history, tools=TOOLS)
    if not partner.capabilities.tool_images:
        with pytest.raises(RequestError):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    body = (await partner.requests())[-1]["body"]
    assert PIXEL in body
    assert "a map" in body


async def test_max_tokens_of_the_file_is_sent(partner: Partner) -> None:
    await partner.ask("plain_text", ask(), max_tokens=321)
    assert "321" in (await partner.requests())[-1]["body"]


async def test_temperature_of_the_file_is_sent(partner: Partner) -> None:
    await partner.ask("plain_text", ask(), temperature=0.25)
    assert "0.25" in (await partner.requests())[-1]["body"]


async def test_sampling_of_the_request_wins_over_the_file(partner: Partner) -> None:
    request = ask(sampling=Sampling(temperature=0.75, max_tokens=123))
    await partner.ask("plain_text", request, temperature=0.25, max_tokens=321)
    body = (await partner.requests())[-1]["body"]
    assert "0.75" in body
    assert "0.25" not in body
    assert "123" in body
    assert "321" not in body


async def test_stop_sequences_are_sent_or_refused(partner: Partner) -> None:
    request = ask(sampling=Sampling(stop=("HALT-HERE",)))
    if not partner.capabilities.stop:
        with pytest.raises(RequestError, match="stop"):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    assert "HALT-HERE" in (await partner.requests())[-1]["body"]


async def test_a_seed_is_sent_or_refused(partner: Partner) -> None:
    request = ask(sampling=Sampling(seed=987123))
    if not partner.capabilities.seed:
        with pytest.raises(RequestError, match="seed"):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    assert "987123" in (await partner.requests())[-1]["body"]


async def test_top_p_is_sent(partner: Partner) -> None:
    await partner.ask("plain_text", ask(sampling=Sampling(top_p=0.625)))
    assert "0.625" in (await partner.requests())[-1]["body"]


async def test_a_response_format_is_sent_or_refused(partner: Partner) -> None:
    schema = {"type": "object", "properties": {"answer_to_all": {"type": "integer"}}, "required": ["answer_to_all"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    request = ask(sampling=Sampling(response_format=form))
    if not partner.capabilities.response_format:
        with pytest.raises(RequestError, match="response_format"):
            await partner.ask("plain_text", request)
        return
    await partner.ask("plain_text", request)
    assert "answer_to_all" in (await partner.requests())[-1]["body"]


async def test_equal_conversations_send_equal_bytes(partner: Partner) -> None:
    model = partner.model("plain_text")
    for _ in range(2):
        async for _batch in model.stream(ask(tools=TOOLS)):
            pass
    first, second = await partner.requests()
    assert first["body"] == second["body"]


async def test_the_key_is_sent_as_a_header_only(partner: Partner) -> None:
    await partner.ask("plain_text")
    (request,) = await partner.requests()
    assert providers.KEY in json.dumps(request["headers"])
    if partner.provider == "anthropic":
        assert request["headers"]["x-api-key"] in request["headers"]["authorization"]
    assert providers.KEY not in request["body"]
    assert providers.KEY not in request["path"]


async def test_what_the_environment_holds_for_others_is_not_sent(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_AUTH_TOKEN", "OLLAMA_API_KEY"):
        monkeypatch.setenv(name, "somebody-elses")
    await partner.ask("plain_text")
    (request,) = await partner.requests()
    assert "somebody-elses" not in json.dumps(request["headers"])


# --- the end of an answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_stop_reason_becomes_its_finish_reason(partner: Partner, reason: str) -> None:
    deltas = await partner.ask(f"stop_{reason}")
    assert text_of(deltas) == "cut"
    withheld = reason == "content_filter" and not partner.capabilities.content_filter
    assert finish_of(deltas) == ("stop" if withheld else reason)


async def test_usage_is_reported_with_input_and_output(partner: Partner) -> None:
    usage = usage_of(await partner.ask("plain_text"))
    assert (usage.input, usage.output) == (7, 3)
    assert not usage.estimated


async def test_cached_and_reasoning_tokens_are_part_of_their_sums(partner: Partner) -> None:
    usage = usage_of(await partner.ask("full_usage"))
    assert usage.input == 100
    assert usage.output == 40
    assert usage.cached in (0, 60)
    assert usage.reasoning in (0, 30)
    if partner.capabilities.prompt_cache:
        assert (usage.cached, usage.cache_write) == (60, 10)


# --- errors before the first delta ---------------------------------------------------------------------------------

REFUSALS: list[tuple[str, type[ProviderError], str]] = [
    ("wrong_key", ProviderAuthError, "credentials"),
    ("forbidden", ProviderAuthError, "credentials"),
    ("unknown_model", ProviderNotFound, "model"),
    ("bad_request", ProviderRejected, "request"),
    ("context_overflow", ContextOverflow, "conversation"),
    ("rate_limited", ProviderOverloaded, "rate"),
    ("server_error", ProviderOverloaded, "failing"),
    ("overloaded", ProviderOverloaded, "overloaded"),
    ("proxy_page", ProviderOverloaded, "base_url"),
    ("page_instead_of_stream", ProviderProtocolError, "base_url"),
]


@pytest.mark.parametrize(("scenario", "kind", "word"), REFUSALS, ids=[name for name, _, _ in REFUSALS])
async def test_a_refusal_has_its_class_and_one_sentence(
    partner: Partner, scenario: str, kind: type[ProviderError], word: str
) -> None:
    error, deltas = await failure(partner, scenario)
    assert type(error) is kind, error.message
    assert shown_of(deltas) == []
    assert "tester" in error.message
    assert partner.provider in error.message
    assert partner.name(scenario) in error.message
    assert word in error.message
    assert "\n" not in error.message
    assert providers.KEY not in error.message + (error.detail or "")
    assert "<html" not in error.message.lower()


async def test_what_the_provider_said_is_kept_as_detail_without_the_key(partner: Partner) -> None:
    error, _ = await failure(partner, "wrong_key")
    assert "Incorrect API key provided" in (error.detail or "")
    assert providers.KEY not in (error.detail or "")


async def test_the_wish_to_wait_is_read(partner: Partner) -> None:
    error, _ = await failure(partner, "rate_limited")
    assert isinstance(error, ProviderError)
    assert error.retry_after == 7
    assert error.provider_status == 429


async def test_the_wish_in_milliseconds_is_preferred(partner: Partner) -> None:
    error, _ = await failure(partner, "rate_limited_ms")
    assert isinstance(error, ProviderError)
    assert error.retry_after == 1.5


async def test_an_unreachable_host_is_named(partner: Partner) -> None:
    partner.address = "http://127.0.0.1:9"
    error, _ = await failure(partner, "plain_text")
    assert type(error) is ProviderUnreachable
    assert "127.0.0.1:9" in str(error.detail)
    assert error.retryable


async def test_credentials_in_the_address_are_not_told(partner: Partner) -> None:
    partner.address = "http://someone:hidden-word@127.0.0.1:9"
    error, _ = await failure(partner, "plain_text")
    assert "127.0.0.1:9" in str(error.detail)
    assert "hidden-word" not in f"{error.message} {error.detail}"
    assert "someone" not in f"{error.message} {error.detail}"


async def test_a_tls_failure_is_named(partner: Partner) -> None:
    partner.address = partner.address.replace("http://", "https://")
    error, _ = await failure(partner, "plain_text")
    assert type(error) is ProviderUnreachable
    assert "TLS" in error.message


async def test_a_certificate_that_nobody_vouches_for_is_named(partner: Partner, untrusted: str) -> None:
    partner.address = untrusted
    error, _ = await failure(partner, "plain_text")
    assert type(error) is ProviderUnreachable
    assert "TLS failed" in error.message
    assert untrusted in str(error.detail)
    assert "certificate" in error.message
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.detail)


async def test_a_stream_of_garbage_is_a_protocol_error(partner: Partner) -> None:
    error, deltas = await failure(partner, "garbage")
    assert type(error) is ProviderProtocolError
    assert shown_of(deltas) == []


async def test_a_connection_closed_before_the_first_delta_is_a_lost_connection(partner: Partner) -> None:
    error, deltas = await failure(partner, "cut_at_once")
    assert type(error) is ProviderUnreachable
    assert shown_of(deltas) == []


async def test_a_failing_call_is_made_once(partner: Partner) -> None:
    await failure(partner, "server_error")
    assert len(await partner.requests()) == 1


# --- errors after the first delta ----------------------------------------------------------------------------------


async def test_an_error_after_text_is_an_error_and_not_a_stop(partner: Partner) -> None:
    error, deltas = await failure(partner, "error_after_text")
    assert type(error) is ProviderOverloaded
    assert text_of(deltas) == "so far so good"
    assert not any(isinstance(delta, Finish) for delta in deltas)


async def test_an_overflow_told_inside_the_stream_is_an_overflow(partner: Partner) -> None:
    error, _ = await failure(partner, "overflow_in_stream")
    assert type(error) is ContextOverflow


@pytest.mark.parametrize("scenario", ["cut_by_close", "ends_without_stop"])
async def test_an_answer_cut_short_is_a_lost_connection(partner: Partner, scenario: str) -> None:
    error, deltas = await failure(partner, scenario)
    assert type(error) is ProviderUnreachable
    assert text_of(deltas) == "half an ans"


async def test_a_reset_connection_is_a_lost_connection(partner: Partner) -> None:
    error, deltas = await failure_of(partner.model("cut_by_reset"), ask(), lambda: partner.open("seen"))
    assert type(error) is ProviderUnreachable
    assert text_of(deltas) == "half an ans"


async def test_a_call_cut_short_is_never_ready(partner: Partner) -> None:
    error, deltas = await failure(partner, "cut_in_tool_call", tools=TOOLS)
    assert type(error) in (ProviderUnreachable, ProviderProtocolError)
    assert calls_of(deltas) == []


async def test_garbage_in_the_middle_is_a_protocol_error(partner: Partner) -> None:
    error, deltas = await failure(partner, "garbage_midway")
    assert type(error) is ProviderProtocolError
    assert text_of(deltas) == "so far so good"


# --- time and cancellation -----------------------------------------------------------------------------------------


def resilient(partner: Partner, scenario: str) -> ResilientModel:
    return ResilientModel(partner.model(scenario), agent="tester", policy=RetryPolicy(base=0, cap=0))


async def test_a_slow_first_byte_is_waited_for(partner: Partner) -> None:
    async def late() -> None:
        while not await partner.requests():
            pass
        await partner.open("start")

    async with asyncio.TaskGroup() as group:
        answer = group.create_task(partner.ask("slow_first_byte"))
        group.create_task(late())
    assert text_of(answer.result()) == "here I am"


async def test_a_first_delta_that_does_not_come_is_a_first_chunk_timeout(partner: Partner) -> None:
    await partner.warm_up()
    error, _ = await failure_of(resilient(partner, "slow_first_byte"), ask(first_delta_timeout=0.5))
    assert type(error) is FirstChunkTimeout
    assert partner.provider in error.message
    if await partner.requests():
        # Otherwise a busy machine was late and the deadline came before the request was sent.
        await partner.closed()


async def test_silence_midway_is_an_inactivity_timeout(partner: Partner) -> None:
    error, deltas = await failure_of(resilient(partner, "silence_midway"), ask(inactivity_timeout=0.3))
    assert type(error) is InactivityTimeout
    assert text_of(deltas) == "well"
    await partner.closed()


async def test_failures_before_the_first_delta_are_tried_again(partner: Partner) -> None:
    deltas = [delta async for batch in resilient(partner, "fails_twice").stream(ask()) for delta in batch]
    assert text_of(deltas) == "at last"
    assert len(await partner.requests()) == 3


@pytest.mark.parametrize("scenario", ["error_after_text", "wrong_key", "bad_request", "context_overflow"])
async def test_what_cannot_be_helped_is_not_tried_again(partner: Partner, scenario: str) -> None:
    await failure_of(resilient(partner, scenario), ask())
    assert len(await partner.requests()) == 1


async def test_closing_the_iterator_closes_the_socket(partner: Partner) -> None:
    async with aclosing(partner.model("silence_midway").stream(ask())) as batches:
        await anext(batches)
    await partner.closed()


async def test_cancelling_the_task_closes_the_socket_within_100_ms(partner: Partner) -> None:
    """The best of many, because a busy machine may be late for reasons of its own; mostly the first will do."""
    loop = asyncio.get_running_loop()
    best = float("inf")
    token = partner.token
    for attempt in range(20):
        partner.token = f"{token}{attempt:02x}"
        model = partner.model("silence_midway")
        started = asyncio.Event()

        async def consume() -> None:
            async for _ in model.stream(ask()):  # noqa: B023
                started.set()  # noqa: B023

        task = asyncio.get_running_loop().create_task(consume())
        await started.wait()
        task.cancel()
        cancelled = loop.time()
        with pytest.raises(asyncio.CancelledError):
            await task
        await partner.closed()
        best = min(best, loop.time() - cancelled)
        if best < 0.1:
            break
    assert best < 0.1


async def test_cancelling_before_the_first_byte_closes_the_socket(partner: Partner) -> None:
    model = partner.model("slow_first_byte")

    async def consume() -> None:
        async for _ in model.stream(ask()):
            pass

    task = asyncio.get_running_loop().create_task(consume())
    while not await partner.requests():
        pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await partner.closed()


def test_the_picture_of_these_tests_is_a_picture() -> None:
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
