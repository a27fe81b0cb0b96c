"""A model whose text may hold calls; they become ordinary proposed calls, which go through the runner like any."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aura_py.errors import ProviderError
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
from aura_py.llm.text_calls.parser import TextCallParser


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
