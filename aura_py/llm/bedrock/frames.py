"""AWS's binary event stream: bytes to messages."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from aura_py.llm.records import PendingBytes

_PRELUDE = Struct("!III")
_CHECKSUM = Struct("!I")
_SHORT = Struct("!H")
_MAX_MESSAGE = 24 * 1024 * 1024
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_KNOWN_HEADERS = 64
_HEAD = 8192


class _BadFrame(ValueError):
    """The bytes are not an event stream, or were damaged on the way."""


@dataclass(slots=True, frozen=True)
class Frame:
    """One message. ``failed`` messages report an exception named ``event``."""

    event: str
    payload: bytes
    failed: bool


class FrameReader:
    """Feed it bytes, get the messages that are now complete. Checks both checksums of each."""

    __slots__ = ("_head", "_known", "_needed", "_pending", "count", "damage")

    def __init__(self) -> None:
        self._pending = PendingBytes()
        self._needed = _PRELUDE.size
        self._head = b""
        self.damage: str | None = None
        self.count = 0
        # A stream repeats a handful of header blocks byte for byte.
        self._known: dict[bytes, tuple[str, bool]] = {}

    @property
    def junk(self) -> bytes:
        """The beginning of a body that looks like text rather than like a message."""
        foreign = self._head.lstrip()[:1] in (b"<", b"{", b"[") or self._head[:5] == b"data:"
        return self._head if foreign else b""

    def feed(self, chunk: bytes) -> list[Frame]:
        frames: list[Frame] = []
        self._head = self._head or chunk[:_HEAD]
        self._pending.append(chunk)
        if self._pending.size < self._needed:
            return frames
        try:
            self._read(self._pending.take(), frames)
        except _BadFrame as error:
            self.damage = str(error)
        self.count += len(frames)
        return frames

    def close(self) -> list[Frame]:
        return []

    def _read(self, buffer: bytes, frames: list[Frame]) -> None:
        start, size = 0, len(buffer)
        self._needed = _PRELUDE.size
        while size - start >= _PRELUDE.size:
            total, header_length, checksum = _PRELUDE.unpack_from(buffer, start)
            if crc32(buffer[start : start + 8]) != checksum:
                raise _BadFrame("a message whose length is damaged")
            if total > _MAX_MESSAGE or total < header_length + 16:
                raise _BadFrame("a message of impossible length")
            end = start + total
            if end > size:
                self._needed = total
                break
            if crc32(buffer[start : end - 4]) != _CHECKSUM.unpack_from(buffer, end - 4)[0]:
                raise _BadFrame("a message whose content is damaged")
            headers_end = start + 12 + header_length
            event, failed = self._headers(buffer[start + 12 : headers_end])
            frames.append(Frame(event, buffer[headers_end : end - 4], failed))
            start = end
        self._pending.append(buffer[start:])

    def _headers(self, block: bytes) -> tuple[str, bool]:
        known = self._known.get(block)
        if known is None:
            headers = _parse_headers(block)
            failed = headers.get(":message-type") in ("exception", "error")
            name = headers.get(":exception-type") or headers.get(":error-code") or headers.get(":event-type") or ""
            known = (name, failed)
            if len(self._known) < _KNOWN_HEADERS:
                self._known[block] = known
        return known


def _parse_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    position, size = 0, len(block)
    try:
        while position < size:
            length = block[position]
            name = block[position + 1 : position + 1 + length].decode()
            position += 1 + length
            kind = block[position]
            position += 1
            if kind in (6, 7):
                (length,) = _SHORT.unpack_from(block, position)
                position += 2
                if kind == 7:
                    headers[name] = block[position : position + length].decode()
                position += length
            else:
                position += _FIXED_SIZES[kind]
    except (IndexError, KeyError, ValueError) as error:
        raise _BadFrame("a message with broken headers") from error
    return headers
