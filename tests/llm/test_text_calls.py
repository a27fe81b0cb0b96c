"""Tool calls written as text."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import FrameType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.config.models import ScriptCall
from aura_py.errors import ProviderUnreachable
from aura_py.llm.contract import (
    ChatRequest,
    Delta,
    Finish,
    Text,
    Thinking,
    ToolCallFragment,
    ToolCallReady,
    ToolSpec,
)
from aura_py.llm.scripted.text_format import as_text
from aura_py.llm.text_calls import TextCallModel
from aura_py.llm.text_calls.formats import LONGEST_CALL
from aura_py.llm.text_calls.parser import TextCallParser
from aura_py.messages import ToolCall, user
from tests.llm.fakes import Says, overloaded

WEATHER = ToolSpec(
    "get_weather",
    "",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "metric": {"type": "boolean"},
            "ratio": {"type": ["number", "null"]},
            "where": {"type": "object"},
        },
    },
)
NAV = ToolSpec("nav", "", {"type": "object", "properties": {}})
DASHED = ToolSpec("my-tool", "", {"type": "object"})
TOOLS = (WEATHER, NAV, DASHED)
OSLO = ("get_weather", {"city": "Oslo"})


def parse(*pieces: str) -> tuple[str, list[tuple[str, object]]]:
    """What is shown, and the calls."""
    parser = TextCallParser(TOOLS)
    shown = "".join(parser.feed(piece) for piece in pieces) + parser.close()
    return shown, [(call.name, orjson.loads(call.arguments)) for call in parser.calls]


NAV_AND_MY_TOOL = [("nav", {"a": 1}), ("my-tool", {})]

REQUIRED = [
    ('{"name":"get_weather","parameters":{"city":"Oslo"}}', "", [OSLO]),
    ('Let me check. {"name":"get_weather","arguments":{"city":"Oslo"}} done', "Let me check. done", [OSLO]),
    (
        '<tool_call>\n {"name":"get_weather","parameters":{"q":{"city":"Oslo"}}}\n</tool_call>',
        "",
        [("get_weather", {"q": {"city": "Oslo"}})],
    ),
    (
        "[get_weather(city='Oslo', days=3, metric=True)]",
        "",
        [("get_weather", {"city": "Oslo", "days": 3, "metric": True})],
    ),
    (
        "<function=get_weather><parameter=city>Oslo</parameter><parameter=days>3</parameter></function></tool_call>",
        "",
        [("get_weather", {"city": "Oslo", "days": 3})],
    ),
    (
        "<function=nav> <parameter=url> https://x.example <parameter=wait> True </tool_call>",
        "",
        [("nav", {"url": "https://x.example", "wait": True})],
    ),
]


@pytest.mark.parametrize(("text", "shown", "calls"), REQUIRED)
def test_the_examples_of_the_specification_parse(text: str, shown: str, calls: list[tuple[str, object]]) -> None:
    assert parse(text) == (shown, calls)


MORE = {
    "a fenced object": ('Sure:\n```json\n{"name":"nav"}\n```\nDone.', "Sure:\nDone.", [("nav", {})]),
    "a fence of two objects": ('```\n{"name":"nav"}\n{"name":"my-tool"}\n```', "", [("nav", {}), ("my-tool", {})]),
    "an array of calls": (
        '[{"name":"nav"},{"name":"my-tool","args":{"a":1}}]',
        "",
        [("nav", {}), ("my-tool", {"a": 1})],
    ),
    "OpenAI's own shape": (
        '{"tool_calls":[{"type":"function","function":{"name":"nav","arguments":"{\\"a\\":1}"}}]}',
        "",
        [("nav", {"a": 1})],
    ),
    "arguments as a JSON string": ('{"name":"nav","arguments":"{\\"a\\":1}"}', "", [("nav", {"a": 1})]),
    "null arguments": ('{"name":"nav","arguments":null}', "", [("nav", {})]),
    "the same call twice": ('{"name":"nav"} {"name":"nav"}', "", [("nav", {}), ("nav", {})]),
    "two Pythonic calls": ("[nav(x=1), my-tool(y=2)]", "", [("nav", {"x": 1}), ("my-tool", {"y": 2})]),
    "two Pythonic groups": ("[nav(x=1)] and [nav(x=2)]", "and", [("nav", {"x": 1}), ("nav", {"x": 2})]),
    "Pythonic values": (
        """[nav(a=-1.5, b="q\\"\\n", c=[1, 'x', {'k': None}], d=word, e=none, f=0123, g=())]""",
        "",
        [("nav", {"a": -1.5, "b": 'q"\n', "c": [1, "x", {"k": None}], "d": "word", "e": None, "f": "0123", "g": []})],
    ),
    "numbers too long for a number": (
        "[nav(a=123456789012345678901234567890, b=1e999)]",
        "",
        [("nav", {"a": "123456789012345678901234567890", "b": "1e999"})],
    ),
    "values that fit the schema": (
        "[get_weather(city=0123, days='3', metric='true', ratio=none)]",
        "",
        [("get_weather", {"city": "0123", "days": 3, "metric": True, "ratio": None})],
    ),
    "values of a Qwen call that fit the schema": (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n007\n</parameter>\n<parameter=where>\n"
        '{"lat": 1}\n</parameter>\n</function>\n</tool_call>',
        "",
        [("get_weather", {"city": "007", "where": {"lat": 1}})],
    ),
    "several Hermes blocks of which one is broken": (
        '<tool_call>{"name":"nav","arguments":{"a":1}</tool_call>\n<tool_call>{"name":"nav"}</tool_call>',
        '<tool_call>{"name":"nav","arguments":{"a":1}</tool_call>',
        [("nav", {})],
    ),
    "a Hermes block whose end was cut off": ('<tool_call>\n{"name":"nav"}', "", [("nav", {})]),
    "JSON beside a foreign fence": (
        'See\n```python\nprint("hi")\n```\n{"name":"nav"}',
        'See\n```python\nprint("hi")\n```',
        [("nav", {})],
    ),
    "Llama's function with an object": (
        '<function=nav>{"a": "</function>"}</function>',
        "",
        [("nav", {"a": "</function>"})],
    ),
    "Llama's function without its end": ('<function=nav>{"a": 1} done', "done", [("nav", {"a": 1})]),
    "GLM's keys and values": (
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call><tool_call>nav</tool_call>",
        "",
        [("get_weather", {"city": "Oslo", "days": 3}), ("nav", {})],
    ),
    "Mistral's list": ('[TOOL_CALLS] [{"name":"nav","arguments":{"a":1}},{"name":"my-tool"}]', "", NAV_AND_MY_TOOL),
    "Mistral's names": ('[TOOL_CALLS]nav{"a":1}[TOOL_CALLS]my-tool{}', "", NAV_AND_MY_TOOL),
    "Mistral's names with marks": (
        'Look: [TOOL_CALLS]nav[CALL_ID]a1b2c3[ARGS]{"a":1}[TOOL_CALLS]my-tool[ARGS]{}</s>',
        "Look: </s>",
        NAV_AND_MY_TOOL,
    ),
    "Llama's objects": (
        '<|python_tag|>{"name":"nav","parameters":{"a":1}}; {"name":"my-tool"}<|eom_id|>',
        "",
        NAV_AND_MY_TOOL,
    ),
    "Llama's calls": ("<|python_tag|>nav.call(a=1)<|eom_id|>", "", [("nav", {"a": 1})]),
    "LFM's list": ("<|tool_call_start|>[nav(a=1)]<|tool_call_end|> done", "done", [("nav", {"a": 1})]),
    "Granite's list": ('<|tool_call|>[{"name": "nav", "arguments": {"a": 1}}]', "", [("nav", {"a": 1})]),
    "Phi's list": ('<|tool_call|>[{"name":"nav","arguments":{"a":1}}]<|/tool_call|> done', "done", [("nav", {"a": 1})]),
    "Kimi's section": (
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.nav:0<|tool_call_argument_begin|>{"a":1}'
        "<|tool_call_end|><|tool_call_begin|>functions.my-tool:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        "",
        NAV_AND_MY_TOOL,
    ),
    "DeepSeek's calls": (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>nav<｜tool▁sep｜>{"a":1}<｜tool▁call▁end｜>'
        "<｜tool▁call▁begin｜>my-tool<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "",
        NAV_AND_MY_TOOL,
    ),
    "DeepSeek's older calls": (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>nav\n```json\n{"a":1}\n```<｜tool▁call▁end｜>',
        "",
        [("nav", {"a": 1})],
    ),
    "a call after thinking": ("<think>hm</think>[nav(x=1)]", "<think>hm</think>", [("nav", {"x": 1})]),
}


@pytest.mark.parametrize("case", MORE)
def test_calls_are_recognised_in(case: str) -> None:
    text, shown, calls = MORE[case]
    assert parse(text) == (shown, calls)


PROSE = {
    "an unknown name": '{"name":"rm_rf","arguments":{}}',
    "two kinds of arguments": '{"name":"nav","arguments":{},"parameters":{}}',
    "truncated JSON": '{"name":"nav","arguments":{"x":"y',
    "malformed JSON": '{"name":"nav","arguments":{x:1}}',
    "a nested object with a name": '{"result":{"name":"nav","arguments":{}}}',
    "a call inside thinking": '<think>I could {"name":"nav"} here</think> no',
    "a call inside thinking that never ends": '<think>I could {"name":"nav"}',
    "a call inside a code sample": '```python\ncall = {"name":"nav"}\n```',
    "an inline code sample": "use `nav(x=1)`, ``a`` or ```b``` here",
    "Markdown links": "see [the page](https://x.example) and [1] [x] [ ]",
    "comparisons": "if a < b and c > d: {x} <br> <tool>",
    "braces": "function f() { return [1, 2]; } {}",
    "an unclosed Qwen call": "<function=nav><parameter=a>1</parameter>",
    "a Qwen call of an unknown name": "<function=rm><parameter=a>1</parameter></function>",
    "positional arguments": "[nav(1, 2)]",
    "a sentence about Hermes' mark": "<tool_call> is a tag, </tool_call> its end",
    "a sentence about Mistral's mark": "[TOOL_CALLS] is how Mistral begins calls, [TOOL_CALLS",
    "Python after Llama's mark": "<|python_tag|>print(nav(1))",
    "an unknown name after a mark": '<|tool_call|>[{"name":"rm_rf","arguments":{}}]',
    "a marked call that was cut": '[TOOL_CALLS]nav[ARGS]{"a":',
    "white space": "  a \n\n b  \n",
}


@pytest.mark.parametrize("case", PROSE)
def test_nothing_is_recognised_or_lost_in(case: str) -> None:
    assert parse(PROSE[case]) == (PROSE[case], [])


def test_prose_streams_on_and_only_an_opener_is_held_back() -> None:
    parser = TextCallParser(TOOLS)
    assert parser.feed("Hello") == "Hello"
    assert parser.feed(" there, {") == " there,"
    assert parser.feed("x") == " {x"
    assert parser.feed(' and {"a":') == " and"
    assert parser.feed("1} fine") == ' {"a":1} fine'


def test_code_samples_stream_on() -> None:
    parser = TextCallParser(TOOLS)
    parser.feed("```python\n")
    assert "x = {'a'" in parser.feed("x = {'a'")


def test_what_is_held_back_is_bounded() -> None:
    parser = TextCallParser(TOOLS)
    shown = parser.feed('{"a": "' + "x" * (LONGEST_CALL + 10))
    assert len(shown) > LONGEST_CALL


HOSTILE = (
    *("[", "{", '{"', '{"a":', "[{", "[a(", "[a,", "[nav(a=", "[nav(a=[],", '[nav(a="', "[nav(a={1:", '[nav(a="\\'),
    *("<", "<t", "`", "```json\n", '```\n{"name":"nav"}\n', "<tool_call>", '<tool_call>{"', "<tool_call>nav<arg_key>"),
    *("<function=nav>", "<function=nav><parameter=a>", "<|tool_call|>", '<|tool_call|>nav{"', "[TOOL_CALLS]nav[ARGS]{"),
)


def lines_run(text: str, size: int) -> int:
    """How many lines of Python the parser runs for ``text``, fed in pieces."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace if "text_calls" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parse(*(text[at : at + size] for at in range(0, len(text), size)))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("size", [4, 1_000_000], ids=["in small pieces", "at once"])
def test_no_text_costs_more_than_a_few_steps_for_each_character(
    piece: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aura_py.llm.text_calls.parser._WORK_AT_LEAST", 0)
    text = piece * (4_000 // len(piece))
    assert lines_run(text, size) < 60 * len(text)


@pytest.mark.parametrize("piece", HOSTILE[2::3])
def test_the_characters_looked_at_are_bounded_by_the_characters_that_came(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    parser = TextCallParser(TOOLS)
    shown = parser.feed(text) + parser.close()
    assert parser.work <= 6 * len(text) + 3 * LONGEST_CALL
    assert shown == text or parser.calls


def test_calls_are_found_behind_any_number_of_calls_and_samples() -> None:
    text = 'Like {"a": [1, 2, {"b": "c"}], "d": "a sample"} or so. {"name":"nav"}\n' * 500
    assert len(parse(*(text[at : at + 4] for at in range(0, len(text), 4)))[1]) == 500


@pytest.mark.parametrize(
    "piece", ["<function=nav><parameter=a>", "<|tool_call|>", "function;", "[TOOL_CALLS]nav[ARGS]"]
)
def test_marks_without_a_call_do_not_cost_the_square_of_their_number(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    assert parse(*(text[at : at + 1000] for at in range(0, len(text), 1000))) == (text, [])


@pytest.mark.parametrize("piece", ["<", "<t", "{x", "[", "[nav(", "nav(a=", "```", "<|python_tag|>", '{"name": 1} '])
def test_a_large_piece_is_read_as_its_parts_would_be(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert parse(text) == parse(*(text[at : at + 1000] for at in range(0, len(text), 1000)))


@pytest.mark.parametrize("format_", ["json", "hermes", "pythonic", "qwen"])
def test_calls_written_by_the_scripted_model_are_read_back(format_: str) -> None:
    calls = [
        ScriptCall(name="get_weather", arguments={"city": "New York", "days": 3, "metric": True}),
        ScriptCall(name="nav", arguments={}),
    ]
    text = as_text(calls, format_)  # type: ignore[arg-type]
    assert parse("Wait. " + text) == ("Wait.", [(call.name, dict(call.arguments)) for call in calls])


_fragments = st.sampled_from(
    [text for text, _, _ in REQUIRED]
    + [text for text, _, _ in MORE.values()]
    + list(PROSE.values())
    + ["<|", "|>", "[TOOL_CALLS]", "<|tool_call|>", "nav", "function", ";", "(a=1)"]
    + ["<", "`", "``", "```", "{", "[", "<tool", "_call>", '"', "\\", "\n", " ", "<think>", "</think>", "}", "]", "é"]
)


@settings(max_examples=300, deadline=None)
@given(fragments=st.lists(_fragments, max_size=5), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_it_does_not_matter_where_the_text_is_cut(fragments: list[str], cuts: list[int]) -> None:
    text = "".join(fragments)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    assert parse(*pieces) == parse(text)
    assert parse(*text) == parse(text)


@settings(deadline=None)
@given(st.text(alphabet='{}[]<>`"\\ab(),=: \n_/|;'))
def test_no_text_breaks_the_parser(text: str) -> None:
    shown, calls = parse(*text)
    assert shown == text or calls


# --- around a model ------------------------------------------------------------------------------------------------

ASK = ChatRequest((user("hi"),), tools=TOOLS)


async def through(model: Says, request: ChatRequest = ASK) -> list[Delta]:
    return [delta async for batch in TextCallModel(model).stream(request) for delta in batch]


async def test_a_recovered_call_is_an_ordinary_call_and_the_finish_says_so() -> None:
    deltas = await through(Says(([Text("Look: [na")], [Text("v(x=1)]")], [Finish("stop")])))
    assert isinstance(deltas[1], ToolCallReady)
    call = deltas[1].call
    assert deltas == [Text("Look:"), ToolCallReady(call, recovered=True), Finish("tool_calls")]
    assert (call.name, call.arguments) == ("nav", '{"x":1}')
    assert call.id.startswith("call_")
    assert len(call.id) == 29


async def test_without_tools_nothing_changes() -> None:
    batches: list[list[Delta]] = [[Text('{"name":"nav"}')], [Finish("stop")]]
    assert await through(Says(batches), ChatRequest((user("hi"),))) == [Text('{"name":"nav"}'), Finish("stop")]


async def test_a_native_call_switches_the_parser_off() -> None:
    native = ToolCall("call_1", "nav", "{}")
    deltas = await through(
        Says(
            (
                [Text("[nav(")],
                [ToolCallFragment(0, "call_1", "nav", "")],
                [Text("x=1)]")],
                [ToolCallReady(native)],
                [Finish("tool_calls")],
            )
        )
    )
    assert [type(delta) for delta in deltas] == [Text, ToolCallFragment, Text, ToolCallReady, Finish]
    assert "".join(delta.text for delta in deltas if isinstance(delta, Text)) == "[nav(x=1)]"


async def test_thinking_is_not_parsed() -> None:
    deltas = await through(Says(([Thinking("[nav(x=1)]")], [Text("ok")], [Finish("stop")])))
    assert deltas == [Thinking("[nav(x=1)]"), Text("ok"), Finish("stop")]


async def test_an_answer_cut_by_length_stays_cut_by_length() -> None:
    assert (await through(Says(([Text("[nav(x=")], [Finish("length")]))))[-1] == Finish("length")


async def test_a_broken_answer_shows_what_was_held_and_proposes_nothing() -> None:
    stream = TextCallModel(Says(([Text("see [nav(x=1)] {")], ProviderUnreachable("gone")))).stream(ASK)
    shown: list[Delta] = []
    with pytest.raises(ProviderUnreachable):
        shown += [delta async for batch in stream for delta in batch]
    stream = TextCallModel(Says(([Text("see [nav(x=1)] {")], ProviderUnreachable("gone")))).stream(ASK)
    assert await anext(stream) == [Text("see")]
    assert await anext(stream) == [Text(" {")]


async def test_text_that_was_only_held_does_not_hinder_a_retry() -> None:
    stream = TextCallModel(Says(([Text("{")], overloaded()))).stream(ASK)
    assert await anext(stream) == []
    with pytest.raises(type(overloaded())):
        await anext(stream)


async def test_two_responses_of_one_model_do_not_share_what_is_held() -> None:
    model = TextCallModel(Says(([Text("{")], [Finish("stop")])))
    for _ in range(2):
        deltas = [delta async for batch in model.stream(ASK) for delta in batch]
        assert deltas == [Text("{"), Finish("stop")]
