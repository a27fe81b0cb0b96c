"""What the readers of all provider streams share: bytes in, deltas out, and how an answer ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from aura_py.errors import ProviderError
from aura_py.llm.assembler import ToolCallAssembler
from aura_py.llm.contract import (
    Delta,
    Finish,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCallFragment,
    ToolCallReady,
    UsageReport,
)
from aura_py.llm.finish_reasons import finish_reason, is_failure
from aura_py.llm.json_text import MALFORMED
from aura_py.llm.lenient_json import DONE, LenientJson
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.records import RecordReader
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.usage_counts import UsageCounter
from aura_py.messages import Json, Reasoning, ToolCall, Usage


@dataclass(slots=True)
class _Thought:
    """One block of reasoning while it arrives; the provider's own marks in pieces, like its text."""

    pieces: list[str] = field(default_factory=list)
    marks: dict[str, list[str]] = field(default_factory=dict)


class StreamReader(ABC):
    """Reads one response. After each call the caller yields the deltas, then raises ``failure`` if there is one.

    A dialect reads one JSON value at a time in :meth:`take` and calls :meth:`complete` when the provider says that
    nothing more will come. ``done`` is set from then on.
    """

    ends_with_done = False
    """Whether ``[DONE]`` ends the answer; gateways append it to streams of any protocol."""

    def __init__(self, errors: ProviderErrors, records: RecordReader) -> None:
        self.errors = errors
        self.records = records
        self.failure: ProviderError | None = None
        self.done = False
        self.stop: object = None
        """The provider's word for why the answer ended, as soon as it is known."""
        self.calls = ToolCallAssembler()
        self._whole_calls = 0
        self._usage = UsageCounter()
        self._thoughts: dict[object, _Thought] = {}
        self._spoke = False
        self._json = LenientJson()

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas of one network read."""
        deltas = self._read(self.records.feed(chunk))
        if self.records.damage is not None and self.failure is None and not self.done:
            self.failure = (
                self.foreign(self.records.junk) if self.records.junk else self.errors.malformed(self.records.damage)
            )
        return deltas

    def end(self) -> list[Delta]:
        """The last deltas, when the body has ended."""
        deltas = self._read(self.records.close())
        if self.failure is None and not self.done:
            last: list[Delta] = []
            try:
                if self.records.junk and self.stop is None:
                    raise self.foreign(self.records.junk)
                self.finish(last)
            except ProviderError as error:
                self.failure = error
            deltas += self._json.joined(last)
        return deltas

    # --- what a dialect adds -----------------------------------------------------------------------------------------

    @abstractmethod
    def take(self, event: Any, out: list[Delta]) -> None:
        """Append the deltas of one JSON value. Raises :class:`ProviderError`, or what wrong JSON makes of itself."""

    def take_record(self, record: Any, out: list[Delta]) -> None:
        """Append the deltas of one record: one JSON value as a rule, but servers put several into one."""
        for value in self.values(record):
            if isinstance(value, list):
                # Google wraps its errors so.
                for each in value:
                    self.take(each, out)
            elif value != DONE:
                self.take(value, out)
            elif self.ends_with_done:
                self.complete(out)
            if self.done:
                break

    def finish(self, out: list[Delta]) -> None:
        """The body ended before the provider said that it would. Raises :class:`ProviderError` if that is no end."""
        if not self.stop:
            raise self.errors.broken()
        self.complete(out)

    def foreign(self, junk: bytes) -> ProviderError:
        """What a body that is no stream means: one object with an error, or something of another service."""
        try:
            error = stated_error(orjson.loads(junk))
        except MALFORMED:
            error = None
        return self.error(error) if error else self.errors.malformed(junk.decode(errors="replace"))

    def error(self, stated: object) -> ProviderError:
        """The error for what the stream says went wrong."""
        return stream_error(self.errors, stated)

    def opaque(self, block: object, marks: dict[str, Json]) -> dict[str, Json] | None:
        """What goes back to the provider with a block of reasoning; ``None`` if the block does not go back."""
        return marks

    # --- what dialects call ------------------------------------------------------------------------------------------

    def values(self, payload: bytes) -> Iterable[Any]:
        """The JSON values of a record, read leniently where a strict parser refuses them."""
        try:
            return (orjson.loads(payload),)
        except orjson.JSONDecodeError:
            return self._json.values(payload)

    def has_spoken(self, out: list[Delta]) -> bool:
        """Whether anything of an answer has come, ``out`` included."""
        return self._spoke or any(isinstance(delta, Text | Thinking | ToolCallFragment) for delta in out)

    def say(self, text: str, out: list[Delta]) -> None:
        """Append text of the answer; empty text is nothing."""
        if text:
            out.append(Text(text))

    def think(self, text: str, out: list[Delta], block: object = None, **marks: str) -> None:
        """Append reasoning of a block. ``marks`` are what the provider wants back with it, such as a signature."""
        thought = self._thoughts.get(block)
        if thought is None:
            thought = self._thoughts[block] = _Thought()
        if text:
            thought.pieces.append(text)
            out.append(Thinking(text))
        for name, piece in marks.items():
            if piece:
                thought.marks.setdefault(name, []).append(piece)

    def close_thought(self, out: list[Delta], block: object = None) -> None:
        """The block of reasoning is complete."""
        thought = self._thoughts.pop(block, None)
        if thought is not None:
            marks: dict[str, Json] = {name: "".join(pieces) for name, pieces in thought.marks.items()}
            opaque = self.opaque(block, marks)
            if opaque is not None:
                out.append(ThinkingBlock(Reasoning("".join(thought.pieces), self.errors.provider, opaque)))

    def add_whole_call(self, call: ToolCall, out: list[Delta]) -> None:
        """Append a call that came in one piece."""
        out.append(ToolCallFragment(self._whole_calls, call.id, call.name, call.arguments))
        out.append(ToolCallReady(call))
        self._whole_calls += 1

    def report(self, usage: Usage, out: list[Delta]) -> None:
        """Append the usage if it says more than was known."""
        if self._usage.add(usage):
            out.append(UsageReport(self._usage.total))

    def stopped(self, word: object, why: object = "") -> None:
        """Remember the provider's word for why the answer ended.

        Raises:
            ProviderError: The word says that the model failed to form an answer; asking again usually helps.
        """
        if is_failure(word):
            raise self.error(f"the provider ended the answer with `{word}` {why or ''}".rstrip())
        self.stop = word

    def complete(self, out: list[Delta]) -> None:
        """Append what ends an answer: open reasoning, the calls, the reason.

        Raises:
            ProviderError: There is nothing of an answer, not even a reason.
        """
        if not self.stop and not self.has_spoken(out):
            raise self.errors.empty()
        for block in list(self._thoughts):
            self.close_thought(out, block)
        calls = self.calls.finish()
        out += calls
        called = bool(calls or self._whole_calls)
        reason = finish_reason(self.stop)
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if called else "stop"
        out.append(Finish(reason))
        self.done = True

    def _read(self, records: Iterable[Any]) -> list[Delta]:
        deltas: list[Delta] = []
        try:
            for record in records:
                self.take_record(record, deltas)
                if self.done:
                    break
        except ProviderError as error:
            self.failure = error
        except MALFORMED as error:
            # JSON that is none, or not shaped like this provider's.
            text = record.decode(errors="replace") if isinstance(record, bytes) else ""
            self.failure = self.errors.malformed(text, error)
        if not self._spoke:
            self._spoke = self.has_spoken(deltas)
        return self._json.joined(deltas)
