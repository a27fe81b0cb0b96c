"""AWS's binary event stream, and the events of ``ConverseStream`` as deltas."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Any
from zlib import crc32

from aura_py.llm.bedrock_body import PROVIDER
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
from aura_py.llm.sse import PendingBytes
from aura_py.messages import FinishReason, Reasoning, ToolCall, Usage

_PRELUDE = Struct("!III")
_CHECKSUM = Struct("!I")
_SHORT = Struct("!H")
_MAX_MESSAGE = 24 * 1024 * 1024
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_KNOWN_HEADERS = 64

_STOPS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
MISFIRES = frozenset({"malformed_model_output", "malformed_tool_use"})


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
class _Call:
    position: int
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)
    signature: str = ""
    redacted: str = ""


class BedrockStream:
    """Holds what one response has said so far; ``done`` once the closing metadata came."""

    __slots__ = ("_calls", "_open", "done", "stop")

    def __init__(self) -> None:
        self._open: dict[int, _Call | _Thought] = {}
        self._calls = 0
        self.stop: str | None = None
        self.done = False

    def take(self, event: str, body: dict[str, Any], out: list[Delta]) -> None:
        """Appends the deltas of one event.

        Raises:
            KeyError, TypeError, AttributeError: The event is not of this protocol.
        """
        if event == "contentBlockDelta":
            self._grow(body["contentBlockIndex"], body["delta"], out)
        elif event == "contentBlockStart":
            start = body["start"].get("toolUse")
            # Tools that the service runs itself are its own affair.
            if start and start.get("type") != "server_tool_use":
                call = _Call(self._calls, start["toolUseId"], start["name"])
                self._calls += 1
                self._open[body["contentBlockIndex"]] = call
                out.append(ToolCallFragment(call.position, call.id, call.name, ""))
        elif event == "contentBlockStop":
            self._close(body["contentBlockIndex"], out)
        elif event == "messageStop":
            self.stop = body["stopReason"]
        elif event == "metadata":
            out.append(UsageReport(_usage(body["usage"])))
            self.end(out)

    def end(self, out: list[Delta]) -> None:
        """The closing delta; the metadata that should have come first is forgone."""
        reason = _STOPS.get(self.stop or "", "stop")
        out.append(Finish("tool_calls" if self._calls and reason == "stop" else reason))
        self.done = True

    def _grow(self, index: int, delta: dict[str, Any], out: list[Delta]) -> None:
        text = delta.get("text")
        if text:
            out.append(Text(text))
            return
        block = self._open.get(index)
        if "toolUse" in delta:
            piece = delta["toolUse"]["input"]
            if piece and isinstance(block, _Call):
                block.pieces.append(piece)
                out.append(ToolCallFragment(block.position, block.id, block.name, piece))
        elif "reasoningContent" in delta:
            if not isinstance(block, _Thought):
                block = self._open[index] = _Thought()
            thought = delta["reasoningContent"]
            if thought.get("text"):
                block.pieces.append(thought["text"])
                out.append(Thinking(thought["text"]))
            block.signature += thought.get("signature") or ""
            block.redacted += thought.get("redactedContent") or ""

    def _close(self, index: int, out: list[Delta]) -> None:
        block = self._open.pop(index, None)
        if isinstance(block, _Call):
            out.append(ToolCallReady(ToolCall(block.id, block.name, "".join(block.pieces) or "{}")))
        elif isinstance(block, _Thought):
            opaque = {"signature": block.signature, "redacted": block.redacted}
            kept = {key: value for key, value in opaque.items() if value}
            out.append(ThinkingBlock(Reasoning("".join(block.pieces), PROVIDER, kept)))


def _usage(usage: dict[str, Any]) -> Usage:
    cached = usage.get("cacheReadInputTokens") or 0
    written = usage.get("cacheWriteInputTokens") or 0
    return Usage(
        # Bedrock counts cached tokens beside `inputTokens`, not in it.
        input=usage["inputTokens"] + cached + written,
        output=usage["outputTokens"],
        cached=cached,
        cache_write=written,
    )
