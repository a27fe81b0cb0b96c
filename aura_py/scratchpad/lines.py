"""Lines of a text in memory: their numbers and places, without a list of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

_BLOCK = 1 << 15


class Lines:
    """Line ``n`` (from 1) of ``data``. Split on ``\\n`` only; a final newline adds no empty line."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        counts: list[int] = []
        so_far = 0
        for start in range(0, len(data), _BLOCK):
            counts.append(so_far)
            so_far += data.count(b"\n", start, start + _BLOCK)
        self._before = counts
        self.total = so_far + (1 if data and not data.endswith(b"\n") else 0)

    def start(self, line: int) -> int:
        """Offset of the first byte of a line; the length of the text for lines past the end."""
        if line <= 1:
            return 0
        if line > self.total:
            return len(self.data)
        wanted = line - 1  # newlines that stand before the line
        block = bisect_left(self._before, wanted) - 1
        at = block * _BLOCK
        for _ in range(wanted - self._before[block]):
            at = self.data.find(b"\n", at) + 1
        return at

    def number(self, offset: int) -> int:
        """The line that the byte at ``offset`` stands on."""
        if not self._before:
            return 1
        block = min(offset // _BLOCK, len(self._before) - 1)
        return self._before[block] + self.data.count(b"\n", block * _BLOCK, offset) + 1

    def between(self, first: int, last: int) -> Iterator[bytes]:
        """Lines ``first`` to ``last``, both included, without their line ends."""
        at = self.start(first)
        length = len(self.data)
        for _ in range(first, min(last, self.total) + 1):
            end = self.data.find(b"\n", at)
            if end < 0:
                end = length
            line = self.data[at:end]
            yield line[:-1] if line.endswith(b"\r") else line
            at = end + 1


_CONTINUATION = bytes(range(0x80, 0xC0))


def characters(text: bytes) -> int:
    """How many characters a piece of UTF-8 has."""
    return len(text) if text.isascii() else len(text.translate(None, _CONTINUATION))


def offset_of(text: bytes, character: int) -> int:
    """Where in a piece of UTF-8 a character begins; its end for one that it does not have."""
    if not character or text.isascii():
        return min(character, len(text))
    return len(text.decode("utf-8", "replace")[:character].encode("utf-8", "replace"))


def numbered(number: int, line: str) -> str:
    return f"{number:>6}\t{line}"


def split(text: str) -> list[str]:
    """The lines of a short text, by the same rule."""
    if not text:
        return []
    found = text.split("\n")
    if found[-1] == "":
        found.pop()
    return found if "\r" not in text else [line[:-1] if line.endswith("\r") else line for line in found]
