"""Repair of what clients send back."""

from __future__ import annotations

from aura_py.agent.history import repaired
from aura_py.messages import Message, TextPart, ToolCall, assistant, tool_result, user

CALL = ToolCall("call_1", "lookup", "{}")


def test_an_unanswered_call_gets_a_result_that_says_so() -> None:
    conversation = repaired([user("q"), assistant("", (CALL,)), user("and?")])
    assert [m.role for m in conversation] == ["user", "assistant", "tool", "user"]
    assert "not available" in conversation[2].text


def test_a_result_without_its_call_is_left_out() -> None:
    orphan = Message("tool", (TextPart("x"),), tool_call_id="call_9")
    assert [m.role for m in repaired([user("q"), orphan])] == ["user"]


def test_results_follow_their_calls_whatever_the_order_they_came_in() -> None:
    other = ToolCall("call_2", "lookup", "{}")
    conversation = repaired(
        [
            user("q"),
            assistant("", (CALL, other)),
            tool_result(other, (TextPart("two"),)),
            tool_result(CALL, (TextPart("one"),)),
        ]
    )
    assert [m.text for m in conversation if m.role == "tool"] == ["one", "two"]


def test_an_empty_assistant_message_is_left_out() -> None:
    assert [m.role for m in repaired([user("q"), assistant(""), user("r")])] == ["user", "user"]
