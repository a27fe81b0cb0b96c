"""The duplicate-call guard."""

from __future__ import annotations

from dataclasses import replace

from aura_py.agent.duplicates import ABORT_MARKER, GUIDANCE_MARKER, DuplicateGuard, fingerprint
from aura_py.tools.contract import CallContext, Invocation, Next, ToolOutcome, failure, success
from tests.agent.scenario import Scenario


def kinds(texts: list[str]) -> list[str]:
    return ["abort" if ABORT_MARKER in text else "guidance" if GUIDANCE_MARKER in text else "plain" for text in texts]


async def test_five_identical_answers_are_noted_twice_and_then_withheld() -> None:
    guard = DuplicateGuard(nudge=3, block=5)
    scenario = Scenario([success("same")], guard)
    texts = [(await scenario.call()).text for _ in range(6)]
    assert kinds(texts) == ["plain", "plain", "guidance", "guidance", "abort", "abort"]
    assert guard.escalated
    assert scenario.executed == 5
    assert texts[4].startswith("same\n\n")


async def test_different_arguments_are_counted_apart_and_the_stated_reason_does_not_count() -> None:
    scenario = Scenario([success("same")], DuplicateGuard(nudge=2, block=9))
    first = await scenario.call('{"a":1,"b":2,"_aura_reasoning":"because"}')
    other = await scenario.call('{"a":2}')
    again = await scenario.call('{"b":2,"a":1}')
    assert kinds([first.text, other.text, again.text]) == ["plain", "plain", "guidance"]


async def test_a_different_answer_starts_the_count_again() -> None:
    scenario = Scenario([success("x"), success("y"), success("y")], DuplicateGuard(nudge=2, block=9))
    assert kinds([(await scenario.call()).text for _ in range(3)]) == ["plain", "plain", "guidance"]


async def test_a_stage_that_decorates_the_output_does_not_blind_the_guard() -> None:
    count = 0

    async def footer(invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        nonlocal count
        count += 1
        outcome = await next_(invocation, context)
        return replace(outcome, text=f"{outcome.text}\n[saved as file-{count}]")

    scenario = Scenario([success("z" * 10_000)], DuplicateGuard(nudge=3, block=5), footer)
    texts = [(await scenario.call()).text for _ in range(5)]
    assert kinds(texts)[-1] == "abort"


async def test_failing_calls_get_twice_the_patience_and_numbers_in_errors_do_not_matter() -> None:
    outcomes = [failure(f"boom at {n}", outcome="tool_error") for n in range(20)]
    scenario = Scenario(outcomes, DuplicateGuard(nudge=2, block=3))
    texts = [(await scenario.call()).text for _ in range(6)]
    assert kinds(texts) == ["plain", "plain", "plain", "guidance", "guidance", "abort"]


async def test_thresholds_of_zero_turn_the_stages_off() -> None:
    guard = DuplicateGuard(nudge=0, block=0)
    scenario = Scenario([success("same")], guard)
    assert kinds([(await scenario.call()).text for _ in range(8)]) == ["plain"] * 8
    assert not guard.escalated


def test_a_fingerprint_ignores_key_order_but_not_types() -> None:
    assert fingerprint("t", {"a": 1, "b": {"c": 1, "d": 2}}) == fingerprint("t", {"b": {"d": 2, "c": 1}, "a": 1})
    assert fingerprint("t", {"a": 1}) != fingerprint("t", {"a": 1.0})
    assert fingerprint("t", {"a": None}) != fingerprint("t", {})
