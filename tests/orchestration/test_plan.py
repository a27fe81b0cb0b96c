from __future__ import annotations

import pytest

from aura_py.orchestration.plan import ChainStep, ParallelStep, Plan, Step, Task, TaskStep, flatten
from aura_py.orchestration.plan_reader import plan_faults, waves


def _tasks(*dependencies: tuple[int, ...]) -> tuple[Task, ...]:
    return tuple(Task(number, f"task {number}", deps) for number, deps in enumerate(dependencies))


def _shape(tasks: tuple[Task, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(task.description, task.dependencies) for task in tasks]


def test_steps_in_a_row_depend_on_the_step_before() -> None:
    assert _shape(flatten([TaskStep("a"), TaskStep("b"), TaskStep("c")])) == [("a", ()), ("b", (0,)), ("c", (1,))]


def test_a_step_depends_on_all_exits_of_the_group_before_it_and_on_nothing_earlier() -> None:
    group = ParallelStep((TaskStep("a"), ChainStep((TaskStep("b"), TaskStep("c")))))
    assert _shape(flatten([TaskStep("start"), group, TaskStep("end")])) == [
        ("start", ()),
        ("a", (0,)),
        ("b", (0,)),
        ("c", (2,)),
        ("end", (1, 3)),
    ]


def test_a_chain_may_stand_alone_and_a_group_may_hold_one_item() -> None:
    steps: list[Step] = [ChainStep((TaskStep("a"), TaskStep("b"))), ParallelStep((TaskStep("c"),))]
    assert _shape(flatten(steps)) == [("a", ()), ("b", (0,)), ("c", (1,))]


def test_the_waves_of_the_specifications_example() -> None:
    tasks = _tasks((), (), (1,), (0, 2), (3,))
    assert waves(tasks) == {0: 1, 1: 1, 2: 2, 3: 3, 4: 4}


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ((), "no tasks"),
        (_tasks((1,), (0,)), "in a circle"),
        (_tasks((0,)), "in a circle"),
        ((Task(0, "a"), Task(0, "b")), "used by 2 tasks"),
        (_tasks((7,)), "7, which is not in the plan"),
        (_tasks(*[()] * 51), "at most 50"),
        ((Task(0, " "),), "has no text"),
        ((Task(0, "a", worker="nobody"),), "unknown worker `nobody`"),
    ],
)
def test_what_is_not_a_plan_is_named(tasks: tuple[Task, ...], words: str) -> None:
    assert any(words in fault for fault in plan_faults(tasks))


def test_a_missing_worker_is_a_fault_only_where_there_are_workers() -> None:
    assert plan_faults((Task(0, "a"),)) == ()
    assert "names no worker" in plan_faults((Task(0, "a"),), workers=("x", "y"))[0]


def test_a_task_only_goes_from_pending_over_running_to_its_end() -> None:
    task = Task(0, "a")
    with pytest.raises(ValueError, match="only a running task can end"):
        task.complete("x", None)
    task.start()
    with pytest.raises(ValueError, match="only a pending task can start"):
        task.start()
    task.fail("broken", "agent_error")
    with pytest.raises(ValueError, match="only a running task can end"):
        task.complete("x", None)


def test_blocked_tasks_name_the_failed_ancestors_however_far_away() -> None:
    plan = Plan("g", _tasks((), (0,), (1,), (), (2, 3)))
    plan[0].start()
    plan[0].fail("broken", "agent_error")
    assert plan.blocked() == {1: (0,), 2: (0,), 4: (0,)}


def test_ancestors_are_those_reached_only_through_others() -> None:
    plan = Plan("g", _tasks((), (0,), (1, 0), (2,)))
    assert [task.id for task in plan.ancestors(plan[3])] == [0, 1]
    assert plan.ancestors(plan[2]) == ()


def test_the_json_of_a_task_shows_only_what_its_state_has() -> None:
    task = Task(3, "a", (1,), "alpha")
    assert task.to_json() == {
        "id": 3,
        "description": "a",
        "dependencies": [1],
        "status": "pending",
        "worker": "alpha",
        "rationale": "",
    }
