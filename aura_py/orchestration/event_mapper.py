"""Turns the events of a loop into events of an orchestration."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aura_py.events import (
    Event,
    ModelCallCompleted,
    OrchestratorToolCompleted,
    OrchestratorToolStarted,
    ReasoningDelta,
    ToolCompleted,
    ToolProgress,
    ToolRequested,
    ToolStarted,
    WorkerReasoning,
)

_NUMBERS = itertools.count()
"""Makes ids of calls unique: models of two workers may give the same id to their calls."""
COORDINATOR_SHOWN = frozenset({"read_artifact", "list_prior_runs"})
_ALWAYS_SHOWN = frozenset({"skill", "knowledge"})


@dataclass(slots=True)
class EventMapper:
    """One attempt's or planning call's view of the loop.

    ``named`` workers' reasoning becomes :class:`WorkerReasoning`. ``shown`` limits which tools are reported at all.
    Whatever was started and never ended is ended by :meth:`close`, so that every start has its end.
    """

    emit: Callable[[Event], None]
    worker_id: str
    task_id: int | None = None
    iteration: int = 1
    named: bool = False
    shown: frozenset[str] | None = None
    _open: dict[str, OrchestratorToolStarted] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ToolRequested):
            self._requested(event)
        elif isinstance(event, ToolCompleted):
            self._completed(event)
        elif isinstance(event, ToolProgress):
            self._progress(event)
        elif isinstance(event, ReasoningDelta):
            self._reasoning(event)
        elif isinstance(event, ToolStarted):
            return
        elif isinstance(event, ModelCallCompleted):
            self.emit(replace(event, agent_id=self.worker_id if self.task_id is not None else "coordinator"))
        else:
            self.emit(event)

    def close(self) -> None:
        """Ends every call that the loop did not get to."""
        for call_id in list(self._open):
            self._end(call_id, ok=False, duration_ms=0, result="ToolCallError: not executed")

    def _requested(self, event: ToolRequested) -> None:
        if self.shown is not None and event.name not in self.shown and event.kind not in _ALWAYS_SHOWN:
            return
        call_id = event.call_id
        if event.kind == "mcp" and self.task_id is not None:
            call_id = f"task{self.task_id}_{event.name}_{next(_NUMBERS)}"
        started = OrchestratorToolStarted(
            call_id=call_id,
            name=event.name,
            kind=event.kind,
            worker_id=self.worker_id,
            arguments=event.parsed,
            task_id=self.task_id,
            iteration=self.iteration,
        )
        self._open[event.call_id] = started
        self.emit(started)

    def _completed(self, event: ToolCompleted) -> None:
        text = event.result if event.ok else event.error
        self._end(event.call_id, ok=event.ok, duration_ms=event.duration_ms, result=text or "")

    def _end(self, call_id: str, *, ok: bool, duration_ms: int, result: str) -> None:
        started = self._open.pop(call_id, None)
        if started is None:
            return
        self.emit(
            OrchestratorToolCompleted(
                call_id=started.call_id,
                name=started.name,
                kind=started.kind,
                worker_id=started.worker_id,
                ok=ok,
                duration_ms=duration_ms,
                result=result,
                task_id=self.task_id,
                iteration=self.iteration,
            )
        )

    def _progress(self, event: ToolProgress) -> None:
        started = self._open.get(event.call_id)
        call_id = started.call_id if started is not None else event.call_id
        self.emit(replace(event, call_id=call_id, task_id=self.task_id, worker_id=self.worker_id))

    def _reasoning(self, event: ReasoningDelta) -> None:
        if not event.text:
            return
        if self.named and self.task_id is not None:
            self.emit(WorkerReasoning(self.task_id, self.worker_id, event.text, self.iteration))
        elif self.task_id is not None:
            self.emit(ReasoningDelta(event.text, self.worker_id, "coordinator"))
        else:
            self.emit(ReasoningDelta(event.text, "coordinator"))
