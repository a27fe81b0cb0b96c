"""Chunks of a Chat Completions stream as deltas: one network read in, one list of deltas out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec
import orjson

from aura_py.errors import ProviderError
from aura_py.llm.assembler import ToolCallAssembler
from aura_py.llm.contract import Delta, Finish, Text, Thinking, UsageReport
from aura_py.llm.failures import Asked, is_context_overflow
from aura_py.llm.json_text import MALFORMED, to_json
from aura_py.messages import FinishReason, Usage

_Object: TypeAlias = dict[str, object]


class _PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: _PlainDelta
    finish_reason: None = None


class _PlainChunk(msgspec.Struct, gc=False):
    """A chunk that says nothing but text, as nearly all do; read in a third of the time that any chunk takes."""

    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None


_plain = msgspec.json.Decoder(_PlainChunk).decode

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "max_tokens": "length",
    "model_length": "length",
    "eos": "stop",
    "end_turn": "stop",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
}
"""OpenAI's words, and those of servers that speak its protocol; Google's come in capitals."""
_BROKEN = frozenset({"error", "abort", "network_error", "insufficient_system_resource", "malformed_function_call"})
"""The server gave up in the middle; what came before is not the whole answer."""

_STATUS = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "content_filter": 400, "invalid_prompt": 400}
"""HTTP statuses of codes that come inside a stream, where there is no other status."""


class ChatStream:
    """State of one response. :meth:`read` takes the payloads of one network read; :meth:`end` closes the stream."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._calls = ToolCallAssembler()
        self._finish: FinishReason | None = None
        self._refused = False
        self.done = False
        """``[DONE]`` was seen; whatever follows is not part of the answer."""
        self.failure: ProviderError | None = None
        """Why the stream is over; to be raised after the deltas that came before it."""

    def read(self, payloads: Iterable[bytes]) -> list[Delta]:
        """Stops at an ``error`` object and at a payload that is not JSON, and keeps the :attr:`failure`."""
        deltas: list[Delta] = []
        try:
            self._read(payloads, deltas)
        except ProviderError as failure:
            self.failure = failure
        except MALFORMED as error:
            # The JSON is not shaped like a chunk.
            self.failure = self._asked.garbage("", error)
        return deltas

    def _read(self, payloads: Iterable[bytes], deltas: list[Delta]) -> None:
        for payload in payloads:
            if payload == b"[DONE]":
                self.done = True
                break
            try:
                text = _plain(payload).choices[0].delta.content
            except msgspec.MsgspecError:
                self._any(payload, deltas)
            else:
                if text:
                    deltas.append(Text(text))

    def _any(self, payload: bytes, deltas: list[Delta]) -> None:
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            chunk = None
        if isinstance(chunk, dict):
            self._chunk(chunk, deltas)
        else:
            self._odd(payload, deltas)

    @property
    def finished(self) -> bool:
        """Whether the provider said that the answer is complete."""
        return self.done or self._finish is not None

    def end(self) -> list[Delta]:
        """The complete calls and the finish. A stream that stopped without either mark was cut off."""
        if not self.finished:
            raise self._asked.broken()
        deltas: list[Delta] = [*self._calls.finish()]
        reason = self._finish or "stop"
        if deltas and reason == "stop":
            reason = "tool_calls"
        elif self._refused and reason == "stop":
            reason = "content_filter"
        if reason == "tool_calls" and not deltas:
            reason = "stop"
        deltas.append(Finish(reason))
        return deltas

    def extra(self, delta: _Object, deltas: list[Delta]) -> None:
        """What a related dialect reads from a delta besides the common keys."""

    def _chunk(self, chunk: _Object, deltas: list[Delta]) -> None:
        if chunk.get("error"):
            raise self._error(chunk["error"])
        choices = chunk.get("choices")
        if choices:
            choice = choices[0]  # type: ignore[index]
            delta = choice.get("delta") or choice.get("message")
            if delta:
                thought = delta.get("reasoning_content") or delta.get("reasoning")
                if thought and isinstance(thought, str):
                    deltas.append(Thinking(thought))
                text = delta.get("content")
                if text:
                    if not isinstance(text, str):
                        text = _parts(text, deltas)
                    if text:
                        deltas.append(Text(text))
                calls = delta.get("tool_calls")
                if calls:
                    self._fragments(calls, deltas)
                refusal = delta.get("refusal")
                if refusal and isinstance(refusal, str):
                    self._refused = True
                    deltas.append(Text(refusal))
                self.extra(delta, deltas)
            reason = choice.get("finish_reason")
            if reason:
                self._reason(reason, choice)
        usage = chunk.get("usage")
        if usage:
            deltas.append(UsageReport(read_usage(usage)))  # type: ignore[arg-type]

    def _reason(self, reason: str, choice: _Object) -> None:
        # Google writes `content_filter: SAFETY` and `function_call_filter: MALFORMED_FUNCTION_CALL`.
        kind, _, cause = reason.lower().partition(": ")
        if kind in _BROKEN or cause in _BROKEN:
            raise self._error(choice.get("error") or f"the provider ended the answer with `{reason}`")
        self._finish = _FINISH.get(kind, "stop")

    def _fragments(self, calls: list[_Object], deltas: list[Delta]) -> None:
        for fragment in calls:
            function = fragment.get("function") or {}
            arguments = function.get("arguments")  # type: ignore[attr-defined]
            if arguments is None:
                arguments = ""
            elif not isinstance(arguments, str):
                arguments = to_json(arguments).decode()
            deltas.append(
                self._calls.add(
                    fragment.get("index"),  # type: ignore[arg-type]
                    fragment.get("id"),  # type: ignore[arg-type]
                    function.get("name"),  # type: ignore[attr-defined]
                    arguments,
                )
            )

    def _odd(self, payload: bytes, deltas: list[Delta]) -> None:
        """Some servers end events with one newline only, so that several objects share a payload."""
        lines = payload.split(b"\n")
        if len(lines) > 1:
            self._read(lines, deltas)
        elif payload.strip():
            raise self._asked.garbage(payload.decode(errors="replace"))

    def _error(self, error: object) -> ProviderError:
        body = error if isinstance(error, str) else to_json(error).decode()
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) else _STATUS.get(str(code))
        if status is None and isinstance(error, dict):
            status = next((error[key] for key in ("status", "status_code") if isinstance(error.get(key), int)), None)
        if status != 429 and is_context_overflow(body):
            return self._asked.overflow(body, status=status)
        return self._asked.status(status or 500, body)


def read_usage(usage: _Object) -> Usage:
    """OpenAI's usage object; absent counts are 0."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        input=_count(usage, "prompt_tokens"),
        output=_count(usage, "completion_tokens"),
        cached=_count(prompt, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens"),
        cache_write=_count(prompt, "cache_write_tokens"),
        reasoning=_count(completion, "reasoning_tokens"),
    )


def _count(table: object, key: str) -> int:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, int) else 0


def _parts(parts: object, deltas: list[Delta]) -> str:
    """The text of content that comes as a list of parts; thoughts among them, as Mistral sends them, become deltas."""
    texts = []
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        thoughts = part.get("thinking")
        if isinstance(thoughts, list):
            thought = _parts(thoughts, [])
            if thought:
                deltas.append(Thinking(thought))
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
    return "".join(texts)
