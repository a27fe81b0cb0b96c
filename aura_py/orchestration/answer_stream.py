"""The ``response`` of ``respond_directly`` while the model still writes it (settled question 5)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aura_py.llm.contract import ToolCallFragment
from aura_py.orchestration.routing import RESPOND, DirectDecision

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE = " \t\r\n"
_PLAIN = re.compile(r'[^"\\]+')


class ArgumentReader:
    """Reads a JSON object that arrives in pieces; top-level string values are known as far as they have come.

    The work is linear in the text, however small the pieces are. Of a key that comes twice the first value counts.
    """

    def __init__(self) -> None:
        self.complete: set[str] = set()
        """Keys whose string has ended."""
        self._parts: dict[str, list[str]] = {}
        self._taken: dict[str, int] = {}
        self._state = "start"
        self._key: str | None = None
        self._raw: list[str] = []
        self._depth = 0
        self._quoted = False
        self._escape = ""
        self._high = ""

    @property
    def values(self) -> Mapping[str, str]:
        return {key: "".join(parts) for key, parts in self._parts.items()}

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            plain = _PLAIN.match(text, at) if self._state == "value" and not self._escape else None
            if plain is None:
                self._step(text[at])
                at += 1
            else:
                self._put(plain.group())
                at = plain.end()

    def take(self, key: str) -> str:
        """What has come of ``key`` since the last time."""
        parts, start = self._parts.get(key, []), self._taken.get(key, 0)
        self._taken[key] = len(parts)
        return "".join(parts[start:])

    def _step(self, char: str) -> None:
        state = self._state
        if state == "value":
            self._value_char(char)
        elif state == "skip":
            self._skip(char)
        elif state == "key":
            self._key_char(char)
        elif char in _SPACE or state == "lost":
            return
        elif state == "start":
            self._state = "before_key" if char == "{" else "lost"
        elif state == "before_key":
            if char == '"':
                self._state, self._raw = "key", []
            elif char != ",":
                self._state = "lost"
        elif state == "colon":
            self._state = "before_value" if char == ":" else "lost"
        elif state == "before_value":
            self._begin_value(char)

    def _key_char(self, char: str) -> None:
        if char == '"' and not self._escape:
            try:
                self._key = json.loads('"' + "".join(self._raw) + '"')
            except ValueError:
                self._state = "lost"
                return
            self._state = "colon"
            return
        self._escape = "\\" if char == "\\" and not self._escape else ""
        self._raw.append(char)

    def _begin_value(self, char: str) -> None:
        assert self._key is not None
        self._escape = self._high = ""
        if char == '"' and self._key not in self._parts:
            self._state = "value"
            self._parts[self._key] = []
            return
        self._state, self._depth, self._quoted = "skip", 0, False
        self._skip(char)

    def _value_char(self, char: str) -> None:
        assert self._key is not None
        if self._escape:
            self._escape += char
            self._unescape()
        elif char == "\\":
            self._escape = char
        elif char == '"':
            self._put("")
            self.complete.add(self._key)
            self._state = "before_key"
        else:
            self._put(char)

    def _unescape(self) -> None:
        escape = self._escape
        if escape[1] != "u":
            self._escape = ""
            self._put(_ESCAPES.get(escape[1], escape[1]))
        elif len(escape) == 6:
            self._escape = ""
            try:
                unit = int(escape[2:], 16)
            except ValueError:
                self._put("\ufffd")
                return
            if 0xD800 <= unit < 0xDC00:
                self._put("")
                self._high = chr(unit)
            elif 0xDC00 <= unit < 0xE000 and self._high:
                pair = 0x10000 + ((ord(self._high) - 0xD800) << 10) + (unit - 0xDC00)
                self._high = ""
                self._put(chr(pair))
            elif 0xDC00 <= unit < 0xE000:
                self._put("\ufffd")
            else:
                self._put(chr(unit))

    def _put(self, text: str) -> None:
        assert self._key is not None
        if self._high:
            text, self._high = "\ufffd" + text, ""
        self._parts[self._key].append(text)

    def _skip(self, char: str) -> None:
        if self._quoted:
            if self._escape:
                self._escape = ""
            elif char == "\\":
                self._escape = char
            elif char == '"':
                self._quoted = False
            return
        if char == '"':
            self._quoted = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            if self._depth < 0:
                self._state = "lost"
        elif char == "," and self._depth == 0:
            self._state = "before_key"


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
    piece is told (``begin`` announces it) the decision cannot be taken back.

    Args:
        begin: Called once, before the first piece, with what is known: the whole answer when it came at once.
        tell: Passes a piece of text on.
    """

    def __init__(self, begin: Callable[[DirectDecision], None], tell: Callable[[str], None], *, allowed: bool) -> None:
        self.sent: PartialAnswer | None = None
        self._begin, self._tell = begin, tell
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
        """Tells what is left of the whole ``response``; says what was told in the end."""
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
            self._tell(piece)
