"""Tool events of one turn in the order clients rely on.

Calls of a turn run side by side. What they report is released as if they had run one after another: starts in call
order, a call's progress between its start and its completion, completions in call order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aura_py.events import Event, ToolCompleted, ToolProgress, ToolRequested, ToolStarted


@dataclass(slots=True)
class _CallEvents:
    starts: bool
    start: ToolStarted | None = None
    progress: list[ToolProgress] = field(default_factory=list)
    completion: ToolCompleted | None = None
    start_released: bool = False
    completion_released: bool = False


class TurnSequence:
    """Order the events of one turn's calls; ``emit`` gets them as soon as the order allows."""

    def __init__(self, requested: Sequence[ToolRequested], emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._slots = {r.call_id: _CallEvents(starts=r.kind == "mcp") for r in requested if r.kind != "client"}
        for request in requested:
            emit(request)

    def started(self, event: ToolStarted) -> None:
        slot = self._slots.get(event.call_id)
        if slot is not None and slot.start is None and slot.completion is None:
            slot.start = event
            self._release()

    def progress(self, event: ToolProgress) -> None:
        """Late progress, after the completion, is dropped."""
        slot = self._slots.get(event.call_id)
        if slot is None or slot.completion is not None:
            return
        if slot.start_released or not slot.starts:
            self._emit(event)
        else:
            slot.progress.append(event)

    def completed(self, event: ToolCompleted) -> None:
        slot = self._slots.get(event.call_id)
        if slot is not None and slot.completion is None:
            slot.completion = event
            self._release()

    def _release(self) -> None:
        for slot in self._slots.values():
            if slot.start_released or not slot.starts:
                continue
            if slot.start is not None:
                self._emit(slot.start)
                slot.start_released = True
                for event in slot.progress:
                    self._emit(event)
                slot.progress.clear()
            elif slot.completion is None:
                break
        for slot in self._slots.values():
            if slot.completion_released:
                continue
            if slot.completion is None or (slot.start is not None and not slot.start_released):
                break
            self._emit(slot.completion)
            slot.completion_released = True
