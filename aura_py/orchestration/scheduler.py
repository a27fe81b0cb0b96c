"""When a task may start: as soon as its own dependencies are done, within bounds (``orchestration.md`` §11, L13, L14).

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


@dataclass(slots=True, frozen=True)
class Node:
    """A task as the scheduler sees it. ``group`` names the bound it falls under, ``wave`` counts from 1."""

    id: int
    dependencies: tuple[int, ...] = ()
    group: str = ""
    wave: int = 1


@dataclass(slots=True, frozen=True)
class Bounds:
    """How many tasks may run at once; 0 is no limit. ``groups`` bounds single groups."""

    total: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)


class Scheduler:
    """Runs one plan.

    Args:
        nodes: In plan order.
        start: Called at the moment a task is dispatched; all tasks dispatched together are announced before any runs.
        run: Runs a task and says whether it succeeded. It must not raise: a failing task is an outcome.
        may_start: Asked before each dispatch; ``False`` leaves everything not yet started as it is.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        start: Callable[[int], None],
        run: Callable[[int], Awaitable[bool]],
        bounds: Bounds = Bounds(),
        schedule: Literal["eager", "waves"] = "eager",
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._start, self._run, self._may_start = start, run, may_start
        self._bounds = bounds
        self._barrier = schedule == "waves"
        self._waiting = [node.id for node in nodes]
        self._missing = {node.id: len(set(node.dependencies)) for node in nodes}
        self._dependants: dict[int, list[int]] = {node.id: [] for node in nodes}
        for node in nodes:
            for dependency in set(node.dependencies):
                self._dependants.setdefault(dependency, []).append(node.id)
        self._busy: Counter[str] = Counter()
        self._running = 0
        self._open_waves = Counter(node.wave for node in nodes)

    async def run(self) -> None:
        """Returns when nothing runs and nothing more can start. Cancelling it cancels every running task."""
        async with anyio.create_task_group() as group:
            self._dispatch(group)

    def _dispatch(self, group: TaskGroup) -> None:
        chosen: list[int] = []
        kept: list[int] = []
        wave = min((w for w, open_ in self._open_waves.items() if open_), default=0)
        for task_id in self._waiting:
            node = self._nodes[task_id]
            held = self._missing[task_id] > 0 or (self._barrier and node.wave > wave) or self._full(node)
            if held or not self._may_start():
                kept.append(task_id)
                continue
            self._running += 1
            self._busy[node.group] += 1
            chosen.append(task_id)
        self._waiting = kept
        for task_id in chosen:
            self._start(task_id)
        for task_id in chosen:
            group.start_soon(self._execute, group, task_id)

    def _full(self, node: Node) -> bool:
        total, own = self._bounds.total, self._bounds.groups.get(node.group, 0)
        return bool(total and self._running >= total) or bool(own and self._busy[node.group] >= own)

    async def _execute(self, group: TaskGroup, task_id: int) -> None:
        succeeded = await self._run(task_id)
        node = self._nodes[task_id]
        self._running -= 1
        self._busy[node.group] -= 1
        self._open_waves[node.wave] -= 1
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
            self._open_waves[self._nodes[dependant].wave] -= 1
        self._waiting = [task for task in self._waiting if task not in dropped]
