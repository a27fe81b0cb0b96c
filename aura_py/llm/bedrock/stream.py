"""AWS's binary event stream, and the events of ``ConverseStream`` as deltas."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Any
from zlib import crc32

from aura_py.llm.assembler import ToolCallAssembler
from aura_py.llm.bedrock.body import PROVIDER
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, UsageReport
from aura_py.llm.finish_reasons import finish_reason
from aura_py.llm.json_text import at, text_at
from aura_py.llm.sse import PendingBytes
from aura_py.llm.usage_counts import UsageCounter, count
from aura_py.messages import Reasoning, Usage

_PRELUDE = Struct("!III")
_CHECKSUM = Struct("!I")
_SHORT = Struct("!H")
_MAX_MESSAGE = 24 * 1024 * 1024
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_KNOWN_HEADERS = 64


class _BadFrame(ValueError):
    """The bytes are not an event stream, or were damaged on the way."""


@dataclass(slots=True, frozen=True)
class Frame:
    """One message. ``failed`` messages report an exception named ``event``."""

    event: str
    payload: bytes
    failed: bool


class FrameReader:
    """Feed it bytes, get the messages that are now complete. Checks both checksums of each.

    ``damage`` says what is wrong with the bytes after the last message that was returned.
    """

    __slots__ = ("_known", "_needed", "_pending", "damage")

    def __init__(self) -> None:
        self._pending = PendingBytes()
        self._needed = _PRELUDE.size
        self.damage: str | None = None
        # A stream repeats a handful of header blocks byte for byte.
        self._known: dict[bytes, tuple[str, bool]] = {}

    def feed(self, chunk: bytes) -> list[Frame]:
        frames: list[Frame] = []
        self._pending.append(chunk)
        if self._pending.size < self._needed:
            return frames
        try:
            self._read(self._pending.take(), frames)
        except _BadFrame as error:
            self.damage = str(error)
        return frames

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


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)


class BedrockStream:
    """Holds what one response has said so far; ``done`` once the closing metadata came."""

    __slots__ = ("_calls", "_spoke", "_thoughts", "_tools", "_usage", "done", "stop")

    def __init__(self) -> None:
        self._thoughts: dict[Any, _Thought] = {}
        self._tools: set[Any] = set()
        self._calls = ToolCallAssembler()
        self._usage = UsageCounter()
        self._spoke = False
        self.stop: object = None
        self.done = False

    @property
    def empty(self) -> bool:
        """Nothing of an answer has come, not even a reason to stop."""
        return not self.stop and not self._spoke

    def take(self, event: str, body: dict[str, Any], out: list[Delta]) -> None:
        """Appends the deltas of one event. Wrong JSON raises what it makes of itself."""
        index = body.get("contentBlockIndex")
        if event == "contentBlockDelta":
            self._spoke = True
            self._grow(index, body["delta"], out)
        elif event == "contentBlockStart":
            start = at(at(body, "start"), "toolUse")
            # Tools that the service runs itself are its own affair.
            if start and start.get("type") != "server_tool_use":
                self._spoke = True
                self._tools.add(index)
                out.append(self._calls.add(index, text_at(start, "toolUseId"), text_at(start, "name"), ""))
        elif event == "contentBlockStop":
            self._close(index, out)
        elif event == "messageStop":
            self.stop = body.get("stopReason") or "end_turn"
        elif event == "metadata":
            self._usage.add(_usage(at(body, "usage")))
            if not self.empty:
                self.end(out)

    def end(self, out: list[Delta]) -> None:
        """The closing deltas; metadata that should have come first is forgone."""
        for index in list(self._thoughts):
            self._close(index, out)
        calls = self._calls.finish()
        out += calls
        if self._usage.total.total:
            out.append(UsageReport(self._usage.total))
        reason = finish_reason(self.stop)
        out.append(Finish("tool_calls" if calls and reason == "stop" else reason))
        self.done = True

    def _grow(self, index: Any, delta: dict[str, Any], out: list[Delta]) -> None:
        text = text_at(delta, "text")
        if text:
            out.append(Text(text))
            return
        if "toolUse" in delta:
            piece = text_at(delta["toolUse"], "input")
            if piece and index in self._tools:
                out.append(self._calls.add(index, None, None, piece))
        elif "reasoningContent" in delta:
            known = self._thoughts.setdefault(index, _Thought())
            thought = delta["reasoningContent"]
            text = text_at(thought, "text")
            if text:
                known.pieces.append(text)
                out.append(Thinking(text))
            known.signature.append(text_at(thought, "signature"))
            known.redacted.append(text_at(thought, "redactedContent"))

    def _close(self, index: Any, out: list[Delta]) -> None:
        self._tools.discard(index)
        thought = self._thoughts.pop(index, None)
        if thought is not None:
            opaque = {"signature": "".join(thought.signature), "redacted": "".join(thought.redacted)}
            kept = {key: value for key, value in opaque.items() if value}
            out.append(ThinkingBlock(Reasoning("".join(thought.pieces), PROVIDER, kept)))


def _usage(usage: dict[str, Any]) -> Usage:
    cached = count(usage, "cacheReadInputTokens")
    written = count(usage, "cacheWriteInputTokens")
    return Usage(
        # Bedrock counts cached tokens beside `inputTokens`, not in it.
        input=count(usage, "inputTokens") + cached + written,
        output=count(usage, "outputTokens"),
        cached=cached,
        cache_write=written,
    )
