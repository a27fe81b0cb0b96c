from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.messages import Json
from aura_py.orchestration.plan_reader import InvalidDecisionError, read_plan

TEAM = ("stock", "Pricing")


def _read(steps: Json, workers: tuple[str, ...] = TEAM, **more: Json) -> list[tuple[str, str | None, tuple[int, ...]]]:
    plan = read_plan(
        {"goal": "g", "steps": steps, "routing_rationale": "r", **more}, query="the query", workers=workers
    )
    return [(task.description, task.worker, task.dependencies) for task in plan]


def _refused(steps: Json, workers: tuple[str, ...] = TEAM) -> str:
    with pytest.raises(InvalidDecisionError) as refusal:
        _read(steps, workers)
    return str(refusal.value)


A = {"type": "task", "task": "a", "worker": "stock"}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "`steps` is empty"),
        (None, "`steps` is missing"),
        (7, "`steps` is missing"),
        ("not json", "not JSON"),
        ([A, {"type": "parallel", "items": []}], "`steps[1].items` is empty"),
        ([{"type": "chain"}], "`steps[0].steps` is missing"),
        ([{"type": "task", "task": "  ", "worker": "stock"}], "`steps[0].task` is blank"),
        ([{"type": "task", "task": "a", "worker": "nobody"}], "`steps[0].worker` is `nobody`; the workers are `stock`"),
        ([{"type": "task", "task": "a"}], "`steps[0].worker` is missing"),
        ([{"type": "loop", "steps": [A]}], "`steps[0].type` is `loop`"),
        ([A] * 51, "at most 50"),
        ([A] * 10_000, "10000 steps"),
        ([42], "`steps[0]` is not a step"),
        (
            [{"parallel": [{"chain": [{"parallel": [A]}]}]}],
            "`steps[0].parallel[0].chain[0]` is nested too deep",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(steps: Json, words: str) -> None:
    assert words in _refused(steps)


@pytest.mark.parametrize(
    "steps",
    [
        [{"parallel": [A, A]}],
        [{"type": "parallel", "items": [A, A]}],
        [{"type": " Parallel ", "steps": [A, A]}],
        '[{"type": "parallel", "items": [{"task": "a", "worker": "stock"}, {"task": "a", "worker": "STOCK"}]}]',
        {"parallel": [A, A]},
    ],
)
def test_the_same_plan_in_other_words_is_understood(steps: Json) -> None:
    assert _read(steps) == [("a", "stock", ()), ("a", "stock", ())]


def test_a_bare_text_is_a_task_of_the_only_worker() -> None:
    assert _read(["do it", {"task": "then this"}], ("solo",)) == [("do it", "solo", ()), ("then this", "solo", (0,))]


def test_without_workers_a_named_worker_is_left_out() -> None:
    assert _read([{"task": "a", "worker": "anyone"}], ()) == [("a", None, ())]


def test_a_blank_goal_is_the_query_and_a_missing_summary_is_empty() -> None:
    plan = read_plan({"goal": " ", "steps": [A]}, query="the query", workers=TEAM)
    assert (plan.goal, plan.summary) == ("the query", "")


def test_many_faults_are_cut_at_ten() -> None:
    with pytest.raises(InvalidDecisionError) as refusal:
        _read([{"type": "task", "task": ""}] * 30, ())
    assert len(refusal.value.faults) == 10


def test_very_deep_nesting_is_refused_and_not_followed() -> None:
    step: Json = A
    for _ in range(5000):
        step = {"type": "chain", "steps": [step]}
    assert "nested too deep" in _refused([step])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("stock"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "task", "worker", "items", "steps", "parallel", "chain", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def test_a_refusal_never_repeats_more_than_a_little_of_what_was_written() -> None:
    steps: Json = [{"type": "task", "task": "a", "worker": "w" * 100_000}, {"type": ["x"] * 10_000}]
    with pytest.raises(InvalidDecisionError) as refused:
        read_plan({"goal": "g", "steps": steps}, query="q", workers=TEAM)
    assert len(str(refused.value)) < 500


def test_a_plan_without_end_is_not_read_to_its_end() -> None:
    class Steps(list[Json]):
        read = 0

        def __iter__(self) -> Iterator[Json]:
            for item in super().__iter__():
                Steps.read += 1
                yield item

    chain: Json = {"type": "chain", "steps": Steps([A] * 99)}
    assert "more than 1000 tasks" in _refused([{"type": "parallel", "items": [chain] * 99}] * 99)
    assert Steps.read < 1100


@given(_JSON)
def test_whatever_a_model_writes_is_a_sound_plan_or_a_refusal(steps: Json) -> None:
    try:
        plan = read_plan({"goal": "g", "steps": steps}, query="q", workers=TEAM)
    except InvalidDecisionError:
        return
    assert 1 <= len(plan) <= 50
    for number, task in enumerate(plan):
        assert task.id == number
        assert all(dependency < number for dependency in task.dependencies)
        assert task.worker in TEAM
        assert task.wave == 1 + max((plan[d].wave for d in task.dependencies), default=0)
