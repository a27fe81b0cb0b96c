"""Orchestration: how near the makespan comes to what a plan allows, and what a task costs Aura itself."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from aura_py.agent.contract import Turn
from aura_py.config.models import LLM, AgentConfig, ScriptedLLM
from aura_py.events import PlanCreated, RunFinished, Synthesizing, TaskCompleted
from aura_py.llm.contract import ChatModel
from aura_py.llm.scripted.client import ScriptedModel
from aura_py.mcp import McpPool
from aura_py.messages import user
from aura_py.orchestration import Orchestrator
from aura_py.orchestration.plan import Task
from aura_py.orchestration.scheduler import Bounds, Scheduler
from aura_py.run.engine import Engine, Run
from aura_py.run.identity import new_context
from benchmarks.report import Row

SECONDS = 1.5
"""What the least possible makespan of every graph is scaled to: long beside the grain of timers."""
MAKESPAN = "<= 1.05 x critical path"


def measure() -> list[Row]:
    asyncio.run(_played(_nodes([(), (0,)]), {0: 0.01, 1: 0.01}, 0, "eager"))  # what only a first loop costs
    rows = [_makespan(name, nodes, lengths, limit) for name, nodes, lengths, limit in _graphs()]
    rows += asyncio.run(_whole())
    rows += asyncio.run(_overhead())
    rows += asyncio.run(_crowd())
    return rows


# --- makespan ------------------------------------------------------------------------------------------------------

Graph = tuple[str, list[Task], dict[int, float], int]


def _graphs() -> list[Graph]:
    chance = random.Random(7)
    chain = [(n - 1,) if n else () for n in range(8)]
    diamond = [(), (0,), (0,), (0,), (1, 2, 3)]
    branches = [(), (), (0,), (1,), (2,), (3,), (4, 5)]
    uneven = {0: 1.0, 1: 6.0, 2: 6.0, 3: 1.0, 4: 1.0, 5: 6.0, 6: 1.0}
    wild = [tuple(sorted(chance.sample(range(n), min(n, chance.choice((0, 1, 1, 2)))))) for n in range(100)]
    times = {n: float(chance.randint(1, 5)) for n in range(100)}
    return [
        ("chain of 8", _nodes(chain), _evenly(8), 0),
        ("diamond", _nodes(diamond), _evenly(5), 0),
        ("fan-out 50", _nodes([()] * 50), _evenly(50), 0),
        ("fan-out 50, 8 at once", _nodes([()] * 50), _evenly(50), 8),
        ("two uneven branches", _nodes(branches), uneven, 0),
        ("random 100", _nodes(wild), times, 0),
        ("random 100, 8 at once", _nodes(wild), times, 8),
    ]


def _nodes(dependencies: Sequence[tuple[int, ...]]) -> list[Task]:
    waves: list[int] = []
    for each in dependencies:
        waves.append(1 + max((waves[d] for d in each), default=0))
    return [Task(n, f"task {n}", each, wave=waves[n]) for n, each in enumerate(dependencies)]


def _evenly(count: int) -> dict[int, float]:
    return dict.fromkeys(range(count), 1.0)


def _makespan(name: str, nodes: list[Task], lengths: dict[int, float], limit: int) -> Row:
    least = _least(nodes, lengths, limit)
    scaled = {task: length * SECONDS / least for task, length in lengths.items()}
    eager = asyncio.run(_played(nodes, scaled, limit, "eager"))
    waves = asyncio.run(_played(nodes, scaled, limit, "waves"))
    bound = SECONDS
    return Row(
        f"makespan, {name}",
        f"{eager * 1000:.0f} ms ({waves * 1000:.0f} ms with a wave barrier)",
        f"{bound * 1000:.0f} ms {'work and path bound' if limit else 'critical path'}",
        eager / bound,
        MAKESPAN,
        eager <= bound * 1.05,
    )


def _least(nodes: list[Task], lengths: dict[int, float], limit: int) -> float:
    """What no schedule can beat: the critical path, and with a limit what list scheduling of these tasks takes."""
    ends: dict[int, float] = {}
    for node in nodes:
        ends[node.id] = max((ends[d] for d in node.dependencies), default=0.0) + lengths[node.id]
    if not limit:
        return max(ends.values())
    done: dict[int, float] = {}
    running: list[tuple[float, int]] = []
    waiting, now = [node.id for node in nodes], 0.0
    by_id = {node.id: node for node in nodes}
    while waiting or running:
        for task in list(waiting):
            if len(running) < limit and all(d in done for d in by_id[task].dependencies):
                waiting.remove(task)
                running.append((now + lengths[task], task))
        running.sort()
        now = running[0][0]
        while running and running[0][0] == now:
            done[running.pop(0)[1]] = now
    return now


async def _played(
    nodes: list[Task], lengths: dict[int, float], limit: int, schedule: Literal["eager", "waves"]
) -> float:
    async def work(task: int) -> bool:
        await asyncio.sleep(lengths[task])
        return True

    began = time.perf_counter()
    await Scheduler(nodes, start=lambda _task: None, run=work, bounds=Bounds(limit), schedule=schedule).run()
    return time.perf_counter() - began


# --- whole orchestrations ------------------------------------------------------------------------------------------


def _task(number: int) -> dict[str, Any]:
    return {"type": "task", "task": f"Do part {number}.", "worker": "hand"}


def _chain(*numbers: int) -> dict[str, Any]:
    return {"type": "chain", "steps": [_task(number) for number in numbers]}


def _group(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "parallel", "items": list(items)}


async def _whole() -> list[Row]:
    """Plan to last result with real workers whose model is silent for a known time, and the same with the barrier."""
    plans: list[tuple[str, list[dict[str, Any]], dict[int, float], float]] = [
        ("chain of 8", [_task(n) for n in range(8)], _evenly(8), 8.0),
        ("diamond", [_task(0), _group(*(_task(n) for n in (1, 2, 3))), _task(4)], _evenly(5), 3.0),
        ("fan-out 50", [_group(*(_task(n) for n in range(50)))], _evenly(50), 1.0),
        (
            "two uneven branches",
            [_group(_chain(0, 1, 2), _chain(3, 4, 5)), _task(6)],
            {0: 1.0, 1: 6.0, 2: 1.0, 3: 6.0, 4: 1.0, 5: 6.0, 6: 1.0},
            14.0,
        ),
    ]
    rows: list[Row] = []
    async with McpPool() as mcp, Engine() as engine:
        for name, steps, lengths, path in plans:
            scaled = {number: length * SECONDS / path for number, length in lengths.items()}
            eager, waves = [
                await _executed(engine, Orchestrator(_timed_team(steps, scaled, kind), model_for=_model, mcp=mcp))
                for kind in ("eager", "waves")
            ]
            rows.append(
                Row(
                    f"whole orchestration, {name}",
                    f"{eager * 1000:.0f} ms ({waves * 1000:.0f} ms with a wave barrier)",
                    f"{SECONDS * 1000:.0f} ms critical path",
                    eager / SECONDS,
                    MAKESPAN,
                    eager <= SECONDS * 1.05,
                )
            )
    return rows


def _timed_team(steps: list[dict[str, Any]], lengths: dict[int, float], schedule: str) -> AgentConfig:
    team = _team(1)
    plan = {"goal": "g", "steps": steps, "routing_rationale": "r", "planning_summary": "s"}
    first, last, work = (rule.model_dump(exclude_none=True) for rule in team.agent.llm.rules)  # type: ignore[union-attr]
    first["tool_calls"][0]["arguments"] = plan
    works = [
        {**work, "user": rf"task:\s+Do part {number}\.", "delay_ms": round(seconds * 1000)}
        for number, seconds in lengths.items()
    ]
    value = team.model_dump(exclude_none=True, exclude={"agent": {"llm"}})
    value["agent"]["llm"] = {"provider": "scripted", "model": "bench", "rules": [first, last, *works]}
    value["orchestration"]["schedule"] = schedule
    return AgentConfig.model_validate(value)


async def _executed(engine: Engine, team: Orchestrator) -> float:
    """Seconds from the plan to the last result."""
    run = engine.start(team, Turn((user("Do the work."),)), new_context(), agent="team")
    began = ended = 0.0
    async for batch in run.events():
        for event in batch:
            if isinstance(event, PlanCreated):
                began = time.perf_counter()
            elif isinstance(event, Synthesizing):
                ended = time.perf_counter()
    return ended - began


# --- cost and crowd ------------------------------------------------------------------------------------------------


def _team(tasks: int, *, delay_ms: int = 0) -> AgentConfig:
    plan = {
        "goal": "g",
        "steps": [
            {
                "type": "parallel",
                "items": [{"type": "task", "task": f"Do part {n} of the work", "worker": "hand"} for n in range(tasks)],
            }
        ],
        "routing_rationale": "r",
        "planning_summary": "s",
    }
    submit = {"summary": "done", "result": "The part is done: 42 units.", "confidence": "high"}
    usage = {"input": 900, "output": 40}
    rules: list[dict[str, Any]] = [
        {"role": "coordinator", "phase": "plan", "tool_calls": [{"name": "create_plan", "arguments": plan}]},
        {
            "role": "coordinator",
            "phase": "continue",
            "tool_calls": [
                {"name": "respond_directly", "arguments": {"response": "All done.", "routing_rationale": "r"}}
            ],
        },
        {"role": "worker", "tool_calls": [{"name": "submit_result", "arguments": submit}], "delay_ms": delay_ms},
    ]
    return AgentConfig.model_validate(
        {
            "path": Path("team.toml"),
            "agent": {
                "name": "team",
                "system_prompt": "Be of use.",
                "llm": {
                    "provider": "scripted",
                    "model": "bench",
                    "rules": [{**rule, "usage": usage} for rule in rules],
                },
            },
            "orchestration": {
                "enabled": True,
                "max_parallel_tasks": 0,
                "worker": {"hand": {"description": "Does parts.", "preamble": "You do parts."}},
            },
        }
    )


def _model(llm: LLM) -> ChatModel:
    assert isinstance(llm, ScriptedLLM)
    return ScriptedModel(llm, agent="team")


async def _asked(engine: Engine, team: Orchestrator) -> tuple[int, bool]:
    """Completed tasks, and whether the answer came."""
    run: Run = engine.start(team, Turn((user("Do the work."),)), new_context(), agent="team")
    completed, answered = 0, False
    async for batch in run.events():
        for event in batch:
            completed += isinstance(event, TaskCompleted) and event.success
            answered = answered or (isinstance(event, RunFinished) and event.answer == "All done.")
    return completed, answered


async def _overhead() -> list[Row]:
    async with McpPool() as mcp, Engine() as engine:
        small, large = (Orchestrator(_team(n), model_for=_model, mcp=mcp) for n in (1, 41))
        for team in (small, large):
            await _asked(engine, team)
        least = min([await _cpu(engine, small) for _ in range(5)])
        most = min([await _cpu(engine, large) for _ in range(5)])
    each = (most - least) / 40
    return [
        Row(
            "CPU per task, scripted model included",
            f"{each * 1000:.1f} ms",
            f"{least * 1000:.1f} ms for a whole run of one task",
            each / least,
            "<= 10 ms per task",
            each <= 0.010,
        )
    ]


async def _cpu(engine: Engine, team: Orchestrator) -> float:
    began = time.process_time()
    await _asked(engine, team)
    return time.process_time() - began


async def _crowd() -> list[Row]:
    async with McpPool() as mcp, Engine() as engine:
        team = Orchestrator(_team(20, delay_ms=200), model_for=_model, mcp=mcp)
        alone_began = time.perf_counter()
        await _asked(engine, team)
        alone = time.perf_counter() - alone_began
        began = time.perf_counter()
        results = await asyncio.gather(*(_asked(engine, team) for _ in range(20)))
        took = time.perf_counter() - began
    right = all(result == (20, True) for result in results)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Row(
            "20 orchestrations of 20 tasks at once",
            f"{peak:.0f} MB peak, {took:.2f} s, {'all correct' if right else 'WRONG RESULTS'}",
            f"{alone:.2f} s for one alone",
            took / alone,
            "correct and < 300 MB",
            right and peak < 300,
        )
    ]
