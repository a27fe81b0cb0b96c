"""Prose and tool calls of one response, told apart while the text arrives.

Prose streams on; text is held back only from something that may open a call until it is decided. Recognised markup is
not shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aura_py.ids import tool_call_id
from aura_py.llm.contract import ToolSpec
from aura_py.llm.json_text import to_json
from aura_py.llm.text_calls.formats import (
    FENCE,
    FUNCTION,
    FUNCTION_END,
    LONGEST_CALL,
    LONGEST_TAG,
    MARKS,
    TOOL_CALL,
    TOOL_CALL_END,
    Formats,
)
from aura_py.messages import ToolCall

_THINK, _THINK_END = "<think>", "</think>"
_TAGS = (TOOL_CALL, FUNCTION, *MARKS, _THINK)
_CLOSERS = (TOOL_CALL_END, FUNCTION_END)
_AFTER_BRACKET = "".join(sorted({tag[1] for tag in (*_TAGS, *_CLOSERS) if tag[0] == "<"}))
# What follows decides about most brackets of ordinary text without a look at the formats.
_OPENER = re.compile(
    rf'{{(?=\s*(?:"|\Z))|\[(?=\s*(?:[A-Za-z_{{]|\Z))|<(?=[{re.escape(_AFTER_BRACKET)}]|\Z)|```|`{{1,2}}\Z'
)
_SLICE = LONGEST_CALL // 4
"""Characters decided about together: what is longer than a call is cut to one at every look."""
_WORK_PER_CHARACTER = 6
_WORK_AT_LEAST = LONGEST_CALL
_WORK_PER_LOOK = 16
_LONGEST_GAP = 512


class TextCallParser:
    """One response. :meth:`feed` returns the prose that may be shown; :attr:`calls` grows by what was recognised.

    The result does not depend on how the text is cut, unless it costs too much: a look at something that may be a call
    reads it from its beginning, and text can be made of openers that each need a long look. ``work`` counts the
    characters that were looked at; past a multiple of the characters that came, the rest of the response is prose.
    """

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self.calls: list[ToolCall] = []
        self.work = 0
        self._allowed = _WORK_AT_LEAST
        self._settled = 0
        """The work that was done before the opener that is held now."""
        self._formats = Formats(tools)
        self._text = ""
        self._at = 0
        """Where the undecided part of the text begins."""
        self._arrived: list[str] = []
        self._held = 0
        """Characters that are undecided, those that arrived since the last look included."""
        self._look_at = 0
        """How many must be held before another look."""
        self._until: str | None = None
        """Inside thinking or a code sample: what ends it."""
        self._gap = ""
        """White space not shown yet: around a call it goes with the call."""
        self._after_call = False
        self._said = False

    def feed(self, text: str) -> str:
        said: list[str] = []
        for start in range(0, len(text), _SLICE):
            piece = text[start : start + _SLICE]
            self._arrived.append(piece)
            self._held += len(piece)
            self._allowed += _WORK_PER_CHARACTER * len(piece)
            if self._held >= self._look_at:
                said.append(self._decide(final=False))
        return "".join(said)

    def close(self) -> str:
        """The rest, at the end of the response."""
        said = self._decide(final=True)
        gap, self._gap = self._gap, ""
        return said if self._after_call else said + gap

    def _decide(self, *, final: bool) -> str:
        self._text = "".join((self._text[self._at :], *self._arrived))
        self._at, self._arrived, self._look_at = 0, [], 0
        said: list[str] = []
        while self._at < len(self._text) and not self._look_at:
            said.append(self._step(final))
        self._held = len(self._text) - self._at
        return "".join(said)

    def _step(self, final: bool) -> str:
        """Decides about one piece of what is held, or sets when to look again."""
        if self._until is not None:
            return self._inside(self._until, final)
        opener = _OPENER.search(self._text, self._at) if self.work < self._allowed else None
        if opener is None:
            return self._prose(len(self._text))
        if opener.start() > self._at:
            return self._prose(opener.start())
        return self._opened(final)

    def _opened(self, final: bool) -> str:
        """Something that may be a call stands at the beginning of what is held."""
        text, at = self._text, self._at
        if text.startswith(_THINK, at):
            self._until = _THINK_END
            return self._prose(at + len(_THINK))
        if self._after_call:
            for closer in _CLOSERS:
                if text.startswith(closer, at):
                    self._at += len(closer)
                    return ""
        if text[at] == "<" and not text.startswith((TOOL_CALL, FUNCTION, *MARKS), at):
            tags = (*_TAGS, *_CLOSERS) if self._after_call else _TAGS
            begun = text[at : at + LONGEST_TAG]
            return self._wait() if not final and any(tag.startswith(begun) for tag in tags) else self._prose(at + 1)
        if text[at] == "`" and not text.startswith(FENCE, at):
            return self._prose(len(text)) if final else self._wait()
        return self._recognised(final)

    def _recognised(self, final: bool) -> str:
        text, at = self._text, self._at
        whole = len(text) - at <= LONGEST_CALL
        # One character more than the longest call tells a call of that length from a longer one.
        window, start = (text, at) if whole else (text[at : at + LONGEST_CALL + 1], 0)
        found = self._formats.recognise(window, start, final=final and whole)
        self.work += _WORK_PER_LOOK + (len(window) - start if found is None else max(found.end - start, found.looked))
        if found is None:
            return self._wait()
        end = found.end + at - start
        if found.calls:
            # Finding a call is never in vain, however often it was looked at while it came.
            self._allowed += self.work - self._settled
        self._settled = self.work
        if found.sample:
            self._until = FENCE
        if not found.calls:
            return self._prose(end)
        for call in found.calls:
            self.calls.append(ToolCall(tool_call_id(), call.name, to_json(call.arguments).decode()))
        self._at = end
        self._after_call = True
        return ""

    def _inside(self, closer: str, final: bool) -> str:
        text = self._text
        end = text.find(closer, self._at)
        if end != -1:
            self._until = None
            return self._prose(end + len(closer))
        keep = 0
        if not final:
            keep = next((size for size in range(len(closer) - 1, 0, -1) if text.endswith(closer[:size], self._at)), 0)
        said = self._prose(len(text) - keep)
        if keep:
            self._wait()
        return said

    def _wait(self) -> str:
        """Looks again when more has come, in steps that grow with what is held: every look costs the whole of it."""
        held = len(self._text) - self._at
        self._look_at = min(held + max(1, held // 4), LONGEST_CALL + 1)
        return ""

    def _prose(self, end: int) -> str:
        """What is shown of the text up to ``end``."""
        text = self._gap + self._text[self._at : end]
        self._at = end
        body = text.rstrip()
        self._gap = text[len(body) :]
        if len(self._gap) > _LONGEST_GAP:
            if self._after_call:
                self._gap = _one_space(self._gap)
            else:
                body, self._gap = text[:-_LONGEST_GAP], text[-_LONGEST_GAP:]
        if not body:
            return ""
        if self._after_call:
            space = len(body) - len(body.lstrip())
            body = (_one_space(body[:space]) if self._said else "") + body[space:]
            self._after_call = False
        self._said = True
        return body


def _one_space(gap: str) -> str:
    """What remains of the white space on both sides of a call."""
    return "" if not gap else "\n" if "\n" in gap else " "
