"""Tools and workers as short lines, for clients that see only reasoning."""

from __future__ import annotations

from typing import Final

from aura_py.events import (
    Event,
    OrchestratorToolStarted,
    PlanCreated,
    ReplanStarted,
    Synthesizing,
    TaskCompleted,
    TaskStarted,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
)

_LONGEST: Final = 200


def progress_line(event: Event, *, scratchpad: bool = False) -> str | None:
    """What ``event`` is as one line; ``None`` for what is not worth one.

    Args:
        scratchpad: The scratchpad's own tools are shown too.
    """
    hidden = ("client",) if scratchpad else ("client", "scratchpad")
    match event:
        case ToolRequested(name=name, kind=kind) if kind not in hidden:
            return f"Running `{name}`."
        case ToolProgress(name=name, message=str(message)) if message.strip():
            return _line(f"`{name}`: {message}")
        case ToolCompleted(name=name, kind=kind, ok=False) if kind not in hidden:
            return f"`{name}` failed."
        case PlanCreated(goal=goal, tasks=tasks):
            return _line(f"Plan of {len(tasks)} {'task' if len(tasks) == 1 else 'tasks'}: {goal}")
        case TaskStarted(worker_id=worker, description=description):
            return _line(f"Worker `{worker}`: {description}")
        case OrchestratorToolStarted(task_id=int(), worker_id=worker, name=name, kind=kind) if kind not in hidden:
            return f"Worker `{worker}` runs `{name}`."
        case TaskCompleted(worker_id=worker, success=success):
            return f"Worker `{worker}` {'is done' if success else 'failed'}."
        case Synthesizing():
            return "Looking at the results."
        case ReplanStarted():
            return "Planning again."
    return None


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
