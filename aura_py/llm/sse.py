"""Server-sent events from raw bytes, whatever the packets: the payloads of all events that one read completed."""

from __future__ import annotations

from collections.abc import Iterable

_LIMIT = 32 * 1024 * 1024
_SAMPLE = 512
_FIELDS = (b"", b"event", b"id", b"retry")


class OversizedEvent(ValueError):
    """An event grew past the limit; whatever is being sent is not an event stream."""


class SseReader:
    """Feed it bytes, get the ``data`` of every event that is now complete; lines of one event are joined by LF.

    Event names, ids and retry hints are dropped: every provider repeats the kind inside its JSON. LF, CRLF and CR
    end lines; comments and a byte-order mark are skipped.
    """

    __slots__ = ("_first", "_rest", "junk", "lines")

    def __init__(self) -> None:
        self._rest = b""
        self._first = True
        self.lines = 0
        """Payloads seen so far."""
        self.junk = b""
        """The first line that belongs to no event stream; readers skip such lines, but they tell a wrong address."""

    def feed(self, chunk: bytes) -> list[bytes]:
        buffer = self._rest + chunk if self._rest else chunk
        if self._first and len(buffer) >= 3:
            self._first = False
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
        held = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):
                # A CR at the end may be the first half of CRLF.
                buffer, held = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n\n" not in buffer:
            self._keep(buffer + held)
            return []
        events = buffer.split(b"\n\n")
        self._keep(events.pop() + held)
        return self._payloads(events)

    def close(self) -> list[bytes]:
        """What a stream that ended without its last blank line still holds."""
        rest, self._rest = self._rest.replace(b"\r", b"\n"), b""
        return self._payloads(rest.split(b"\n\n")) if rest else []

    def _keep(self, rest: bytes) -> None:
        if len(rest) > _LIMIT:
            raise OversizedEvent(f"an event of more than {_LIMIT} bytes")
        self._rest = rest

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
