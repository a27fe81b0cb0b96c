"""When a task may start: as soon as its own dependencies are done, within bounds.

Knows nothing of agents. The same inputs and the same order of endings give the same order of starts: among startable
tasks the one that stands first in the plan goes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from aura_py.orchestration.plan import Task


@dataclass(slots=True, frozen=True)
class Bounds:
    """How many tasks may run at once; 0 is no limit. ``workers`` bounds single workers."""

    total: int = 0
    workers: Mapping[str, int] = field(default_factory=dict)


class Scheduler:
    """Runs one plan.

    Args:
        tasks: In plan order.
        start: Called at the moment a task is dispatched; all tasks dispatched together are announced before any runs.
        run: Runs a task and says whether it succeeded. It must not raise: a failing task is an outcome.
        may_start: Called before each dispatch; ``False`` leaves everything not yet started as it is.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        start: Callable[[int], None],
        run: Callable[[int], Awaitable[bool]],
        bounds: Bounds = Bounds(),
        schedule: Literal["eager", "waves"] = "eager",
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tasks = {task.id: task for task in tasks}
        self._start, self._run, self._may_start = start, run, may_start
        self._bounds = bounds
        self._barrier = schedule == "waves"
        self._waiting = [task.id for task in tasks]
        self._missing = {task.id: len(set(task.dependencies)) for task in tasks}
        self._dependants: dict[int, list[int]] = {task.id: [] for task in tasks}
        for task in tasks:
            for dependency in set(task.dependencies):
                self._dependants.setdefault(dependency, []).append(task.id)
        self._busy: Counter[str] = Counter()
        self._running = 0
        self._open_waves = Counter(task.wave for task in tasks)

    async def run(self) -> None:
        """Returns when nothing runs and nothing more can start. Cancelling it cancels every running task."""
        async with anyio.create_task_group() as group:
            self._dispatch(group)

    def _dispatch(self, group: TaskGroup) -> None:
        chosen: list[int] = []
        kept: list[int] = []
        wave = min((w for w, open_ in self._open_waves.items() if open_), default=0)
        for task_id in self._waiting:
            task = self._tasks[task_id]
            held = self._missing[task_id] > 0 or (self._barrier and task.wave > wave) or self._full(task)
            if held or not self._may_start():
                kept.append(task_id)
                continue
            self._running += 1
            self._busy[task.worker or ""] += 1
            chosen.append(task_id)
        self._waiting = kept
        for task_id in chosen:  # events of starts come before anything that the tasks do
            self._start(task_id)
        for task_id in chosen:
            group.start_soon(self._execute, group, task_id)

    def _full(self, task: Task) -> bool:
        total, own = self._bounds.total, self._bounds.workers.get(task.worker or "", 0)
        return bool(total and self._running >= total) or bool(own and self._busy[task.worker or ""] >= own)

    async def _execute(self, group: TaskGroup, task_id: int) -> None:
        succeeded = await self._run(task_id)
        task = self._tasks[task_id]
        self._running -= 1
        self._busy[task.worker or ""] -= 1
        self._open_waves[task.wave] -= 1
        if succeeded:
            for dependant in self._dependants[task_id]:
                self._missing[dependant] -= 1
        else:
            self._drop_dependants(task_id)
        self._dispatch(group)

    def _drop_dependants(self, task_id: int) -> None:
        """What depends on a failed task can never start; it does not hold back its wave either."""
        dropped: set[int] = set()
        todo = [task_id]
        while todo:
            for dependant in self._dependants[todo.pop()]:
                if dependant not in dropped:
                    dropped.add(dependant)
                    todo.append(dependant)
        for dependant in dropped.intersection(self._waiting):
            self._open_waves[self._tasks[dependant].wave] -= 1
        self._waiting = [waiting for waiting in self._waiting if waiting not in dropped]
