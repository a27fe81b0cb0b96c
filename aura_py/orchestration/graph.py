"""Whether tasks form a plan, and in which wave each of them stands (``orchestration.md`` §10.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from aura_py.orchestration.plan import Task

MAX_PLAN_TASKS = 50


def faults(tasks: Sequence[Task], *, workers: Iterable[str] = (), limit: int = MAX_PLAN_TASKS) -> tuple[str, ...]:
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
