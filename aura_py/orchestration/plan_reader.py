"""Reads the plan that a coordinator wrote: lenient in form, strict in whether the plan can be carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import orjson

from aura_py.messages import Json, JsonObject
from aura_py.orchestration.plan import ChainStep, ParallelStep, Plan, Step, Task, TaskStep, flatten
from aura_py.orchestration.text import ellipsis

MAX_PLAN_TASKS = 50
MAX_NESTING = 2
_MAX_FAULTS = 10
_MAX_LEAVES = 1000
"""Reading stops after these, however many follow."""
_SHOWN = 60


class InvalidDecisionError(Exception):
    """A decision cannot be recorded; ``faults`` says why, for a plan each with its place."""

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
    found = plan_faults(tasks, workers=workers)
    if found:
        raise InvalidDecisionError(found[:_MAX_FAULTS])
    for task_id, wave in waves(tasks).items():
        tasks[task_id].wave = wave
    return Plan(goal, tasks, tuple(steps), rationale, summary)


def plan_faults(tasks: Sequence[Task], *, workers: Iterable[str] = (), limit: int = MAX_PLAN_TASKS) -> tuple[str, ...]:
    """What is wrong with ``tasks``, as sentences a coordinator can act on; empty when the plan can run.

    ``workers`` are the valid names; without any, a task must not name one.
    """
    if not tasks:
        return ("the plan has no tasks; give at least one step.",)
    if len(tasks) > limit:
        return (f"the plan has {len(tasks)} tasks and at most {limit} are allowed; combine steps into larger tasks.",)
    found = [
        f"the id {i} is used by {n} tasks; ids must differ." for i, n in Counter(t.id for t in tasks).items() if n > 1
    ]
    known, names = {task.id for task in tasks}, tuple(workers)
    for task in tasks:
        if not task.description.strip():
            found.append(f"task {task.id} has no text; say what is to be done.")
        if task.worker is not None and task.worker not in names:
            found.append(f"task {task.id} names the unknown worker `{task.worker}`; {valid_workers(names)}")
        elif task.worker is None and names:
            found.append(f"task {task.id} names no worker; {valid_workers(names)}")
        dangling = [d for d in task.dependencies if d not in known]
        if dangling:
            found.append(f"task {task.id} depends on {_ids(dangling)}, which is not in the plan.")
    graph = _graph(tasks)
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        found.append(
            f"the tasks {' → '.join(map(str, [*cycle, cycle[0]]))} depend on each other in a circle; break it."
        )
    return tuple(found)


def waves(tasks: Sequence[Task]) -> Mapping[int, int]:
    """Each task's wave: 1 without dependencies, else one more than the latest wave it depends on."""
    generations = nx.topological_generations(_graph(tasks))
    return {task_id: wave for wave, ids in enumerate(generations, start=1) for task_id in ids}


def valid_workers(names: Sequence[str]) -> str:
    return (
        "the workers are " + ", ".join(f"`{n}`" for n in names) + "."
        if names
        else "there are no named workers; leave it out."
    )


def _graph(tasks: Sequence[Task]) -> nx.DiGraph[int]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(task.id for task in tasks)
    known = {task.id for task in tasks}
    graph.add_edges_from((d, task.id) for task in tasks for d in task.dependencies if d in known)
    return graph


def _ids(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


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
