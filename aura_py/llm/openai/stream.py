"""Chunks of a Chat Completions stream as deltas: one network read in, one list of deltas out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec
import orjson

from aura_py.errors import ProviderError
from aura_py.llm.assembler import ToolCallAssembler
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ToolCallFragment, UsageReport
from aura_py.llm.finish_reasons import finish_reason, is_failure
from aura_py.llm.json_text import MALFORMED, at, to_json
from aura_py.llm.lenient_json import DONE, LenientJson
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.stream_errors import stated_error, stream_error
from aura_py.llm.usage_counts import UsageCounter, count
from aura_py.messages import FinishReason, Json, Usage

_Object: TypeAlias = dict[str, object]
_CALL_KEYS = frozenset({"index", "id", "type", "function", "name", "arguments"})


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
    index: Literal[0] | None = None
    finish_reason: None = None
    message: None = None
    error: None = None


class _PlainChunk(msgspec.Struct, gc=False):
    """A chunk that says nothing but text, as nearly all do; read in a third of the time that any chunk takes."""

    choices: tuple[_PlainChoice]
    usage: None = None
    x_groq: None = None
    error: None = None


_plain = msgspec.json.Decoder(_PlainChunk).decode


class ChatStream:
    """State of one response. :meth:`read` takes the payloads of one network read; :meth:`end` closes the stream."""

    def __init__(self, errors: ProviderErrors) -> None:
        self._errors = errors
        self._json = LenientJson()
        self._calls = ToolCallAssembler()
        self._usage = UsageCounter()
        self._finish: FinishReason | None = None
        self._refused = False
        self._streamed = False
        self.done = False
        """``[DONE]`` was seen; whatever follows is not part of the answer."""
        self.failure: ProviderError | None = None
        """Why the stream is over; to be raised after the deltas that came before it."""

    def read(self, payloads: Iterable[bytes]) -> list[Delta]:
        """Stops at an error object and at a payload that is not JSON, and keeps the :attr:`failure`."""
        deltas: list[Delta] = []
        try:
            self._read(payloads, deltas)
        except ProviderError as failure:
            self.failure = failure
        except MALFORMED as error:
            # The JSON is not shaped like a chunk.
            self.failure = self._errors.garbage("", error)
        self._streamed = self._streamed or _is_content(deltas)
        return self._json.joined(deltas)

    def _read(self, payloads: Iterable[bytes], deltas: list[Delta]) -> None:
        for payload in payloads:
            if payload == b"[DONE]":
                self.done = True
                break
            try:
                text = _plain(payload).choices[0].delta.content
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._any(payload, deltas)
                if self.done:
                    break
            else:
                if text:
                    deltas.append(Text(text))

    def _any(self, payload: bytes, deltas: list[Delta]) -> None:
        try:
            self._value(orjson.loads(payload), deltas)
        except orjson.JSONDecodeError:
            try:
                for value in self._json.values(payload):
                    self._value(value, deltas)
                    if self.done:
                        break
            except ValueError as error:
                raise self._errors.garbage(payload.decode(errors="replace"), error) from error

    def _value(self, value: object, deltas: list[Delta]) -> None:
        if isinstance(value, dict):
            self._chunk(value, deltas)
        elif value == DONE:
            self.done = True
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            # Google wraps its errors so.
            for each in value:
                self._chunk(each, deltas)
        else:
            raise self._errors.garbage(to_json(value).decode())

    @property
    def finished(self) -> bool:
        """Whether the provider said that the answer is complete."""
        return self.done or self._finish is not None

    def end(self) -> list[Delta]:
        """The complete calls and the finish.

        Raises:
            ProviderError: The stream stopped without either mark, or without ever having had a choice.
        """
        if not self.finished:
            raise self._errors.broken()
        if self._finish is None and not self._streamed:
            raise self._errors.empty()
        deltas: list[Delta] = [*self._calls.finish()]
        reason = self._finish or "stop"
        if deltas and reason == "stop":
            reason = "tool_calls"
        elif self._refused and reason == "stop":
            reason = "content_filter"
        if reason == "tool_calls" and not deltas:
            reason = "stop"
        deltas.append(Finish(reason))
        return self._json.joined(deltas)

    def extra(self, delta: _Object, deltas: list[Delta]) -> None:
        """What a related dialect reads from a delta besides the common keys."""

    def _chunk(self, chunk: _Object, deltas: list[Delta]) -> None:
        choices = chunk.get("choices")
        error = chunk.get("error") or (None if choices or chunk.get("usage") else stated_error(chunk))
        if error:
            raise stream_error(self._errors, error)
        choice = _first_choice(choices)
        if choice is not None:
            delta, whole = choice.get("delta"), choice.get("message")
            if isinstance(delta, dict):
                self._delta(delta, deltas)
            if isinstance(whole, dict) and not self._streamed and not _is_content(deltas):
                # Some servers repeat the whole answer in the end.
                self._delta(whole, deltas)
            if choice.get("error"):
                raise stream_error(self._errors, choice["error"])
            reason = choice.get("finish_reason")
            if is_failure(reason):
                raise stream_error(self._errors, f"the provider ended the answer with `{reason}`")
            if reason:
                self._finish = finish_reason(reason)
        usage = chunk.get("usage") or at(chunk, "x_groq").get("usage") or (choice or {}).get("usage")
        if isinstance(usage, dict) and self._usage.add(read_usage(usage)):
            deltas.append(UsageReport(self._usage.total))

    def _delta(self, delta: _Object, deltas: list[Delta]) -> None:
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
        if not calls and isinstance(delta.get("function_call"), dict):
            calls = [{"function": delta["function_call"]}]
        if isinstance(calls, list):
            self._fragments(calls, deltas)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._refused = True
            deltas.append(Text(refusal))
        self.extra(delta, deltas)

    def _fragments(self, calls: list[object], deltas: list[Delta]) -> None:
        same_chunk = False
        for fragment in calls:
            if not isinstance(fragment, dict):
                continue
            function = fragment.get("function")
            if not isinstance(function, dict):
                function = fragment
            arguments = function.get("arguments")
            if arguments is None:
                arguments = ""
            elif not isinstance(arguments, str):
                arguments = to_json(arguments).decode()
            index, id_, name = fragment.get("index"), fragment.get("id"), function.get("name")
            deltas.append(
                self._calls.add(
                    index if isinstance(index, int) else None,
                    str(id_) if id_ else None,
                    name if isinstance(name, str) else None,
                    arguments,
                    self._opaque(fragment),
                    same_chunk=same_chunk,
                )
            )
            same_chunk = True

    def _opaque(self, fragment: _Object) -> dict[str, Json] | None:
        """What a server adds to a call of its own accord, such as Google's thought signatures, and wants back."""
        if fragment.keys() <= _CALL_KEYS:
            return None
        extras = {key: value for key, value in fragment.items() if key not in _CALL_KEYS and value is not None}
        return {"extras": extras, "origin": self._errors.place} if extras else None  # type: ignore[dict-item]


def read_usage(usage: _Object) -> Usage:
    """OpenAI's usage object, or one that looks like it; absent counts are 0."""
    prompt = at(usage, "prompt_tokens_details") or at(usage, "input_tokens_details")
    completion = at(usage, "completion_tokens_details") or at(usage, "output_tokens_details")
    return Usage(
        input=count(usage, "prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "prompt_eval_count"),
        output=count(usage, "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "eval_count"),
        cached=count(prompt, "cached_tokens") or count(usage, "prompt_cache_hit_tokens", "cached_tokens"),
        cache_write=count(prompt, "cache_write_tokens"),
        reasoning=count(completion, "reasoning_tokens"),
    )


def _first_choice(choices: object) -> _Object | None:
    """The choice that is the answer: others may come beside or between, when a file asks for several."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return None


def _is_content(deltas: list[Delta]) -> bool:
    return any(isinstance(delta, Text | Thinking | ToolCallFragment) for delta in deltas)


def _parts(parts: object, deltas: list[Delta]) -> str:
    """The text of content that comes as a list of parts; thoughts among them, as Mistral sends them, become deltas."""
    texts = []
    for part in parts if isinstance(parts, list) else (parts,):
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
