"""Reads the steps a coordinator wrote, leniently in form and strictly in substance (``orchestration.md`` §5, §10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from aura_py.messages import Json, JsonObject
from aura_py.orchestration.graph import MAX_PLAN_TASKS, faults, valid_workers, waves
from aura_py.orchestration.plan import ChainStep, ParallelStep, Plan, Step, TaskStep, flatten
from aura_py.orchestration.text import ellipsis

MAX_NESTING = 2
_MAX_FAULTS = 10
_MAX_LEAVES = 1000
"""Nobody reads on behind these."""
_SHOWN = 60


class InvalidDecisionError(Exception):
    """The plan cannot run; ``faults`` says why, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


@dataclass(slots=True)
class _Reader:
    workers: tuple[str, ...]
    faults: list[str]
    leaves: int = 0

    def step(self, value: Json, path: str, level: int) -> Step | None:
        if isinstance(value, str):
            return self._task({"task": value}, path)
        if not isinstance(value, Mapping):
            self._fault(f"`{path}` is not a step; write an object with `type`.")
            return None
        kind = _kind(value)
        if kind == "task":
            return self._task(value, path)
        if kind == "parallel":
            inner, key = _first(value, "items", "parallel", "steps", "tasks")
        elif kind == "chain":
            inner, key = _first(value, "steps", "chain", "items", "tasks")
        else:
            self._fault(f"`{path}.type` {_is(value.get('type'))}; it must be `task`, `parallel` or `chain`.")
            return None
        if level >= MAX_NESTING:
            self._fault(f"`{path}` is nested too deep; at most {MAX_NESTING} groups may enclose a task.")
            return None
        members = self.steps(inner, f"{path}.{key}", level + 1)
        if members is None:
            return None
        return ParallelStep(members) if kind == "parallel" else ChainStep(members)

    def steps(self, value: Json, path: str, level: int) -> tuple[Step, ...] | None:
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                self._fault(f"`{path}` is text that is not JSON; write an array of steps.")
                return None
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, Sequence) or isinstance(value, str):
            self._fault(f"`{path}` is missing; write an array of steps.")
            return None
        if not value:
            self._fault(f"`{path}` is empty; give at least one step.")
            return None
        if len(value) > MAX_PLAN_TASKS * 2:
            self._fault(f"`{path}` has {len(value)} steps and a plan at most {MAX_PLAN_TASKS} tasks; combine steps.")
            return None
        found: list[Step] = []
        for index, item in enumerate(value):
            if len(self.faults) >= _MAX_FAULTS or self.leaves > _MAX_LEAVES:
                break
            step = self.step(item, f"{path}[{index}]", level)
            if step is not None:
                found.append(step)
        return tuple(found)

    def _task(self, value: JsonObject, path: str) -> TaskStep | None:
        self.leaves += 1
        if self.leaves == _MAX_LEAVES + 1:
            self._fault(f"the plan has more than {_MAX_LEAVES} tasks and at most {MAX_PLAN_TASKS} are allowed.")
            return None
        text = value.get("task", value.get("description"))
        if not isinstance(text, str) or not text.strip():
            self._fault(f"`{path}.task` is blank; say what the worker is to do.")
            return None
        return TaskStep(text.strip(), self._worker(value.get("worker"), path))

    def _worker(self, value: Json, path: str) -> str | None:
        if value is None or value == "":
            if len(self.workers) > 1:
                self._fault(f"`{path}.worker` is missing; {valid_workers(self.workers)}")
            return self.workers[0] if len(self.workers) == 1 else None
        if not self.workers:
            return None
        if isinstance(value, str):
            if value in self.workers:
                return value
            alike = [name for name in self.workers if name.casefold() == value.strip().casefold()]
            if len(alike) == 1:
                return alike[0]
        self._fault(f"`{path}.worker` {_is(value)}; {valid_workers(self.workers)}")
        return None

    def _fault(self, text: str) -> None:
        self.faults.append(text)


def read_plan(arguments: JsonObject, *, query: str, workers: tuple[str, ...]) -> Plan:
    """The plan in ``create_plan``'s arguments, flattened, checked, with its waves.

    Raises:
        InvalidDecisionError: With every fault found, at most ten.
    """
    reader = _Reader(workers, [])
    steps = reader.steps(arguments.get("steps"), "steps", 0) or ()
    if reader.faults:
        raise InvalidDecisionError(reader.faults[:_MAX_FAULTS])
    goal = arguments.get("goal")
    return make_plan(
        steps,
        goal=goal if isinstance(goal, str) and goal.strip() else query,
        workers=workers,
        rationale=_text(arguments.get("routing_rationale")),
        summary=_text(arguments.get("planning_summary")),
    )


def make_plan(
    steps: Sequence[Step], *, goal: str, workers: tuple[str, ...] = (), rationale: str = "", summary: str = ""
) -> Plan:
    """A plan out of steps.

    Raises:
        InvalidDecisionError: When the tasks do not form a plan.
    """
    tasks = flatten(steps)
    found = faults(tasks, workers=workers)
    if found:
        raise InvalidDecisionError(found[:_MAX_FAULTS])
    for task_id, wave in waves(tasks).items():
        tasks[task_id].wave = wave
    return Plan(goal, tasks, tuple(steps), rationale, summary)


def _kind(value: JsonObject) -> str | None:
    kind = value.get("type")
    if isinstance(kind, str):
        return kind.strip().lower()
    if kind is not None:
        return None
    return next((name for name in ("task", "parallel", "chain") if name in value), None)


def _first(value: JsonObject, *keys: str) -> tuple[Json, str]:
    return next(((value[key], key) for key in keys if key in value), (None, keys[0]))


def _is(value: Json) -> str:
    return "is missing" if value is None else f"is `{ellipsis(str(value), _SHOWN)}`"


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
