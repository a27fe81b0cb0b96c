"""What is repaired in a conversation before strict providers see it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from aura_py.llm.anthropic import body as anthropic_body
from aura_py.llm.bedrock import body as bedrock_body
from aura_py.llm.contract import ChatRequest, ToolSpec
from aura_py.llm.gemini import body as gemini_body
from aura_py.llm.ollama import body as ollama_body
from aura_py.llm.request_body import BodyOptions
from aura_py.llm.turns import Turn, arguments_object, calls_as_text, split_turns
from aura_py.messages import Message, Reasoning, TextPart, ToolCall, assistant, system, tool_result, user
from tests.llm.conversations import CALL, asked


def sides(turns: list[Turn]) -> list[str]:
    return [f"{turn.role}: " + " | ".join(message.text for message in turn.messages) for turn in turns]


def test_messages_of_one_side_become_one_turn() -> None:
    systems, turns = split_turns((system("s"), user("a"), user("b"), assistant("c"), assistant("d"), user("e")))
    assert systems == ["s"]
    assert sides(turns) == ["user: a | b", "assistant: c | d", "user: e"]


def test_blank_messages_are_left_out() -> None:
    _, turns = split_turns((user("a"), assistant("  "), user("\n"), user("b")))
    assert sides(turns) == ["user: a | b"]


def test_a_conversation_that_begins_with_the_assistant_gets_a_user_turn_first() -> None:
    _, turns = split_turns((assistant("Welcome!"), user("hi")))
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]


def test_a_conversation_that_ends_with_the_assistant_gets_a_user_turn_last() -> None:
    _, turns = split_turns((user("hi"), assistant("Hello")))
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]


def test_a_conversation_of_system_messages_only_asks_the_last_one() -> None:
    systems, turns = split_turns((system("rules"), system("question")))
    assert systems == ["rules"]
    assert sides(turns) == ["user: question"]


def test_an_empty_conversation_is_still_a_conversation() -> None:
    assert [turn.role for turn in split_turns(())[1]] == ["user"]


def test_a_later_system_message_stays_at_its_place() -> None:
    systems, turns = split_turns((system("rules"), user("a"), system("hurry")))
    assert systems == ["rules"]
    assert sides(turns) == ["user: a | hurry"]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    _, turns = split_turns((user("a"), assistant("", (CALL,)), user("never mind")))
    result = turns[-1].messages[0]
    assert (result.role, result.tool_call_id, result.is_error) == ("tool", CALL.id, True)
    assert turns[-1].messages[1].text == "never mind"


def test_results_come_in_the_order_of_their_calls_and_orphans_are_dropped() -> None:
    other = ToolCall("call_b2", "add", "{}")
    lost = ToolCall("call_zz", "add", "{}")
    results = tuple(tool_result(call, (TextPart(call.id),)) for call in (lost, other, CALL))
    _, turns = split_turns((user("a"), assistant("", (CALL, other)), *results, tool_result(lost, ())))
    assert [message.tool_call_id for message in turns[-1].messages] == [CALL.id, other.id]


def test_reasoning_alone_is_not_a_turn() -> None:
    thought = Message("assistant", (), (), (Reasoning("hm", "anthropic", {"signature": "s"}),))
    _, turns = split_turns((user("a"), thought, user("b")))
    assert sides(turns) == ["user: a | b"]


def test_arguments_that_are_no_object_are_shown_to_the_model_as_they_were() -> None:
    assert arguments_object(ToolCall("1", "f", '{"a": 1}')) == {"a": 1}
    assert arguments_object(ToolCall("1", "f", "")) == {}
    assert arguments_object(ToolCall("1", "f", "[1]")) == {"invalid_arguments": "[1]"}
    assert arguments_object(ToolCall("1", "f", '{"a":')) == {"invalid_arguments": '{"a":'}
    assert arguments_object(ToolCall("1", "f", "null")) == {}
    assert arguments_object(ToolCall("1", "f", '"{\\"a\\": 1}"')) == {"a": 1}
    assert arguments_object(ToolCall("1", "f", '"word"')) == {"invalid_arguments": '"word"'}


def test_calls_and_results_can_be_told_as_text() -> None:
    _, turns = split_turns((user("a"), assistant("Looking.", (CALL,)), tool_result(CALL, (TextPart("rain"),))))
    assert sides(calls_as_text(turns)) == [
        "user: a",
        'assistant: Looking.[called tool get_weather with {"city":"Oslo"}]',
        "user: Result of tool get_weather: rain",
    ]


@pytest.mark.parametrize("body", [anthropic_body, bedrock_body, gemini_body, ollama_body])
def test_calls_of_another_model_are_sent_with_names_ids_and_arguments_that_are_taken(body: Any) -> None:
    call = ToolCall("functions.add:0", "", '{"a": 2, "b"')
    history = (user("go"), assistant("", (call,)), tool_result(call, (TextPart("no such tool"),)))
    sent = body.build_body(
        ChatRequest(history, tools=(ToolSpec("add", "", {"type": "object"}),)),
        BodyOptions(asked(body.PROVIDER, "m")),
    )
    text = orjson.dumps(sent).decode()
    assert '{"invalid_arguments":"{\\"a\\": 2, \\"b\\""}' in text
    assert '"name":"unnamed"' in text
    if body in (anthropic_body, bedrock_body):
        assert "functions.add:0" not in text
        assert text.count("functions_add_0") == 2
