from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_py.orchestration.plan import Task
from aura_py.orchestration.scheduler import Bounds, Scheduler
from tests.orchestration.clock import JumpingClock, jumping_clock

Schedule = Literal["eager", "waves"]
UNBOUNDED = Bounds()


def task(number: int, *dependencies: int, wave: int = 1, worker: str | None = None) -> Task:
    return Task(number, f"task {number}", dependencies, worker, wave=wave)


@dataclass
class Log:
    """Runs tasks of known length on a clock and notes what happens when."""

    clock: JumpingClock
    lengths: dict[int, float] = field(default_factory=dict)
    failing: frozenset[int] = frozenset()
    events: list[tuple[str, int, float]] = field(default_factory=list)

    def start(self, task: int) -> None:
        self.events.append(("start", task, self.clock.elapsed))

    async def run(self, task: int) -> bool:
        await self.clock.sleep(self.lengths.get(task, 1.0))
        self.events.append(("end", task, self.clock.elapsed))
        return task not in self.failing

    def times(self, what: str) -> dict[int, float]:
        return {task: moment for kind, task, moment in self.events if kind == what}

    @property
    def order(self) -> list[tuple[str, int]]:
        return [(kind, task) for kind, task, _ in self.events]


async def play(
    tasks: list[Task],
    lengths: dict[int, float] | None = None,
    *,
    failing: frozenset[int] = frozenset(),
    bounds: Bounds = UNBOUNDED,
    schedule: Schedule = "eager",
) -> Log:
    async with jumping_clock() as clock:
        log = Log(clock, lengths or {}, failing)
        await Scheduler(tasks, start=log.start, run=log.run, bounds=bounds, schedule=schedule).run()
        return log


async def test_a_task_starts_as_soon_as_its_own_dependencies_are_done() -> None:
    tasks = [task(0), task(1), task(2, 0, wave=2), task(3, 1, wave=2)]
    log = await play(tasks, {0: 1, 1: 10, 2: 1, 3: 1})
    assert log.times("start") == {0: 0, 1: 0, 2: 1, 3: 10}


async def test_with_waves_a_task_waits_for_the_whole_wave_before_it() -> None:
    tasks = [task(0), task(1), task(2, 0, wave=2), task(3, 1, wave=2)]
    log = await play(tasks, {0: 1, 1: 10, 2: 1, 3: 1}, schedule="waves")
    assert log.times("start") == {0: 0, 1: 0, 2: 10, 3: 10}


async def test_everything_that_can_start_together_is_announced_before_any_of_it_runs() -> None:
    log = await play([task(n) for n in range(5)], {n: 5.0 - n for n in range(5)})
    assert log.order == [("start", n) for n in range(5)] + [("end", n) for n in (4, 3, 2, 1, 0)]


async def test_among_ready_tasks_the_first_of_the_plan_goes_first() -> None:
    log = await play([task(n) for n in range(6)], bounds=Bounds(2))
    assert [task for kind, task in log.order if kind == "start"] == [0, 1, 2, 3, 4, 5]
    assert log.times("end") == {0: 1, 1: 1, 2: 2, 3: 2, 4: 3, 5: 3}


async def test_a_bound_of_a_worker_holds_back_only_its_own_tasks() -> None:
    tasks = [task(0, worker="a"), task(1, worker="a"), task(2, worker="b"), task(3, worker="a")]
    log = await play(tasks, bounds=Bounds(0, {"a": 1}))
    assert log.times("start") == {0: 0, 1: 1, 2: 0, 3: 2}


@pytest.mark.parametrize("schedule", ["eager", "waves"])
async def test_a_failure_skips_its_dependants_and_nothing_else(schedule: Schedule) -> None:
    tasks = [task(0), task(1), task(2, 0, wave=2), task(3, 2, wave=3), task(4, 1, wave=2), task(5, 4, 2, wave=4)]
    log = await play(tasks, failing=frozenset({0}), schedule=schedule)
    assert set(log.times("start")) == {0, 1, 4}


async def test_nothing_more_starts_once_it_may_not() -> None:
    async with jumping_clock() as clock:
        log = Log(clock)
        tasks = [task(0), task(1, 0, wave=2)]
        await Scheduler(tasks, start=log.start, run=log.run, may_start=lambda: clock.elapsed < 0.5).run()
        assert log.order == [("start", 0), ("end", 0)]


async def test_cancelling_it_cancels_every_running_task() -> None:
    running, gone = Counter[int](), Counter[int]()
    started = anyio.Event()

    async def run(task: int) -> bool:
        running[task] += 1
        if len(running) == 3:
            started.set()
        try:
            await anyio.sleep_forever()
        finally:
            gone[task] += 1
        return True

    async with anyio.create_task_group() as group:
        group.start_soon(Scheduler([task(n) for n in range(3)], start=lambda _task: None, run=run).run)
        await started.wait()
        group.cancel_scope.cancel()
    assert gone == running == Counter({0: 1, 1: 1, 2: 1})


# --- random graphs -------------------------------------------------------------------------------------------------


@dataclass
class Graph:
    tasks: list[Task]
    lengths: dict[int, float]
    failing: frozenset[int]
    bounds: Bounds
    schedule: Schedule


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 200))
    chance = random.Random(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    tasks: list[Task] = []
    for number in range(size):
        count = min(number, int(chance.expovariate(1 / density)) if density else 0)
        dependencies = tuple(sorted(chance.sample(range(number), count)))
        wave = 1 + max((tasks[d].wave for d in dependencies), default=0)
        tasks.append(task(number, *dependencies, wave=wave, worker=f"w{chance.randrange(3)}"))
    return Graph(
        tasks,
        {n: float(chance.randint(1, 9)) for n in range(size)},
        frozenset(chance.sample(range(size), draw(st.integers(0, min(3, size))))),
        Bounds(draw(st.integers(0, 9)), {"w0": draw(st.integers(0, 3)), "w1": draw(st.integers(0, 3))}),
        draw(st.sampled_from(["eager", "waves"])),
    )


def _doomed(graph: Graph) -> set[int]:
    doomed: set[int] = set()
    for each in graph.tasks:
        if any(d in doomed or d in graph.failing for d in each.dependencies):
            doomed.add(each.id)
    return doomed


@settings(max_examples=25, deadline=None)
@given(graphs())
async def test_random_graphs_keep_every_promise(graph: Graph) -> None:
    log = await play(graph.tasks, graph.lengths, failing=graph.failing, bounds=graph.bounds, schedule=graph.schedule)
    started, ended = log.times("start"), log.times("end")
    assert set(started) == set(ended) == {n.id for n in graph.tasks} - _doomed(graph)
    by_id = {each.id: each for each in graph.tasks}
    running: Counter[str] = Counter()
    finished: set[int] = set()
    open_waves = Counter(by_id[task].wave for task in started)
    for kind, task in log.order:
        each = by_id[task]
        if kind == "start":
            assert set(each.dependencies) <= finished - graph.failing
            running[each.worker or ""] += 1
            assert not graph.bounds.total or running.total() <= graph.bounds.total
            limit = graph.bounds.workers.get(each.worker or "", 0)
            assert not limit or running[each.worker or ""] <= limit
            if graph.schedule == "waves":
                assert all(not open_ for wave, open_ in open_waves.items() if wave < each.wave)
        else:
            running[each.worker or ""] -= 1
            finished.add(task)
            open_waves[each.wave] -= 1
    if graph.schedule == "eager" and not graph.bounds.total and not any(graph.bounds.workers.values()):
        for task, moment in started.items():
            assert moment == max((ended[d] for d in by_id[task].dependencies), default=0.0)


@settings(max_examples=10, deadline=None)
@given(graphs())
async def test_the_same_graph_gives_the_same_order(graph: Graph) -> None:
    first, second = [
        (await play(graph.tasks, graph.lengths, failing=graph.failing, bounds=graph.bounds)).order for _ in range(2)
    ]
    assert first == second
