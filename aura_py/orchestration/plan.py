"""The plan: tasks, their dependencies and states, and their JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeGuard

from aura_py.messages import Json
from aura_py.orchestration.failures import FailureCategory
from aura_py.orchestration.tool_records import TaskTrace

TaskStatus = Literal["pending", "running", "complete", "failed"]
Confidence = Literal["high", "medium", "low"]


@dataclass(slots=True, frozen=True)
class TaskStep:
    task: str
    worker: str | None = None


@dataclass(slots=True, frozen=True)
class ParallelStep:
    items: tuple[Step, ...]


@dataclass(slots=True, frozen=True)
class ChainStep:
    steps: tuple[Step, ...]


Step: TypeAlias = TaskStep | ParallelStep | ChainStep


@dataclass(slots=True, frozen=True)
class StructuredOutput:
    """What a worker said about its own result with ``submit_result``."""

    summary: str
    confidence: Confidence


@dataclass(slots=True)
class Task:
    """One task and its state: pending → running → complete or failed, nothing else.

    ``result`` (or ``error``) is what travels on. When it was shortened, it ends in ``artifact_note``,
    which names the file that holds all of it. ``partial_result`` is what a failed task had written by then.
    """

    id: int
    description: str
    dependencies: tuple[int, ...] = ()
    worker: str | None = None
    status: TaskStatus = "pending"
    result: str | None = None
    error: str | None = None
    partial_result: str = ""
    category: FailureCategory | None = None
    structured: StructuredOutput | None = None
    rationale: str = ""
    wave: int = 1
    attempts: int = 0
    model_calls: int = 0
    duration_ms: int = 0
    artifact_note: str = ""
    report_notes: tuple[str, ...] = ()
    trace: TaskTrace = field(default_factory=TaskTrace)

    def start(self) -> None:
        if self.status != "pending":
            raise ValueError(f"task {self.id} is `{self.status}`; only a pending task can start.")
        self.status = "running"

    def complete(self, result: str, structured: StructuredOutput | None) -> None:
        self._settle("complete")
        self.result, self.structured = result, structured

    def fail(self, error: str, category: FailureCategory, partial_result: str = "") -> None:
        self._settle("failed")
        self.error, self.category, self.partial_result = error, category, partial_result

    def _settle(self, status: TaskStatus) -> None:
        if self.status != "running":
            raise ValueError(f"task {self.id} is `{self.status}`; only a running task can end.")
        self.status = status

    def to_json(self) -> dict[str, Json]:
        value: dict[str, Json] = {
            "id": self.id,
            "description": self.description,
            "dependencies": list(self.dependencies),
            "status": self.status,
        }
        if self.status == "complete":
            value["result"] = self.result or ""
        if self.status == "failed":
            value["error"] = self.error or "unknown"
            value["failure_category"] = self.category or "agent_error"
        if self.worker is not None:
            value["worker"] = self.worker
        value["rationale"] = self.rationale
        if self.structured is not None:
            value["structured_output"] = {
                "summary": self.structured.summary,
                "confidence": self.structured.confidence,
            }
        return value


@dataclass(slots=True)
class Plan:
    """A goal and its tasks, in plan order."""

    goal: str
    tasks: tuple[Task, ...]
    steps: tuple[Step, ...] = ()
    rationale: str = ""
    summary: str = ""
    _by_id: dict[int, Task] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_id = {task.id: task for task in self.tasks}

    def __getitem__(self, task_id: int) -> Task:
        return self._by_id[task_id]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def routing_mode(self) -> Literal["routed", "orchestrated"]:
        return "routed" if len(self.tasks) == 1 else "orchestrated"

    def having(self, status: TaskStatus) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.status == status)

    def blocked(self) -> Mapping[int, tuple[int, ...]]:
        """Pending tasks that can never run, with the failed ancestors that block them, in plan order."""
        causes: dict[int, tuple[int, ...]] = {t.id: (t.id,) for t in self.tasks if t.status == "failed"}
        blocked: dict[int, tuple[int, ...]] = {}
        for task in self.tasks:
            if task.status != "pending":
                continue
            found = dict.fromkeys(c for d in task.dependencies for c in causes.get(d, ()))
            if found:
                blocked[task.id] = causes[task.id] = tuple(found)
        return blocked

    def ancestors(self, task: Task) -> tuple[Task, ...]:
        """Tasks that ``task`` depends on only through others, in plan order."""
        direct, seen, todo = set(task.dependencies), set[int](), list(task.dependencies)
        while todo:
            for dependency in self._by_id[todo.pop()].dependencies:
                if dependency not in seen:
                    seen.add(dependency)
                    todo.append(dependency)
        return tuple(t for t in self.tasks if t.id in seen and t.id not in direct)

    def to_json(self) -> dict[str, Json]:
        value: dict[str, Json] = {"goal": self.goal}
        if self.steps:
            value["steps"] = [step_json(step) for step in self.steps]
        value["tasks"] = [task.to_json() for task in self.tasks]
        return value


def step_json(step: Step) -> dict[str, Json]:
    """The canonical form of a step."""
    if isinstance(step, TaskStep):
        value: dict[str, Json] = {"type": "task", "task": step.task}
        if step.worker is not None:
            value["worker"] = step.worker
        return value
    if isinstance(step, ParallelStep):
        return {"type": "parallel", "items": [step_json(item) for item in step.items]}
    return {"type": "chain", "steps": [step_json(item) for item in step.steps]}


def flatten(steps: Iterable[Step]) -> tuple[Task, ...]:
    """Tasks with ids 0, 1, 2 … in written order; a step depends on all exits of the step before it."""
    tasks: list[Task] = []

    def add(step: Step, frontier: tuple[int, ...]) -> tuple[int, ...]:
        if isinstance(step, TaskStep):
            task = Task(len(tasks), step.task, frontier, step.worker)
            tasks.append(task)
            return (task.id,)
        if isinstance(step, ParallelStep):
            return tuple(exit_ for item in step.items for exit_ in add(item, frontier))
        for inner in step.steps:
            frontier = add(inner, frontier)
        return frontier

    frontier: tuple[int, ...] = ()
    for step in steps:
        frontier = add(step, frontier)
    return tuple(tasks)


def read_confidence(value: Json) -> Confidence:
    """Case does not matter; anything unknown is ``medium``."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return "high" if text == "high" else "low" if text == "low" else "medium"


def is_array(value: Json) -> TypeGuard[Sequence[Json]]:
    """Text is a sequence too, but not an array."""
    return isinstance(value, Sequence) and not isinstance(value, str)
