from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from aura_py.context import RunContext
from aura_py.events import Event, ToolProgress
from aura_py.messages import JsonObject, ToolCall
from aura_py.orchestration.wait_for import WaitForTool
from aura_py.tools.contract import (
    Annotations,
    BuiltinTool,
    CallContext,
    Invocation,
    Middleware,
    Next,
    ToolOutcome,
    failure,
    success,
)
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.orchestration.clock import JumpingClock, jumping_clock

Answer = str | ToolOutcome | float
"""Text, an outcome, or seconds of silence before an empty text."""


async def wait(
    answers: Sequence[Answer],
    until: dict[str, object],
    *,
    took: float = 0.0,
    ends: float | None = None,
    annotations: Annotations = Annotations(read_only=True),  # frozen
    raw: dict[str, object] | None = None,
    park: Middleware | None = None,
    **options: object,
) -> tuple[ToolOutcome, JumpingClock, list[Event]]:
    events: list[Event] = []
    async with jumping_clock() as clock:
        calls = 0

        async def probe(_arguments: JsonObject, _context: CallContext) -> ToolOutcome | str:
            nonlocal calls
            answer = answers[min(calls, len(answers) - 1)]
            calls += 1
            if took:
                await clock.sleep(took)
            if isinstance(answer, float):
                await clock.sleep(answer)
                return ""
            return answer

        tool = BuiltinTool("status", "", {"type": "object"}, probe, "mcp", annotations=annotations)
        waiter = WaitForTool(ToolRunner(Toolset([tool])), park=park, deadline=ends)
        runner = ToolRunner(Toolset([waiter.tool()]))
        context = CallContext(
            RunContext("r", "q", "s", clock=clock), "call", events.append, initiator="alpha", task_id=3
        )
        arguments = raw if raw is not None else {"probe": {"tool": "status", "args": {}}, "until": until, **options}
        outcome = await runner.run(ToolCall("call", "wait_for", orjson.dumps(arguments).decode()), context)
        return outcome, clock, events


def result(outcome: ToolOutcome) -> Any:
    assert outcome.ok, outcome.text
    return orjson.loads(outcome.text)


async def test_a_condition_that_already_holds_returns_at_once() -> None:
    outcome, clock, _ = await wait(["state=ready"], {"matches": "ready"})
    assert result(outcome) == {
        "reason": "matched",
        "last_observation": "state=ready",
        "elapsed_sec": 0,
        "samples": 1,
        "effective_max_wait_sec": 120,
    }
    assert clock.elapsed == 0


async def test_it_polls_until_the_pattern_is_found() -> None:
    outcome, clock, events = await wait(["a", "b", "c", "ready"], {"matches": "(?i)READY$"}, poll_sec=3)
    assert (result(outcome)["samples"], result(outcome)["elapsed_sec"]) == (4, 9)
    assert clock.sleeps.count(3) == 3
    progress = [event for event in events if isinstance(event, ToolProgress)]
    assert [p.phase for p in progress] == ["wait_for"] * 4
    assert {(p.task_id, p.worker_id) for p in progress} == {(3, "alpha")}


async def test_it_waits_until_a_pattern_is_gone() -> None:
    outcome, _, _ = await wait(["busy", "busy", "free"], {"not_matches": "busy"})
    assert result(outcome)["samples"] == 3


async def test_quiet_needs_an_unchanged_window_that_starts_with_the_last_change() -> None:
    outcome, clock, _ = await wait(["a", "b"], {"quiet_for_sec": 4}, poll_sec=2)
    assert (result(outcome)["reason"], result(outcome)["samples"], clock.elapsed) == ("settled", 4, 6)


async def test_the_last_sleep_is_trimmed_to_the_bound_and_a_timeout_is_a_result() -> None:
    outcome, clock, _ = await wait(["a"], {"matches": "never"}, poll_sec=2, max_wait_sec=5)
    assert result(outcome)["reason"] == "timeout"
    assert [s for s in clock.sleeps if s < 2.5 and s > 0.9][-3:] != []
    assert result(outcome)["elapsed_sec"] == 5


async def test_quiet_for_the_whole_bound_can_settle_against_a_slow_server() -> None:
    outcome, _, _ = await wait(["a"], {"quiet_for_sec": 6}, poll_sec=2, max_wait_sec=6, took=0.5)
    assert result(outcome)["reason"] == "settled"


async def test_a_long_bound_is_cut_and_reported() -> None:
    outcome, _, _ = await wait(["x"], {"matches": "x"}, max_wait_sec=400)
    assert result(outcome)["effective_max_wait_sec"] == 300


async def test_it_never_outlives_the_attempt() -> None:
    outcome, clock, _ = await wait(["a"], {"matches": "never"}, ends=20.0)
    assert result(outcome)["effective_max_wait_sec"] == 20
    assert clock.elapsed <= 22


async def test_a_probe_that_never_answers_is_an_error() -> None:
    outcome, _, _ = await wait([1000.0], {"matches": "x"}, max_wait_sec=5)
    assert not outcome.ok
    assert "`status` hangs" in outcome.text


async def test_a_probe_that_hangs_later_is_a_timeout_with_the_last_observation() -> None:
    outcome, _, _ = await wait(["seen", 1000.0], {"matches": "x"}, max_wait_sec=5)
    assert (result(outcome)["reason"], result(outcome)["last_observation"], result(outcome)["samples"]) == (
        "timeout",
        "seen",
        1,
    )


async def test_two_dropped_connections_are_tolerated_and_a_third_is_not() -> None:
    gone = failure("connection lost")
    outcome, _, _ = await wait([gone, gone, "ready"], {"matches": "ready"})
    assert result(outcome)["samples"] == 3
    outcome, _, _ = await wait(["a", gone], {"matches": "ready"})
    assert "`status` failed on sample 4: connection lost" in outcome.text


async def test_an_error_of_the_tool_satisfies_neither_absence_nor_quiet() -> None:
    broken = failure("Tool returned an error: no", outcome="tool_error")
    outcome, _, _ = await wait([broken, "busy", "free"], {"not_matches": "busy"})
    assert (result(outcome)["samples"], result(outcome)["last_observation"]) == (3, "free")
    outcome, _, _ = await wait([broken], {"quiet_for_sec": 3}, max_wait_sec=10)
    assert result(outcome)["reason"] == "timeout"
    outcome, _, _ = await wait([broken], {"matches": "returned an error"})
    assert result(outcome)["reason"] == "matched"


async def test_an_observation_that_is_too_large_is_an_error() -> None:
    outcome, _, _ = await wait(["x" * 262_145], {"matches": "x"})
    assert "262145 bytes" in outcome.text


async def test_what_was_seen_last_is_parked_once_as_an_output_of_the_probed_tool() -> None:
    parked: list[tuple[str, str]] = []

    async def park(invocation: Invocation, context: CallContext, next_: Next) -> ToolOutcome:
        outcome = await next_(invocation, context)
        parked.append((invocation.tool.name, outcome.text))
        return replace(success("[pointer]"), meta={"parked": "file"})

    outcome, _, _ = await wait(["no", "no", "ready now"], {"matches": "ready"}, park=park)
    assert parked == [("status", "ready now")]
    assert result(outcome)["last_observation"] == "[pointer]"
    assert outcome.meta["parked"] == "file"


async def test_a_tool_that_changes_things_is_not_polled() -> None:
    outcome, _, _ = await wait(["x"], {"matches": "x"}, annotations=Annotations(destructive=True))
    assert "changes things" in outcome.text


def _with(**changes: object) -> dict[str, object]:
    return {"probe": {"tool": "status", "args": {}}, "until": {"matches": "x"}, **changes}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (_with(extra=1), "`extra` is not known"),
        (_with(probe={"tool": "status", "args": {}, "x": 1}), "`probe.x` is not known"),
        (_with(probe="status"), "`probe` must be an object"),
        (_with(until={}), "exactly one of"),
        (_with(until={"matches": "x", "quiet_for_sec": 1}), "exactly one of"),
        (_with(until={"like": "x"}), "exactly one of"),
        (_with(probe={"tool": " ", "args": {}}), "`probe.tool`"),
        (_with(probe={"tool": "status"}), "`probe.args` must be an object"),
        (_with(until={"matches": "(?=x)"}), "`until.matches`: the pattern is not valid"),
        (_with(until={"matches": "(a)\\1"}), "`until.matches`: the pattern is not valid"),
        (_with(until={"matches": "x" * 1001}), "at most 1000"),
        (_with(until={"quiet_for_sec": 0}), "`until.quiet_for_sec` is `0`"),
        (_with(poll_sec=-1), "`poll_sec` is `-1`"),
        (_with(poll_sec=1.5), "`poll_sec` is `1.5`"),
        (_with(poll_sec="soon"), "`poll_sec` is `soon`"),
        (_with(poll_sec=10, max_wait_sec=10), "`poll_sec` is 10 and must be less than the bound of 10 s"),
        (_with(poll_sec=300, max_wait_sec=900), "less than the bound of 300 s (ceiling 300 s)"),
        (_with(until={"quiet_for_sec": 11}, max_wait_sec=10), "must not exceed the bound of 10 s"),
        (_with(probe={"tool": "other", "args": {}}), "no MCP tool of yours is called `other`; yours are: `status`"),
        (_with(probe={"tool": "wait_for", "args": {}}), "no MCP tool of yours is called `wait_for`"),
    ],
)
async def test_each_fault_names_its_field(arguments: dict[str, object], words: str) -> None:
    outcome, clock, _ = await wait(["x"], {}, raw=arguments)
    assert not outcome.ok
    assert words in outcome.text
    assert clock.elapsed == 0


@pytest.mark.parametrize("seconds", [5.0, "5"])
async def test_whole_seconds_in_other_spellings_are_understood(seconds: object) -> None:
    outcome, _, _ = await wait(["x"], {"matches": "x"}, max_wait_sec=seconds, poll_sec=None)
    assert result(outcome)["effective_max_wait_sec"] == 5
