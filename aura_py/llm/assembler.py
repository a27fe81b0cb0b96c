"""Tool calls from fragments, however a server numbers, names or repeats them."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from aura_py.ids import tool_call_id
from aura_py.llm.contract import ToolCallFragment, ToolCallReady
from aura_py.messages import JsonObject, ToolCall


@dataclass(slots=True)
class _Call:
    position: int
    id: str
    wire_id: str | None
    index: int | None
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    opaque: dict[str, object] = field(default_factory=dict)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        try:
            orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            return False
        return True


class ToolCallAssembler:
    """Collects one response's calls. Each :meth:`add` yields a fragment to show, :meth:`finish` the complete calls.

    Servers differ: ``index`` may be missing, always 0, or count fragments; ``id`` and ``name`` may come once, with
    every fragment, or never. A fragment belongs to the call its id names, else to the call its index names, else to
    the last one; it opens a new call where it cannot belong to any.
    """

    __slots__ = ("_calls", "_last")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._last: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(
        self,
        index: int | None,
        id_: str | None,
        name: str | None,
        arguments: str,
        opaque: JsonObject | None = None,
    ) -> ToolCallFragment:
        call = self._find(index, id_ or None, name or None)
        if call is None:
            call = self._open(index, id_ or None)
        if name and name != call.name and not call.pieces:
            call.name = name if name.startswith(call.name) else call.name + name
        if arguments:
            call.pieces.append(arguments)
        if opaque:
            call.opaque.update(opaque)
        self._last = call
        return ToolCallFragment(call.position, call.id, call.name, arguments)

    def finish(self) -> list[ToolCallReady]:
        """The calls in order of first appearance. Absent arguments become ``{}``."""
        calls, self._calls, self._last = self._calls, [], None
        return [
            ToolCallReady(ToolCall(call.id, call.name, call.arguments.strip() or "{}", dict(call.opaque)))  # type: ignore[arg-type]
            for call in calls
        ]

    def _find(self, index: int | None, id_: str | None, name: str | None) -> _Call | None:
        if id_ is not None:
            for call in self._calls:
                if call.wire_id == id_ and (call.index == index or index is None or name in (None, call.name)):
                    return call
        same = next((call for call in reversed(self._calls) if index is not None and call.index == index), None)
        if index is None:
            same = self._last
        if same is None:
            return self._last if id_ is None and name is None else None
        if id_ is not None and same.wire_id is None and not same.name:
            return same
        return None if self._opens_another(same, index, id_, name) else same

    @staticmethod
    def _opens_another(same: _Call, index: int | None, id_: str | None, name: str | None) -> bool:
        if name is None or not same.name:
            return False
        started_over = same.complete or not same.pieces
        if id_ is not None and same.wire_id is not None:
            return id_ != same.wire_id and (started_over or name != same.name)
        if index is None:
            return same.complete or (not same.pieces and name != same.name)
        return same.complete and name != same.name

    def _open(self, index: int | None, id_: str | None) -> _Call:
        taken = {call.id for call in self._calls}
        call = _Call(len(self._calls), id_ if id_ and id_ not in taken else tool_call_id(), id_, index)
        self._calls.append(call)
        return call
