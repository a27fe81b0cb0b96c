"""Records of a response's body: what every format of a stream shares, and JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aura_py.llm.lenient_json import is_cut


class RecordReader(Protocol):
    """Feed it bytes as they arrive, get the records that are complete now.

    ``damage`` says why the bytes after the last record cannot be read. ``junk`` is the beginning of what is no record
    at all, such as a page of HTML. ``count`` are the records so far.
    """

    damage: str | None
    count: int

    @property
    def junk(self) -> bytes: ...

    def feed(self, chunk: bytes) -> Sequence[Any]: ...

    def close(self) -> Sequence[Any]:
        """What a body that ended without the end of its last record still holds."""
        ...


class PendingBytes:
    """The beginning of a record whose end has not come, in pieces: joining them at every read would be quadratic."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def append(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def take(self) -> bytes:
        """Everything that was appended since the last call."""
        joined = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return joined

    @property
    def last(self) -> bytes:
        """The last byte."""
        return self._pieces[-1][-1:] if self._pieces else b""


class LineReader:
    """Lines of JSON. A line of more than ``limit`` bytes is damage."""

    junk = b""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending = PendingBytes()
        self.damage: str | None = None
        self.count = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        self._pending.append(chunk)
        lines: list[bytes] = []
        if b"\n" in chunk:
            lines = self._pending.take().split(b"\n")
            self._pending.append(lines.pop())
        if self._pending.size > self._limit:
            self.damage = "a line without an end"
        return self._filled(lines)

    def close(self) -> list[bytes]:
        rest = self._pending.take()
        # The last line may lack its line feed; a line that was cut is nothing, for nobody said that the answer is over.
        return [] if is_cut(rest.decode(errors="replace")) else self._filled([rest])

    def _filled(self, lines: list[bytes]) -> list[bytes]:
        filled = [line for line in lines if line.strip()]
        self.count += len(filled)
        return filled
