"""Counting with the provider's own reports as the measure."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from aura_py.messages import ImagePart, Message, Reasoning, TextPart, ToolCall, Usage, assistant, tool_result, user
from aura_py.scratchpad.calibration import Calibration
from tests.scratchpad.rig import COUNTER, Rig, rig

CALL = ToolCall("1", "read", '{"file": "x"}')
WORDS = "some words of a result " * 200


def after(factor: float, *, first: float = 1.0, result: Message | None = None) -> tuple[Calibration, list[Message]]:
    """Has seen two calls: the first reported ``first`` times our count, what came then ``factor`` times."""
    calibration = Calibration(COUNTER)
    sent = [user("question " * 1000)]
    prompt = 2000
    told = round((prompt + COUNTER.count(sent[0].text)) * first)
    calibration.observe(Usage(told, 10), sent, prompt=prompt)
    sent += [assistant("", (CALL,)), result or tool_result(CALL, (TextPart(WORDS),))]
    grown = COUNTER.count(f"{CALL.name} {CALL.arguments}") + COUNTER.count(sent[-1].text)
    calibration.observe(Usage(told + round(grown * factor), 10), sent, prompt=prompt)
    calibration.settle()
    return calibration, sent


def test_a_provider_that_counts_more_is_followed_by_what_the_conversation_grew_by() -> None:
    calibration, _ = after(1.3, first=0.9)
    assert abs(calibration.factor - Fraction(13, 10)) < Fraction(1, 100)
    assert calibration.count(WORDS) == pytest.approx(1.3 * COUNTER.count(WORDS), rel=0.01)


def test_before_there_is_growth_the_first_call_is_the_measure() -> None:
    calibration = Calibration(COUNTER)
    calibration.observe(Usage(1500, 10), [user("hello")], prompt=1000)
    assert calibration.factor == 1  # nothing is counted on the event loop
    calibration.settle()
    assert calibration.factor == pytest.approx(1.5, rel=0.01)


def test_a_provider_that_counts_less_is_not_followed_so_that_nothing_over_the_limit_is_admitted() -> None:
    assert after(0.7)[0].factor == 1


@pytest.mark.parametrize("factor", [0.1, 5])
def test_reports_that_no_vocabulary_explains_teach_nothing(factor: float) -> None:
    assert after(factor)[0].factor == 1


def test_the_factor_has_an_upper_bound() -> None:
    assert after(2.8)[0].factor == 2


def test_our_own_estimates_images_and_thinking_teach_nothing() -> None:
    _, sent = after(1)
    for usage, fresh in (
        (Usage(90_000, 0, estimated=True), (tool_result(CALL, (TextPart(WORDS),)),)),
        (Usage(9000, 0), (Message("user", (ImagePart("https://x/y.png"),)), tool_result(CALL, (TextPart(WORDS),)))),
        (Usage(9000, 0), (assistant("", (CALL,), (Reasoning("hm"),)), tool_result(CALL, (TextPart(WORDS),)))),
    ):
        calibration, _ = after(1)
        calibration.observe(usage, [*sent, *fresh], prompt=2000)
        calibration.settle()
        assert calibration.factor == 1


def test_the_short_answers_agree_with_the_count() -> None:
    calibration, _ = after(1.37)
    for text in ("", "a", "word " * 50, WORDS):
        tokens = calibration.count(text)
        for limit in {max(0, tokens - 1), tokens, tokens + 1}:
            assert calibration.exceeds(text, limit) == (tokens > limit)
            found = calibration.count_up_to(text, limit)
            assert found == tokens if tokens <= limit else found > limit


async def test_what_is_read_back_is_charged_as_the_model_counts_but_pointers_stay_the_same(tmp_path: Path) -> None:
    lines = "\n".join(f"line {number} with a few words" for number in range(5000))
    with rig(tmp_path / "pad", max_extraction_tokens=1000) as pad:
        before = await pad.through(lines)
        file = str(before.meta["parked"])
        shown = len(await pad.lines("head", file=file, lines=5000))
        teach(pad, 1.5)
        body = await pad.read("head", file=file, lines=5000)
        assert 0.6 * shown < body.count("\n") < 0.72 * shown
        assert COUNTER.count(body) * 1.5 <= 1000
        assert (await pad.through(lines)).text == before.text


def teach(pad: Rig, factor: float) -> None:
    sent = [user("question " * 3000)]
    told = round((pad.scratchpad.budget.baseline + COUNTER.count(sent[0].text)) * factor)
    pad.scratchpad.observe_turn(Usage(told, 0), sent)
