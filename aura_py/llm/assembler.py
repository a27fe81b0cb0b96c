"""Tool calls from fragments, however a server numbers, names or repeats them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aura_py.ids import tool_call_id
from aura_py.llm.contract import ToolCallFragment, ToolCallReady
from aura_py.llm.json_text import replace_lone_escapes
from aura_py.messages import Json, JsonObject, ToolCall

_MARK = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


@dataclass(slots=True)
class _Call:
    position: int
    id: str
    wire_id: str | None
    index: int | None
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    opaque: dict[str, Json] = field(default_factory=dict)
    _scanned: int = 0
    _opened: bool = False
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def empty_object(self) -> bool:
        return self.length < 8 and self.arguments.strip() == "{}"

    @property
    def complete(self) -> bool:
        """Whether all brackets and quotes are closed. Looks at each piece once, however often it is asked."""
        for piece in self.pieces[self._scanned :]:
            self._scan(piece)
        self._scanned = len(self.pieces)
        return self._opened and self._depth == 0 and not self._quoted

    def grow(self, piece: str) -> str:
        """Takes a piece of the arguments and returns what of it is to be shown."""
        if piece.lstrip()[:1] == "{" and self.complete:
            if self.empty_object:
                # Only a place-holder for the real arguments.
                self.pieces, self.length, self._scanned = [], 0, 0
            elif self.repeated(piece):
                return ""
        self.pieces.append(piece)
        self.length += len(piece)
        return "" if self.empty_object else piece

    def repeated(self, piece: str) -> bool:
        """Whether ``piece`` is all of the arguments again, as some servers send them in the end."""
        return len(piece) == self.length and piece == self.arguments

    def _scan(self, piece: str) -> None:
        at = 1 if self._escaped and piece else 0
        self._escaped = self._escaped and not piece
        for mark in _MARK.finditer(piece, at):
            self._opened = True
            char = mark.group()[0]
            if char == '"':
                self._quoted = not self._quoted
            elif not self._quoted and char != "\\":
                self._depth += 1 if char in "{[" else -1
        if self._quoted:
            self._escaped = (len(piece) - at - len(piece[at:].rstrip("\\"))) % 2 == 1


class ToolCallAssembler:
    """Collects one response's calls. Each :meth:`add` yields a fragment to show, :meth:`finish` the complete calls.

    Servers differ: ``index`` may be missing, always 0, or count fragments; ``id`` and ``name`` may come once, with
    every fragment, or never, and several calls may share an id. A fragment belongs to the call its id names, else to
    the call its index names, else to the last one; it opens a new call where it cannot belong to any.
    """

    __slots__ = ("_by_id", "_by_index", "_calls", "_ids", "_last", "_named")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._ids: set[str] = set()
        self._by_id: dict[tuple[str, int | None], _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None
        self._named: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(
        self,
        index: int | None,
        id_: str | None,
        name: str | None,
        arguments: str,
        opaque: JsonObject | None = None,
        *,
        same_chunk: bool = False,
    ) -> ToolCallFragment:
        """``same_chunk``: came together with the fragment before; two of one chunk that have names are two calls."""
        if not same_chunk:
            self._named.clear()
        call = self._find(index, id_ or None, name or None, arguments)
        if call is None:
            call = self._open(index, id_ or None)
        if name:
            self._named.add(call.position)
            if name != call.name and not call.pieces:
                call.name = name if name.startswith(call.name) else call.name + name
        if opaque:
            call.opaque.update(opaque)
        self._last = call
        return ToolCallFragment(call.position, call.id, call.name, call.grow(arguments) if arguments else "")

    def finish(self) -> list[ToolCallReady]:
        """The calls in order of first appearance. Absent arguments become ``{}``."""
        calls, self._calls, self._last = self._calls, [], None
        return [
            ToolCallReady(
                ToolCall(call.id, call.name, replace_lone_escapes(call.arguments.strip()) or "{}", dict(call.opaque))
            )
            for call in calls
        ]

    def _find(self, index: int | None, id_: str | None, name: str | None, arguments: str) -> _Call | None:
        same = None
        if id_ is not None:
            same = self._by_id.get((id_, index)) or self._by_id.get((id_, None))
        if same is None and index is not None:
            same = self._by_index.get(index)
            if same is None and id_ is None and name is None:
                return self._last
        elif same is None:
            same = self._last
        if same is None or name is None or not same.name:
            return same
        return None if self._is_another(same, index, id_, name, arguments) else same

    def _is_another(self, same: _Call, index: int | None, id_: str | None, name: str, arguments: str) -> bool:
        """Whether a fragment with a name, which would belong to ``same``, begins a call of its own."""
        started_over = same.complete or not same.length
        if same.position in self._named:
            return started_over
        same_id = id_ is not None and id_ == same.wire_id
        if id_ is not None and same.wire_id is not None and not same_id:
            return started_over or name != same.name
        if index is not None and same.index is not None and index != same.index:
            return started_over
        if not same.complete:
            return index is None and not same_id and not same.length and name != same.name
        if name != same.name:
            return True
        if arguments.lstrip()[:1] != "{":
            return False
        again = same.repeated(arguments) and (same_id or len(same.pieces) > 1)
        return not again and not (same_id and same.empty_object)

    def _open(self, index: int | None, id_: str | None) -> _Call:
        call = _Call(len(self._calls), id_ if id_ and id_ not in self._ids else tool_call_id(), id_, index)
        self._calls.append(call)
        self._ids.add(call.id)
        if id_ is not None:
            # Under no index stands the last call of that id.
            self._by_id[id_, index] = self._by_id[id_, None] = call
        if index is not None:
            self._by_index[index] = call
        return call
