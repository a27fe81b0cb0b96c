"""Tool calls that a model writes as text become ordinary proposed calls.

Prose streams on; text is held back only from something that may open a call until it is decided. Recognised markup is
not shown. The calls go through the toolset and the runner like any other.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aura_py.errors import ProviderError
from aura_py.ids import tool_call_id
from aura_py.llm.contract import (
    Capabilities,
    ChatModel,
    ChatRequest,
    Delta,
    Finish,
    Text,
    ToolCallFragment,
    ToolCallReady,
    ToolSpec,
)
from aura_py.llm.json_text import to_json
from aura_py.llm.text_calls.formats import (
    FENCE,
    FUNCTION,
    FUNCTION_END,
    LONGEST_CALL,
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
_OPENER = re.compile(rf"[{{\[]|<(?=[{re.escape(_AFTER_BRACKET)}]|\Z)|```|`{{1,2}}\Z")
_SLICE = 2048
"""Characters looked at together: what is decided is cut off the front, which copies the rest."""
_GIVE_UP = 100
_LONGEST_GAP = 512


class TextCallParser:
    """One response. :meth:`feed` returns the prose that may be shown; :attr:`calls` grows by what was recognised.

    The result does not depend on how the text is cut.
    """

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self.calls: list[ToolCall] = []
        self._formats = Formats(tools)
        self._held = ""
        self._until: str | None = None
        """Inside thinking or a code sample: what ends it."""
        self._try_at = 0
        self._failures = 0
        self._gap = ""
        """White space not shown yet: around a call it goes with the call."""
        self._after_call = False
        self._said = False

    def feed(self, text: str) -> str:
        said: list[str] = []
        for start in range(0, len(text), _SLICE):
            self._held += text[start : start + _SLICE]
            if len(self._held) >= self._try_at:
                said.append(self._work(final=False))
        return "".join(said)

    def close(self) -> str:
        """The rest, at the end of the response."""
        said = self._work(final=True)
        gap, self._gap = self._gap, ""
        return said if self._after_call else said + gap

    def _work(self, *, final: bool) -> str:
        said: list[str] = []
        self._try_at = 0
        while self._held:
            before = len(self._held)
            said.append(self._step(final))
            if self._try_at or len(self._held) == before:
                break
        return "".join(said)

    def _step(self, final: bool) -> str:
        """Decides about one piece of what is held."""
        if self._until is not None:
            return self._inside(self._until, final)
        if self._failures >= _GIVE_UP:
            return self._prose(len(self._held))
        opener = _OPENER.search(self._held)
        if opener is None:
            return self._prose(len(self._held))
        if opener.start():
            return self._prose(opener.start())
        return self._opened(final)

    def _opened(self, final: bool) -> str:
        """Something that may be a call stands at the beginning of what is held."""
        held = self._held
        if held.startswith(_THINK):
            self._until = _THINK_END
            return self._prose(len(_THINK))
        if self._after_call:
            for closer in _CLOSERS:
                if held.startswith(closer):
                    self._held = held[len(closer) :]
                    return ""
        if held[0] == "<" and not held.startswith((TOOL_CALL, FUNCTION, *MARKS)):
            tags = (*_TAGS, *_CLOSERS) if self._after_call else _TAGS
            return self._wait() if not final and any(tag.startswith(held) for tag in tags) else self._prose(1)
        if held[0] == "`" and not held.startswith(FENCE):
            return (
                self._wait() if not final and FENCE.startswith(held) else self._prose(len(held) - len(held.lstrip("`")))
            )
        found = self._formats.at(held, 0, final=final)
        if found is None:
            return self._wait()
        self._failures += found.gave_up
        if found.sample:
            self._until = FENCE
        if not found.calls:
            return self._prose(found.end)
        for call in found.calls:
            self.calls.append(ToolCall(tool_call_id(), call.name, to_json(call.arguments).decode()))
        self._held = held[found.end :]
        self._after_call = True
        return ""

    def _inside(self, closer: str, final: bool) -> str:
        end = self._held.find(closer)
        if end != -1:
            self._until = None
            return self._prose(end + len(closer))
        keep = 0
        if not final:
            keep = next((size for size in range(len(closer) - 1, 0, -1) if self._held.endswith(closer[:size])), 0)
        said = self._prose(len(self._held) - keep)
        if keep:
            self._wait()
        return said

    def _wait(self) -> str:
        """Looks again when an eighth more has come: every look costs the whole of what is held."""
        held = len(self._held)
        self._try_at = min(held + max(1, held // 8), max(held, LONGEST_CALL) + 1)
        return ""

    def _prose(self, length: int) -> str:
        piece, self._held = self._held[:length], self._held[length:]
        text = self._gap + piece
        body = text.rstrip()
        self._gap = text[len(body) :]
        if len(self._gap) > _LONGEST_GAP and not self._after_call:
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


class TextCallModel:
    """A model whose text may hold calls. Without tools in the request it changes nothing.

    An empty list says that something was heard but nothing can be shown yet.
    """

    def __init__(self, model: ChatModel) -> None:
        self.provider = model.provider
        self.model = model.model
        self.context_window = model.context_window
        self.capabilities: Capabilities = model.capabilities
        self._inner = model

    async def stream(self, request: ChatRequest) -> AsyncGenerator[list[Delta], None]:
        async with aclosing(self._inner.stream(request)) as batches:
            if not request.tools:
                async for batch in batches:
                    yield batch
                return
            response = _Response(request.tools)
            try:
                async for batch in batches:
                    yield response.read(batch)
            except ProviderError:
                rest = response.rest()
                if rest:
                    yield rest
                raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Response:
    """One response on its way through the parser. A native call switches the parser off."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._parser = TextCallParser(tools)
        self._native = False
        self._shown = False

    def read(self, batch: list[Delta]) -> list[Delta]:
        deltas: list[Delta] = []
        for delta in batch:
            if isinstance(delta, Text) and not self._native:
                text = self._parser.feed(delta.text)
                if text:
                    deltas.append(Text(text))
            elif isinstance(delta, ToolCallFragment | ToolCallReady):
                if not self._native:
                    self._native = True
                    deltas += self._flush()
                deltas.append(delta)
            elif isinstance(delta, Finish):
                deltas += self._end(delta)
            else:
                deltas.append(delta)
        self._shown = self._shown or any(isinstance(delta, Text) for delta in deltas)
        return deltas

    def rest(self) -> list[Delta]:
        """What a broken answer still held, if its reader has seen a part of it already."""
        return self._flush() if self._shown and not self._native else []

    def _flush(self) -> list[Delta]:
        text = self._parser.close()
        return [Text(text)] if text else []

    def _end(self, finish: Finish) -> list[Delta]:
        deltas = [] if self._native else self._flush()
        calls = self._parser.calls
        deltas += [ToolCallReady(call, recovered=True) for call in calls]
        deltas.append(Finish("tool_calls") if calls and finish.reason == "stop" else finish)
        return deltas
