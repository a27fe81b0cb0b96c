"""Turn nudges."""

from __future__ import annotations

import pytest

from aura_py.agent.nudges import TurnNudges
from aura_py.tools.contract import success
from tests.agent.scenario import Scenario

OK = [success("data")]


@pytest.mark.parametrize(
    ("depth", "last_turn", "remaining", "marked"),
    [
        (3, True, None, {4: "FINAL TURN"}),
        (4, False, 3, {3: "WRAP UP", 4: "WRAP UP", 5: "WRAP UP"}),
        (4, True, 3, {3: "WRAP UP", 4: "WRAP UP", 5: "FINAL TURN"}),
        (1, False, None, {}),
        (2, False, 0, {}),
    ],
)
async def test_notes_appear_on_the_turns_of_the_specification(
    depth: int, last_turn: bool, remaining: int | None, marked: dict[int, str]
) -> None:
    limit = depth + 2
    scenario = Scenario(OK, TurnNudges(last_turn=last_turn, remaining=remaining))
    seen = {}
    for turn in range(1, limit + 1):
        text = (await scenario.call(turn=turn, left=limit - turn)).text
        for marker in ("FINAL TURN", "WRAP UP"):
            if f"[{marker}]" in text:
                seen[turn] = marker
    assert seen == marked


async def test_only_the_first_result_of_a_turn_carries_the_note() -> None:
    scenario = Scenario(OK, TurnNudges(last_turn=False, remaining=2))
    assert "[WRAP UP]" in (await scenario.call(turn=3, left=2)).text
    assert (await scenario.call(turn=3, left=2)).text == "data"


async def test_the_note_stands_after_a_blank_line_and_a_rule() -> None:
    scenario = Scenario(OK, TurnNudges(last_turn=True, remaining=None, submit="submit_result"))
    text = (await scenario.call(turn=4, left=1)).text
    assert text.startswith("data\n\n---\n[FINAL TURN]")
    assert "`submit_result`" in text


async def test_tools_that_are_no_carriers_stay_untouched() -> None:
    scenario = Scenario(OK, TurnNudges(last_turn=True, remaining=5), kind="skill")
    assert (await scenario.call(turn=4, left=1)).text == "data"
