"""Streams that bend their protocol, read by every dialect: they cost a field at most, never the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from aura_py.config.models import OpenAILLM
from aura_py.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderOverloaded,
    ProviderProtocolError,
    ProviderUnreachable,
)
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, ToolCallReady, UsageReport
from aura_py.llm.openai.client import build
from aura_py.messages import Usage
from tests.llm.conversations import ask
from tests.llm.test_vendor_streams import (
    Feeds,
    anthropic,
    bedrock,
    block,
    candidate,
    ending,
    gemini,
    line,
    ollama,
    openai,
    openrouter,
    sse,
    text_of,
    whole,
    words,
)
from tests.wire.providers.fakes.bedrock import frame

ANTHROPIC_START = {"type": "message_start", "message": {"usage": {"input_tokens": 12, "output_tokens": 1}}}
DIALECTS = ["openai", "openrouter", "anthropic", "gemini", "ollama", "bedrock"]


def event(kind: str, body: str) -> bytes:
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, body.encode())


def chat(key: str, text: str) -> bytes:
    return f'data: {{"choices":[{{"index":0,"delta":{{"{key}":"{text}"}}}}]}}\n\n'.encode()


CHAT_END = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "data: [DONE]")


def anthropic_texts(kind: str, key: str, *texts: str) -> bytes:
    deltas = (
        f'data: {{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{key}":"{text}"}}}}\n\n'
        for text in texts
    )
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": kind.partition("_")[0]}}
    stop = {"type": "content_block_stop", "index": 0}
    return sse(ANTHROPIC_START, start) + "".join(deltas).encode() + sse(stop, *ending())


def bedrock_texts(delta: str, *texts: str) -> bytes:
    deltas = (event("contentBlockDelta", f'{{"contentBlockIndex":0,"delta":{delta % text}}}') for text in texts)
    stop = event("contentBlockStop", '{"contentBlockIndex":0}') + event("messageStop", '{"stopReason":"end_turn"}')
    return b"".join(deltas) + stop + event("metadata", '{"usage":{"inputTokens":3,"outputTokens":2}}')


TEXTS: dict[str, tuple[Feeds, Callable[..., bytes]]] = {
    "openai": (openai, lambda *texts: b"".join(chat("content", text) for text in texts) + CHAT_END),
    "openrouter": (openrouter, lambda *texts: b"".join(chat("content", text) for text in texts) + CHAT_END),
    "anthropic": (anthropic, lambda *texts: anthropic_texts("text_delta", "text", *texts)),
    "gemini": (
        gemini,
        lambda *texts: (
            "".join(
                f'data: {{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}\n\n' for text in texts
            ).encode()
            + sse(candidate(finishReason="STOP"))
        ),
    ),
    "ollama": (
        ollama,
        lambda *texts: (
            "".join(f'{{"message":{{"content":"{text}"}}}}\n' for text in texts).encode()
            + line(message={"content": ""}, done=True, done_reason="stop")
        ),
    ),
    "bedrock": (bedrock, lambda *texts: bedrock_texts('{"text":"%s"}', *texts)),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_halves_of_a_character_in_two_deltas_are_joined(dialect: str) -> None:
    read, write = TEXTS[dialect]
    assert whole(read(write(r"a\ud83d", r"\ude00b"))) == ("a\U0001f600b", "stop")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_half_a_character_that_stays_single_is_replaced(dialect: str) -> None:
    read, write = TEXTS[dialect]
    assert whole(read(write(r"a\ud83d", "b", r"\ude00"))) == ("a\ufffdb\ufffd", "stop")
    assert whole(read(write(r"a\ud83d"))) == ("a\ufffd", "stop")


@pytest.mark.parametrize("dialect", DIALECTS[:-1])
def test_bytes_that_are_no_utf_8_cost_one_character_and_not_the_answer(dialect: str) -> None:
    read, write = TEXTS[dialect]
    assert whole(read(write("a?b", "c").replace(b"?", b"\xff"))) == ("a\ufffdbc", "stop")


def test_bytes_of_bedrock_that_are_no_utf_8_cost_one_character_and_not_the_answer() -> None:
    headers = {":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}
    odd = frame(headers, b'{"contentBlockIndex":0,"delta":{"text":"a\xffb"}}')
    assert whole(bedrock(odd + bedrock_texts('{"text":"%s"}', "c"))) == ("a\ufffdbc", "stop")


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (anthropic, anthropic_texts("thinking_delta", "thinking", r"a\ud83d", r"\ude00")),
        (bedrock, bedrock_texts('{"reasoningContent":{"text":"%s"}}', r"a\ud83d", r"\ude00")),
        (openrouter, chat("reasoning", r"a\ud83d") + chat("reasoning", r"\ude00") + CHAT_END),
    ],
    ids=["anthropic", "bedrock", "openrouter"],
)
def test_halves_of_a_character_in_reasoning_are_joined(read: Feeds, raw: bytes) -> None:
    deltas, failure = read(raw)
    assert failure is None
    assert "".join(delta.text for delta in deltas if isinstance(delta, Thinking)) == "a\U0001f600"
    assert all(delta.reasoning.text == "a\U0001f600" for delta in deltas if isinstance(delta, ThinkingBlock))


def calls_of(deltas: list[Delta]) -> list[tuple[str, str]]:
    return [(delta.call.name, delta.call.arguments) for delta in deltas if isinstance(delta, ToolCallReady)]


def anthropic_call(*pieces: str, **start: Any) -> bytes:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return sse(
        ANTHROPIC_START,
        *block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {}, **start}, *deltas),
        *ending("tool_use"),
    )


def bedrock_call(*pieces: str) -> bytes:
    start = event("contentBlockStart", '{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}')
    deltas = (
        event("contentBlockDelta", orjson.dumps({"contentBlockIndex": 0, "delta": {"toolUse": {"input": p}}}).decode())
        for p in pieces
    )
    return start + b"".join(deltas) + event("messageStop", '{"stopReason":"tool_use"}')


@pytest.mark.parametrize(
    ("read", "raw"), [(anthropic, anthropic_call), (bedrock, bedrock_call)], ids=["anthropic", "bedrock"]
)
def test_arguments_that_come_twice_or_behind_a_place_holder_count_once(read: Feeds, raw: Callable[..., bytes]) -> None:
    assert calls_of(read(raw("{}", '{"a"', ":1}"))[0]) == [("f", '{"a":1}')]
    assert calls_of(read(raw('{"a"', ":1}", '{"a":1}'))[0]) == [("f", '{"a":1}')]
    assert calls_of(read(raw())[0]) == [("f", "{}")]


def test_pieces_of_arguments_take_the_place_of_those_that_came_with_the_start() -> None:
    assert calls_of(anthropic(anthropic_call('{"a"', ":1}", input={"a": 1}))[0]) == [("f", '{"a":1}')]


# --- no answer at all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (openai, sse("data: [DONE]")),
        (openrouter, sse({"choices": [], "usage": {"prompt_tokens": 3}}, "data: [DONE]")),
        (anthropic, sse(ANTHROPIC_START, {"type": "message_stop"})),
        (gemini, sse({"usageMetadata": {"promptTokenCount": 3}})),
        (ollama, line(done=True, prompt_eval_count=3)),
        (bedrock, event("messageStart", "{}") + event("metadata", '{"usage":{"inputTokens":3,"outputTokens":0}}')),
    ],
    ids=DIALECTS,
)
def test_a_stream_without_an_answer_is_a_protocol_error_that_is_tried_again(read: Feeds, raw: bytes) -> None:
    _, failure = read(raw)
    assert type(failure) is ProviderProtocolError
    assert failure.retryable


# --- errors under any key --------------------------------------------------------------------------------------------

ERRORS: list[tuple[dict[str, Any], type[ProviderError]]] = [
    ({"object": "error", "message": "the model is busy", "code": 503}, ProviderOverloaded),
    ({"detail": "the model is busy"}, ProviderOverloaded),
    ({"success": False, "errors": [{"message": "the model is busy"}]}, ProviderOverloaded),
    ({"success": False, "errors": [{"message": "the model is busy", "code": "401"}]}, ProviderAuthError),
    ({"detail": {"message": "the model is busy", "code": 401}}, ProviderAuthError),
    ({"message": "the model is busy", "code": "401"}, ProviderAuthError),
    ({"error": {"message": "the model is busy", "type": "authentication_error"}}, ProviderAuthError),
    ({"error": "the model is busy"}, ProviderOverloaded),
]


@pytest.mark.parametrize("dialect", DIALECTS[:-1])
@pytest.mark.parametrize(("error", "kind"), ERRORS)
def test_an_error_under_any_key_is_a_failure(dialect: str, error: dict[str, Any], kind: type[ProviderError]) -> None:
    read, _ = TEXTS[dialect]
    raw = orjson.dumps(error) + b"\n" if dialect == "ollama" else sse(error, "data: [DONE]")
    _, failure = read(raw)
    assert type(failure) is kind
    assert isinstance(failure, ProviderError)
    assert "the model is busy" in (failure.detail or "")


def test_an_error_of_anthropic_s_protocol_needs_no_type() -> None:
    started = sse(ANTHROPIC_START, *words(0, "so")[:-1])
    for error in ({"type": "error", "error": {"message": "busy"}}, {"type": "error", "message": "busy"}):
        deltas, failure = anthropic(started + sse(error))
        assert text_of(deltas) == "so"
        assert type(failure) is ProviderOverloaded


# --- odd ends and odd fields -----------------------------------------------------------------------------------------


def test_anthropic_s_protocol_without_its_last_event_is_complete_when_the_reason_came() -> None:
    assert whole(anthropic(sse(ANTHROPIC_START, *words(0, "Hi"), *ending()[:-1]))) == ("Hi", "stop")
    assert whole(anthropic(sse(ANTHROPIC_START, *words(0, "Hi"), *ending()[:-1], "data: [DONE]"))) == ("Hi", "stop")
    assert isinstance(anthropic(sse(ANTHROPIC_START, *words(0, "Hi")))[1], ProviderUnreachable)


@pytest.mark.parametrize("odd", ['"none"', "NaN", "1", "[]", "null"])
def test_odd_usage_does_not_cost_the_answer(odd: str) -> None:
    start = f'data: {{"type":"message_start","message":{{"usage":{odd}}}}}\n\n'.encode()
    assert whole(anthropic(start + sse(*words(0, "Hi"), *ending()))) == ("Hi", "stop")
    _, ollama_text = TEXTS["ollama"]
    assert (
        whole(ollama(ollama_text("Hi").replace(b'"done":true', f'"done":true,"eval_count":{odd}'.encode())))[0] == "Hi"
    )
    _, gemini_text = TEXTS["gemini"]
    counted = f'data: {{"usageMetadata":{odd}}}\n\n'.encode()
    assert whole(gemini(gemini_text("Hi") + counted)) == ("Hi", "stop")
    text = event("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"Hi"}}')
    stop = event("messageStop", '{"stopReason":"end_turn"}') + event("metadata", f'{{"usage":{odd}}}')
    assert whole(bedrock(text + stop)) == ("Hi", "stop")


def test_counts_as_floats_and_zeroes_in_the_end_do_not_undo_what_was_counted() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 12.0, "output_tokens": 1}}}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 0}}
    deltas, _ = anthropic(sse(start, *words(0, "Hi"), last, {"type": "message_stop"}))
    assert [delta.usage for delta in deltas if isinstance(delta, UsageReport)][-1] == Usage(12, 1)


@pytest.mark.parametrize(("said", "reason"), [("max_output_tokens", "length"), ("content-filter", "content_filter")])
def test_other_vendors_words_for_the_end_are_understood(said: str, reason: str) -> None:
    assert whole(anthropic(sse(ANTHROPIC_START, *words(0, "Hi"), *ending(said))))[1] == reason
    assert whole(gemini(sse(candidate({"text": "Hi"}, finishReason=said.upper()))))[1] == reason
    assert whole(ollama(line(message={"content": "Hi"}, done=True, done_reason=said)))[1] == reason


def test_a_second_candidate_is_not_part_of_the_answer() -> None:
    other = {"candidates": [{"index": 1, "content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
    assert whole(gemini(sse(other, candidate({"text": "Hi"}, finishReason="STOP")))) == ("Hi", "stop")


def test_ollama_s_objects_on_one_line_are_read_and_broken_ones_are_a_protocol_error() -> None:
    raw = line(message={"content": "H"}).rstrip() + line(message={"content": "i"}, done=True).rstrip()
    assert whole(ollama(raw)) == ("Hi", "stop")
    for broken in (b'{"message":{"content":nope', b"{not json", b'{"message":nope}'):
        assert type(ollama(line(message={"content": "so"}) + broken)[1]) is ProviderProtocolError
    cut = ollama(line(message={"content": "so"}) + b'{"message":{"content":"hal')
    assert cut[0] == [Text("so")]
    assert type(cut[1]) is ProviderUnreachable


# --- bodies under another type ---------------------------------------------------------------------------------------


async def answer(body: bytes, content_type: str) -> list[Delta]:
    """What the dialect of OpenAI makes of a server's answer."""

    async def reply(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_post("/chat/completions", reply)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    model = build(OpenAILLM(model="m", api_key=SecretStr("k"), base_url=f"http://{host}:{port}"), agent="tester")
    try:
        return [delta async for batch in model.stream(ask()) for delta in batch]
    finally:
        await model.aclose()
        await runner.cleanup()


WHOLE = {"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (chat("content", "Hi") + CHAT_END, "application/json"),
        (orjson.dumps(WHOLE), "application/json"),
        (orjson.dumps(WHOLE), "text/event-stream"),
    ],
    ids=["events as JSON", "JSON", "JSON as events"],
)
async def test_an_answer_is_read_under_the_type_of_another_form(body: bytes, content_type: str) -> None:
    assert await answer(body, content_type) == [Text("Hi"), Finish("stop")]


async def test_an_error_object_in_place_of_the_events_has_its_class() -> None:
    with pytest.raises(ProviderAuthError):
        await answer(b'{"object":"error","message":"bad key","code":"401"}', "text/event-stream")
    error = b'{"type":"error","error":{"type":"authentication_error","message":"bad key"}}'
    assert type(anthropic(error)[1]) is ProviderAuthError


# --- anything at all -------------------------------------------------------------------------------------------------

_WORDS = {
    "anthropic": (
        "type index delta content_block message usage input_tokens output_tokens stop_reason text thinking partial_json"
        " signature id name input data error"
    ),
    "gemini": (
        "candidates content parts text thought thoughtSignature functionCall name args id finishReason usageMetadata"
        " promptTokenCount promptFeedback blockReason error code details retryDelay index"
    ),
    "ollama": (
        "message content thinking tool_calls function name arguments id done done_reason eval_count error status_code"
    ),
    "bedrock": (
        "contentBlockIndex delta start toolUse toolUseId name input text reasoningContent signature redactedContent"
        " stopReason usage inputTokens"
    ),
}
_KINDS = {
    "anthropic": (
        "message_start content_block_start content_block_delta content_block_stop message_delta message_stop error"
    ),
    "bedrock": "messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop metadata",
}
_TYPES = (
    "text_delta",
    "input_json_delta",
    "thinking_delta",
    "signature_delta",
    "text",
    "tool_use",
    "thinking",
    "redacted_thinking",
)
_TABLES = (
    "delta",
    "content_block",
    "start",
    "toolUse",
    "functionCall",
    "function",
    "candidates",
    "parts",
    "tool_calls",
)
_LISTS = ("candidates", "parts", "tool_calls", "details")


_leaf: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, -1, 1.5, float("nan"), "", "x", "\ud83d", "\ude00", "{}", "stop", [], {}, *_TYPES]
)


@st.composite
def _events(draw: st.DrawFn, dialect: str) -> list[tuple[str, dict[str, Any]]]:
    keys, kinds = _WORDS[dialect].split(), _KINDS.get(dialect, "none").split()

    def table(depth: int) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(keys), max_size=4))
        made = {key: value(depth, key) for key in chosen}
        return {"type": draw(st.sampled_from(_TYPES)), **made} if depth < 3 else made

    def value(depth: int, key: str) -> Any:
        if not depth or (key not in _TABLES and draw(st.booleans())):
            return draw(_leaf)
        return [table(depth - 1)] if key in _LISTS else table(depth - 1)

    return [(draw(st.sampled_from(kinds)), table(3)) for _ in range(draw(st.integers(0, 4)))]


@pytest.mark.parametrize("dialect", list(_WORDS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_event_raises_anything_but_a_provider_s_error(dialect: str, data: st.DataObject) -> None:
    events = data.draw(_events(dialect))
    read, _ = TEXTS[dialect]
    # Python's own writer lets NaN and halves of characters through, as some servers do.
    if dialect == "bedrock":
        raw = b"".join(event(kind, json.dumps(body)) for kind, body in events)
    elif dialect == "ollama":
        raw = "".join(f"{json.dumps(body)}\n" for _, body in events).encode()
    else:
        kinds = [{"type": kind} if dialect == "anthropic" else {} for kind, _ in events]
        raw = "".join(
            f"data: {json.dumps({**body, **kind})}\n\n" for kind, (_, body) in zip(kinds, events, strict=True)
        ).encode()
    deltas, failure = read(raw)
    assert failure is None or isinstance(failure, ProviderError)
    for delta in deltas:
        if isinstance(delta, Text | Thinking):
            assert delta.text
            assert delta.text.encode()
        elif isinstance(delta, ToolCallReady):
            assert delta.call.id
            assert f"{delta.call.id}{delta.call.name}{delta.call.arguments}".encode()
