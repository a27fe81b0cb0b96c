"""Server-sent events from raw bytes, whatever the packets: the payloads of all events that one read completed."""

from __future__ import annotations

from collections.abc import Iterable

from aura_py.llm.records import PendingBytes

_LIMIT = 32 * 1024 * 1024
_HEAD = 8192
_FIELDS = (b"", b"event", b"id", b"retry")


class SseReader:
    """Feed it bytes, get the ``data`` of every event that is now complete; lines of one event are joined by LF.

    Event names, ids and retry hints are dropped: every provider repeats the kind inside its JSON. LF, CRLF and CR
    end lines; comments and a byte-order mark are skipped. A body that begins like JSON is one record: no event stream
    does, but errors and answers come so whatever the content type says.
    """

    __slots__ = ("_first", "_head", "_held_cr", "_junk", "_pending", "_whole", "count", "damage")

    def __init__(self) -> None:
        self._pending = PendingBytes()
        self._first = True
        self._held_cr = False
        self._whole = False
        self._head = b""
        self._junk = b""
        self.damage: str | None = None
        self.count = 0

    @property
    def junk(self) -> bytes:
        """The first line that belongs to no event stream, or the beginning of a body without any event.

        Such lines are skipped, but they tell an error sent as plain JSON, or a wrong address.
        """
        return self._head if (self._junk or self._whole) and not self.count else self._junk

    def feed(self, chunk: bytes) -> list[bytes]:
        pending = self._pending
        if (
            self.count
            and not (pending.size or self._held_cr)
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and chunk.count(b"\n") == 2
            and b"\r" not in chunk
        ):
            # One whole event, which is what most reads bring of a model that takes its time.
            self.count += 1
            return [chunk[6:-2]]
        if not self.count and len(self._head) < _HEAD:
            self._head += chunk[: _HEAD - len(self._head)]
        if self._first:
            if pending.size + len(chunk) < 3:
                pending.append(chunk)
                return []
            self._first = False
            chunk = (pending.take() + chunk).removeprefix(b"\xef\xbb\xbf")
            self._whole = chunk.lstrip()[:1] in (b"{", b"[")
        if self._held_cr:
            chunk, self._held_cr = b"\r" + chunk, False
        if b"\r" in chunk:
            if chunk.endswith(b"\r"):
                # A CR at the end may be the first half of CRLF.
                chunk, self._held_cr = chunk[:-1], True
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._whole or (b"\n\n" not in chunk and not (pending.last == b"\n" and chunk.startswith(b"\n"))):
            pending.append(chunk)
            if pending.size > _LIMIT:
                self.damage = "an event without an end"
            return []
        events = (pending.take() + chunk if pending.size else chunk).split(b"\n\n")
        pending.append(events.pop())
        return self._payloads(events)

    def close(self) -> list[bytes]:
        """What a stream that ended without its last blank line still holds."""
        rest = self._pending.take().replace(b"\r", b"\n")
        if self._whole:
            return [rest]
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
                elif name not in _FIELDS and not self._junk:
                    self._junk = line[:_HEAD]
            if data:
                result.append(b"\n".join(data))
        self.count += len(result)
        return result
