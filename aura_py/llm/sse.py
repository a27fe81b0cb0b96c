"""Server-sent events from raw bytes, whatever the packets: the payloads of all events that one read completed."""

from __future__ import annotations

from collections.abc import Iterable

_LIMIT = 32 * 1024 * 1024
_SAMPLE = 512
_FIELDS = (b"", b"event", b"id", b"retry")


class OversizedEvent(ValueError):
    """An event grew past the limit; whatever is being sent is not an event stream."""


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


class SseReader:
    """Feed it bytes, get the ``data`` of every event that is now complete; lines of one event are joined by LF.

    Event names, ids and retry hints are dropped: every provider repeats the kind inside its JSON. LF, CRLF and CR
    end lines; comments and a byte-order mark are skipped.
    """

    __slots__ = ("_first", "_held_cr", "_pending", "junk", "lines")

    def __init__(self) -> None:
        self._pending = PendingBytes()
        self._first = True
        self._held_cr = False
        self.lines = 0
        """Payloads seen so far."""
        self.junk = b""
        """The first line that belongs to no event stream; readers skip such lines, but they tell a wrong address."""

    def feed(self, chunk: bytes) -> list[bytes]:
        pending = self._pending
        if self._first:
            if pending.size + len(chunk) < 3:
                pending.append(chunk)
                return []
            self._first = False
            chunk = (pending.take() + chunk).removeprefix(b"\xef\xbb\xbf")
        if self._held_cr:
            chunk, self._held_cr = b"\r" + chunk, False
        if b"\r" in chunk:
            if chunk.endswith(b"\r"):
                # A CR at the end may be the first half of CRLF.
                chunk, self._held_cr = chunk[:-1], True
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n\n" not in chunk and not (pending.last == b"\n" and chunk.startswith(b"\n")):
            pending.append(chunk)
            if pending.size > _LIMIT:
                raise OversizedEvent(f"an event of more than {_LIMIT} bytes")
            return []
        events = (pending.take() + chunk if pending.size else chunk).split(b"\n\n")
        pending.append(events.pop())
        return self._payloads(events)

    def close(self) -> list[bytes]:
        """What a stream that ended without its last blank line still holds."""
        rest = self._pending.take().replace(b"\r", b"\n")
        return self._payloads(rest.split(b"\n\n")) if rest else []

    def _payloads(self, events: Iterable[bytes]) -> list[bytes]:
        result = []
        for event in events:
            if event.startswith(b"data: ") and b"\n" not in event:
                result.append(event[6:])
                continue
            data = []
            for line in event.split(b"\n"):
                name, _, value = line.partition(b":")
                if name == b"data":
                    data.append(value[1:] if value.startswith(b" ") else value)
                elif name not in _FIELDS and not self.junk:
                    self.junk = line[:_SAMPLE]
            if data:
                result.append(b"\n".join(data))
        self.lines += len(result)
        return result
