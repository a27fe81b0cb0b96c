"""Chunks of a Chat Completions stream, as different servers write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.errors import (
    ContextOverflow,
    ProviderAuthError,
    ProviderError,
    ProviderOverloaded,
    ProviderProtocolError,
    ProviderUnreachable,
)
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, ToolCallReady, UsageReport
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_reader import StreamReader
from aura_py.messages import Usage

ASKED = ProviderErrors("tester", "openai", "gpt", "http://127.0.0.1", secrets=("sk-1",))


def chunk(finish: Any = None, **delta: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def read(*payloads: bytes | dict[str, Any]) -> list[Delta]:
    """All deltas of a stream; raises what the stream ends with."""
    stream = ChatStream(ASKED)
    deltas = feed(stream, [p if isinstance(p, bytes) else orjson.dumps(p) for p in payloads])
    if stream.failure is None and not stream.done:
        deltas += stream.end()
    if stream.failure is not None:
        raise stream.failure
    return [delta for delta in deltas if not isinstance(delta, ThinkingBlock)]


def feed(stream: ChatStream, payloads: Iterable[bytes]) -> list[Delta]:
    """One network read."""
    events = (b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n" for payload in payloads)
    return stream.feed(b"".join(events))


def test_text_and_finish() -> None:
    assert read(chunk(content="a"), chunk(content=""), chunk("stop"), b"[DONE]") == [Text("a"), Finish("stop")]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_stands_under_either_key(key: str) -> None:
    assert read(chunk(**{key: "hm"}), chunk("stop"))[0] == Thinking("hm")


def test_reasoning_under_both_keys_is_shown_once() -> None:
    assert read(chunk(reasoning="hm", reasoning_content="hm"), chunk("stop")) == [Thinking("hm"), Finish("stop")]


def test_usage_may_come_with_the_finish_or_after_it() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    expected = UsageReport(Usage(10, 5, 4, 0, 2))
    with_finish = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}
    assert read(with_finish) == [expected, Finish("stop")]
    assert read(chunk("stop"), {"choices": [], "usage": usage}) == [expected, Finish("stop")]


def test_usage_that_says_nothing_is_no_usage() -> None:
    assert read({"choices": [], "usage": None}, chunk("stop")) == [Finish("stop")]
    odd = {"choices": [], "usage": {"prompt_tokens": None, "prompt_tokens_details": None}}
    assert read(odd, chunk("stop")) == [Finish("stop")]


@pytest.mark.parametrize(
    "usage",
    [
        {"usage": {"prompt_tokens": 3.0, "completion_tokens": 2.0}},
        {"usage": {"input_tokens": 3, "output_tokens": 2}},
        {"x_groq": {"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}},
    ],
    ids=["floats", "other names", "x_groq"],
)
def test_usage_counts_however_it_is_written(usage: dict[str, Any]) -> None:
    assert UsageReport(Usage(3, 2)) in read({"choices": [{"delta": {"content": "a"}}], **usage}, chunk("stop"))


def test_usage_that_is_zeroed_in_the_end_does_not_undo_what_was_counted() -> None:
    def usage(*counts: int) -> dict[str, Any]:
        return {"choices": [], "usage": dict(zip(("prompt_tokens", "completion_tokens"), counts, strict=True))}

    deltas = read(chunk(content="a"), usage(3, 1), usage(3, 2), usage(0, 0), chunk("stop"))
    assert [delta.usage for delta in deltas if isinstance(delta, UsageReport)] == [Usage(3, 1), Usage(3, 2)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("length", "length"),
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("content-filter", "content_filter"),
        ("eos", "stop"),
        ("new_reason", "stop"),
        (1, "stop"),
    ],
)
def test_finish_reasons(said: Any, reason: Any) -> None:
    assert read(chunk(content="x"), chunk(said))[-1] == Finish(reason)


def test_calls_finish_as_tool_calls_even_when_the_server_says_stop() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "add", "arguments": {"a": 1}}}
    deltas = read(chunk(tool_calls=[call]), chunk("stop"))
    assert [delta.call.arguments for delta in deltas if isinstance(delta, ToolCallReady)] == ['{"a":1}']
    assert deltas[-1] == Finish("tool_calls")


def test_tool_calls_without_a_call_are_a_stop() -> None:
    assert read(chunk("tool_calls")) == [Finish("stop")]


def test_a_refusal_is_text_and_a_content_filter() -> None:
    assert read(chunk(refusal="I cannot."), chunk("stop")) == [Text("I cannot."), Finish("content_filter")]


def test_content_in_parts_is_joined() -> None:
    assert read(chunk(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), chunk("stop"))[
        0
    ] == Text("ab")


def test_a_whole_answer_instead_of_a_stream_is_read() -> None:
    whole = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
    assert read(whole) == [Text("hi"), Finish("stop")]


def test_two_objects_in_one_event_are_read() -> None:
    assert read(chunk(content="a") + b"\n" + chunk("stop")) == [Text("a"), Finish("stop")]


def test_an_end_without_a_mark_is_a_lost_connection() -> None:
    with pytest.raises(ProviderUnreachable):
        read(chunk(content="half"))


@pytest.mark.parametrize(
    "payloads",
    [
        (b"[DONE]",),
        ({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}, b"[DONE]"),
        (chunk(role="assistant", content=""), b"[DONE]"),
    ],
    ids=["mark", "usage", "role"],
)
def test_a_stream_without_an_answer_is_a_protocol_error_that_is_tried_again(payloads: Any) -> None:
    with pytest.raises(ProviderProtocolError) as caught:
        read(*payloads)
    assert caught.value.retryable


def test_an_empty_answer_that_the_server_calls_complete_is_one() -> None:
    assert read(chunk(role="assistant", content=""), chunk("stop"), b"[DONE]") == [Finish("stop")]


@pytest.mark.parametrize("mark", [b"[DONE] ", b" [DONE]", b"[DONE]\n"])
def test_the_last_mark_may_have_spaces_around_it(mark: bytes) -> None:
    assert read(chunk(content="a"), mark, chunk(content="b")) == [Text("a"), Finish("stop")]


def test_a_message_after_streamed_text_is_the_same_text_again() -> None:
    last = {"choices": [{"delta": {}, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}]}
    assert read(chunk(content="a"), chunk(content="b"), last) == [Text("a"), Text("b"), Finish("stop")]
    stream = ChatStream(ASKED)
    assert feed(stream, [chunk(content="ab")]) + feed(stream, [orjson.dumps(last)]) == [Text("ab")]
    assert read(last) == [Text("ab"), Finish("stop")]


def test_a_second_choice_is_not_part_of_the_answer() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "x"}}]}
    both = {"choices": [{"index": 1, "delta": {"content": "y"}}, {"index": 0, "delta": {"content": "b"}}]}
    assert read(chunk(content="a"), other, both, chunk("stop")) == [Text("a"), Text("b"), Finish("stop")]


def test_the_older_form_of_a_tool_call_is_one() -> None:
    begin = chunk(function_call={"name": "add", "arguments": ""})
    more = [chunk(function_call={"arguments": piece}) for piece in ('{"x"', ":1}")]
    deltas = read(begin, *more, chunk("function_call"))
    assert [d.call.arguments for d in deltas if isinstance(d, ToolCallReady)] == ['{"x":1}']
    assert deltas[-1] == Finish("tool_calls")


def test_two_calls_without_arguments_in_one_chunk_are_two() -> None:
    entry = {"function": {"name": "now", "arguments": ""}}
    deltas = read(chunk(tool_calls=[entry, entry]), chunk("tool_calls"))
    assert [d.call.arguments for d in deltas if isinstance(d, ToolCallReady)] == ["{}", "{}"]


def test_what_a_server_adds_to_a_call_is_kept_with_the_call() -> None:
    extra = {"google": {"thought_signature": "sig"}}
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas = read(chunk(tool_calls=[{**call, "extra_content": extra}]), chunk("stop"))
    (ready,) = (delta.call for delta in deltas if isinstance(delta, ToolCallReady))
    assert ready.opaque == {"extras": {"extra_content": extra}, "origin": ASKED.place}


# --- characters and objects that are cut or broken -------------------------------------------------------------------


def raw(key: str, text: str) -> bytes:
    return b'{"choices":[{"index":0,"delta":{"%s":"%s"}}]}' % (key.encode(), text.encode())


@pytest.mark.parametrize(("key", "kind"), [("content", Text), ("reasoning", Thinking)])
@pytest.mark.parametrize("apart", [True, False], ids=["two reads", "one read"])
def test_halves_of_a_character_in_two_deltas_are_joined(key: str, kind: type[Text | Thinking], apart: bool) -> None:
    first, second = raw(key, r"a\ud83d"), raw(key, r"\ude00b")
    stream = ChatStream(ASKED)
    deltas = feed(stream, [first]) + feed(stream, [second]) if apart else feed(stream, [first, second])
    assert stream.failure is None
    assert deltas == [kind("a"), kind("\U0001f600b")]


def test_half_a_character_that_stays_single_is_replaced() -> None:
    assert read(raw("content", r"a\ud83d"), raw("content", "b"), raw("content", r"\ude00"), chunk("stop")) == [
        Text("a"),
        Text("\ufffdb"),
        Text("\ufffd"),
        Finish("stop"),
    ]
    assert read(raw("content", r"a\ud83d"), chunk("stop")) == [Text("a"), Text("\ufffd"), Finish("stop")]


def test_halves_of_a_character_in_arguments_are_joined() -> None:
    def piece(arguments: str) -> bytes:
        entry = b'{"index":0,"id":"c","function":{"name":"f","arguments":"%s"}}' % arguments.encode()
        return b'{"choices":[{"delta":{"tool_calls":[%s]}}]}' % entry

    deltas = read(piece(r"{\"q\":\"\ud83d"), piece(r"\ude00\"}"), chunk("tool_calls"))
    assert [d.call.arguments for d in deltas if isinstance(d, ToolCallReady)] == ['{"q":"\U0001f600"}']


@pytest.mark.parametrize(
    "odd",
    [
        b'{"choices":[{"delta":{"content":"a"}}],"usage":"none"}',
        b'{"choices":[{"delta":{"content":"a"}}],"usage":NaN}',
        b'{"choices":[{"delta":{"content":"a"},"logprobs":NaN}],"created":NaN}',
        b'{"choices":[{"delta":{"content":"a","tool_calls":"none"}}]}',
        b'{"choices":[{"delta":{"content":"a","reasoning":{"x":1},"refusal":1}}]}',
        b'{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":"many","completion_tokens":NaN}}',
    ],
)
def test_an_odd_optional_field_does_not_cost_the_answer(odd: bytes) -> None:
    assert read(odd, chunk("stop")) == [Text("a"), Finish("stop")]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"object": "error", "message": "The model is busy", "code": 503}, ProviderOverloaded),
        ({"object": "error", "message": "bad key", "code": "401"}, ProviderAuthError),
        ({"detail": "The model is busy"}, ProviderOverloaded),
        ({"success": False, "errors": [{"code": 7003, "message": "The model is busy"}]}, ProviderOverloaded),
        ({"message": "The model is busy", "code": 500}, ProviderOverloaded),
        ({"error": {"message": "slow down", "code": "429"}}, ProviderOverloaded),
        ({"choices": [{"delta": {}, "error": {"message": "no", "code": 401}}]}, ProviderAuthError),
    ],
)
def test_an_error_under_any_key_is_a_failure(event: dict[str, Any], kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        read(chunk(content="a"), event, b"[DONE]")
    said = caught.value.detail or ""
    assert any(word in said for word in ("busy", "bad key", "slow down", "no"))
    assert len(said) <= 500


def test_json_that_is_nested_too_deeply_is_a_protocol_error() -> None:
    with pytest.raises(ProviderProtocolError):
        read(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_done_alone_is_a_mark() -> None:
    assert read(chunk(content="a"), b"[DONE]") == [Text("a"), Finish("stop")]


def test_what_came_before_an_error_is_kept() -> None:
    stream = ChatStream(ASKED)
    assert feed(stream, [chunk(content="a"), b'{"error":{"message":"busy sk-1","code":503}}', chunk(content="b")]) == [
        Text("a")
    ]
    assert isinstance(stream.failure, ProviderOverloaded)
    assert "sk-1" not in (stream.failure.detail or "")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "maximum context length is 10"}, ContextOverflow),
        ({"message": "too much", "code": "context_length_exceeded"}, ContextOverflow),
        ({"message": "Rate limit exceeded", "code": 429}, ProviderOverloaded),
        ("just a text", ProviderOverloaded),
    ],
)
def test_errors_inside_the_stream_have_their_class(error: Any, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        read({"error": error})


@pytest.mark.parametrize("payload", [b"{not json", b"42", b"<html>"])
def test_what_is_no_chunk_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProviderProtocolError):
        read(payload)


_KEYS = (
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "arguments",
    "name",
    "id",
    "index",
    "usage",
)
_MORE = ("prompt_tokens", "finish_reason", "error", "reasoning", "refusal", "code", "status")
_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS + _MORE), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "error"]), _json, max_size=3), max_size=4))
def test_no_json_raises_anything_but_a_provider_s_error(chunks: list[Any]) -> None:
    try:
        deltas = read(*(orjson.dumps(chunk) for chunk in chunks))
    except ProviderError:
        return
    assert isinstance(deltas[-1], Finish)
    assert all(delta.text for delta in deltas if isinstance(delta, Text))


_odd = st.sampled_from([None, "", "x", "é\n", 0, False, True, [], ["a"], {}, {"text": "y"}, [{"text": "z"}]])
_delta = st.dictionaries(
    st.sampled_from(["content", "role", "refusal", "tool_calls", "reasoning", "reasoning_content", "audio"]), _odd
)
_choice = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, None]),
        "delta": st.one_of(_delta, _odd),
        "message": _delta,
        "finish_reason": _odd,
        "logprobs": _odd,
    },
)
_chunk = st.fixed_dictionaries(
    {}, optional={"choices": st.one_of(st.lists(_choice, max_size=2), _odd), "usage": _odd, "error": _odd, "id": _odd}
)


@given(st.lists(_chunk, max_size=4))
def test_the_short_way_reads_what_the_long_way_reads(chunks: list[Any]) -> None:
    class Thorough(ChatStream):
        def take_record(self, record: bytes, out: list[Delta]) -> None:
            StreamReader.take_record(self, record, out)

    told = []
    for kind in (ChatStream, Thorough):
        stream = kind(ASKED)
        deltas = feed(stream, map(orjson.dumps, chunks))
        told.append((re.sub("call_[0-9a-f]{24}", "call_new", repr(deltas)), type(stream.failure), stream.stop))
    assert told[0] == told[1]
