"""Order of tool events within one turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aura_py.agent.sequence import TurnSequence
from aura_py.events import Event, ToolCompleted, ToolKind, ToolProgress, ToolRequested, ToolStarted


def requested(*calls: tuple[str, ToolKind]) -> list[ToolRequested]:
    return [ToolRequested(call, f"tool_{call}", "{}", {}, kind) for call, kind in calls]


def completed(call: str, kind: ToolKind = "mcp") -> ToolCompleted:
    return ToolCompleted(call, f"tool_{call}", kind, 1, True, result="ok")


def names(events: list[Event]) -> list[str]:
    return [f"{type(e).__name__}:{getattr(e, 'call_id', '')}" for e in events]


def test_the_second_call_finishing_first_is_held_until_the_first_is_done() -> None:
    events: list[Event] = []
    sequence = TurnSequence(requested(("a", "mcp"), ("b", "mcp")), events.append)
    sequence.started(ToolStarted("b", "tool_b", 2))
    sequence.completed(completed("b"))
    assert names(events) == ["ToolRequested:a", "ToolRequested:b"]
    sequence.started(ToolStarted("a", "tool_a", 1))
    assert names(events)[2:] == ["ToolStarted:a", "ToolStarted:b"]
    sequence.completed(completed("a"))
    assert names(events)[4:] == ["ToolCompleted:a", "ToolCompleted:b"]


def test_a_call_that_never_started_does_not_hold_the_others_for_ever() -> None:
    events: list[Event] = []
    sequence = TurnSequence(requested(("a", "mcp"), ("b", "mcp")), events.append)
    sequence.started(ToolStarted("b", "tool_b", 2))
    sequence.completed(completed("a"))
    assert names(events)[2:] == ["ToolStarted:b", "ToolCompleted:a"]


def test_progress_stays_between_start_and_completion() -> None:
    events: list[Event] = []
    sequence = TurnSequence(requested(("a", "mcp"), ("b", "mcp")), events.append)
    sequence.started(ToolStarted("b", "tool_b"))
    sequence.progress(ToolProgress("b", "tool_b", 1.0))
    sequence.started(ToolStarted("a", "tool_a"))
    sequence.completed(completed("a"))
    sequence.completed(completed("b"))
    sequence.progress(ToolProgress("b", "tool_b", 2.0))
    assert names(events)[2:] == [
        "ToolStarted:a",
        "ToolStarted:b",
        "ToolProgress:b",
        "ToolCompleted:a",
        "ToolCompleted:b",
    ]


def test_a_client_side_call_has_no_completion_and_holds_nobody() -> None:
    events: list[Event] = []
    sequence = TurnSequence(requested(("c", "client"), ("a", "mcp")), events.append)
    sequence.started(ToolStarted("a", "tool_a"))
    sequence.completed(completed("a"))
    assert names(events) == ["ToolRequested:c", "ToolRequested:a", "ToolStarted:a", "ToolCompleted:a"]


@given(st.permutations([(kind, call) for kind in ("start", "progress", "end") for call in "abcd"]), st.booleans())
def test_any_interleaving_releases_starts_and_completions_in_call_order(
    steps: list[tuple[str, str]], skip_start_of_b: bool
) -> None:
    events: list[Event] = []
    sequence = TurnSequence(requested(*((c, "mcp") for c in "abcd")), events.append)
    begun: set[str] = set()
    for kind, call in steps:
        if skip_start_of_b and call == "b" and kind != "end":
            continue
        if kind == "start":
            begun.add(call)
            sequence.started(ToolStarted(call, "t"))
        elif kind == "progress":
            sequence.progress(ToolProgress(call, "t", 1.0))
        else:
            sequence.completed(completed(call))
    order = [e.call_id for e in events if isinstance(e, ToolCompleted)]
    assert order == list("abcd")
    starts = [e.call_id for e in events if isinstance(e, ToolStarted)]
    assert starts == sorted(starts)
    position = {name: index for index, name in enumerate(names(events))}
    for call in starts:
        assert position[f"ToolStarted:{call}"] < position[f"ToolCompleted:{call}"]
