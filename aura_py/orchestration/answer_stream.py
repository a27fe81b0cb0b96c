"""The ``response`` of ``respond_directly`` while the model still writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aura_py.llm.contract import ToolCallFragment
from aura_py.orchestration.routing import RESPOND, DirectDecision

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CHARACTERS = re.compile(r'(?:[^"\\]|\\(?:[^u]|u[0-9a-fA-F]{4}))*+')
_UNICODE_ESCAPE = 6


class ArgumentReader:
    """Reads a JSON object that arrives in pieces; top-level string values are known as far as they have come.

    The work is linear in the text, however small the pieces are. Of a key that comes twice the first value counts.
    """

    def __init__(self) -> None:
        self.complete: set[str] = set()
        """Keys whose string has ended."""
        self._parts: dict[str, list[str]] = {}
        self._taken: dict[str, int] = {}
        self._depth = 0
        self._next: Literal["object", "key", "colon", "value", "comma", "end"] = "object"
        """What may come next at the top level."""
        self._key = ""
        self._string: list[str] | None = None
        """The parts of the string that is being read."""
        self._escape = ""
        """An escape sequence that has not arrived in full."""
        self._high_surrogate = ""

    @property
    def values(self) -> Mapping[str, str]:
        return {key: "".join(parts) for key, parts in self._parts.items()}

    def take(self, key: str) -> str:
        """What has come of ``key`` since the last time."""
        parts, start = self._parts.get(key, []), self._taken.get(key, 0)
        self._taken[key] = len(parts)
        return "".join(parts[start:])

    def feed(self, text: str) -> None:
        text, self._escape, at = self._escape + text, "", 0
        while at < len(text):
            if self._string is None:
                self._read_structure(text[at])
                at += 1
                continue
            match = _CHARACTERS.match(text, at)
            end = match.end() if match is not None else at
            piece = text[at:end]
            self._append(_ESCAPE.sub(_unescape, piece) if "\\" in piece else piece)
            at = end
            if text[at : at + 1] == '"':
                self._end_string()
                at += 1
            elif len(text) - at >= _UNICODE_ESCAPE:  # `\u` without four digits
                self._append("\ufffd")
                at += _UNICODE_ESCAPE
            else:
                self._escape = text[at:]
                return

    def _read_structure(self, char: str) -> None:
        top = self._depth == 1
        if char == '"':
            self._string = []
            if top and self._next == "value" and self._key not in self._parts:
                self._parts[self._key] = self._string
            elif top and self._next == "value":
                self._next = "comma"
        elif self._next == "end":
            return
        elif char in "{[":
            if self._next == "object":
                self._next = "key" if char == "{" else "comma"
            elif top:
                self._next = "comma"
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            if self._depth == 0:
                self._next = "end"
        elif top and char == "," and self._next == "comma":
            self._next = "key"
        elif top and char == ":" and self._next == "colon":
            self._next = "value"
        elif not char.isspace() and (top or self._next == "object"):
            self._next = "comma"

    def _end_string(self) -> None:
        self._append("", last=True)
        if self._depth == 1 and self._next == "key":
            self._key, self._next = "".join(self._string or ()), "colon"
        elif self._depth == 1 and self._next == "value":
            self.complete.add(self._key)
            self._next = "comma"
        self._string = None

    def _append(self, text: str, *, last: bool = False) -> None:
        if text.isascii() and not self._high_surrogate:
            if text and self._string is not None:
                self._string.append(text)
            return
        text, self._high_surrogate = self._high_surrogate + text, ""
        if not last and "\ud800" <= text[-1:] < "\udc00":
            text, self._high_surrogate = text[:-1], text[-1]
        if text and self._string is not None:
            # two escaped halves become one character, a lone half becomes the replacement character
            self._string.append(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _ESCAPES.get(escape, escape)


@dataclass(slots=True)
class PartialAnswer:
    """What the client has already read."""

    pieces: list[str] = field(default_factory=list)
    rationale: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class AnswerStream:
    """Passes the answer on as it is generated.

    Only the first call of a response is streamed, and only when nothing can be decided before it; once the first
    piece is sent (``begin`` announces it) the decision cannot be taken back.

    Args:
        begin: Called once, before the first piece, with what is known: the whole answer when it came at once.
        send: Passes a piece of text on.
    """

    def __init__(self, begin: Callable[[DirectDecision], None], send: Callable[[str], None], *, allowed: bool) -> None:
        self.sent: PartialAnswer | None = None
        self._begin, self._send = begin, send
        self._allowed = allowed
        self._reader = ArgumentReader()
        self._call: str | None = None
        self._held = ""

    def fragments(self, fragments: Iterable[ToolCallFragment]) -> None:
        """Takes in what came together."""
        for fragment in fragments:
            self._read(fragment)
        self._release(self._reader.take("response"))

    def _read(self, fragment: ToolCallFragment) -> None:
        if not self._allowed or fragment.position != 0 or fragment.name != RESPOND:
            return
        if fragment.id != self._call:
            if self.sent is not None:
                return
            self._call, self._reader, self._held = fragment.id, ArgumentReader(), ""
        self._reader.feed(fragment.arguments)

    def finish(self, response: str) -> str:
        """Sends what is left of the whole ``response``; returns what was sent in the end."""
        if self.sent is None:
            return response
        text = self.sent.text
        if not response.startswith(text):
            return text
        self._release(response[len(text) :])
        return response

    def _release(self, piece: str) -> None:
        if self.sent is None:
            self._held += piece
            if not self._held.strip():
                return
            piece, rationale = self._held, self._reader.values.get("routing_rationale", "")
            self.sent = PartialAnswer(rationale=rationale)
            self._begin(DirectDecision(piece, rationale, streamed="response" not in self._reader.complete))
        if piece:
            self.sent.pieces.append(piece)
            self._send(piece)
