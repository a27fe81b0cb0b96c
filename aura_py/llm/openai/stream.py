"""Chunks of a Chat Completions stream as deltas: one network read in, one list of deltas out."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from aura_py.llm.contract import Delta, Text, Thinking
from aura_py.llm.finish_reasons import finish_reason
from aura_py.llm.json_text import object_at, text_at, to_json
from aura_py.llm.provider_errors import ProviderErrors
from aura_py.llm.sse import SseReader
from aura_py.llm.stream_errors import stated_error
from aura_py.llm.stream_reader import StreamReader
from aura_py.llm.usage_counts import count
from aura_py.messages import Json, Usage

_Object: TypeAlias = dict[str, object]
_REASONING_KEYS = ("reasoning_content", "reasoning")
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


class ChatStream(StreamReader):
    """Reads server-sent chunks, or one JSON object, which some servers send although a stream was asked for."""

    ends_with_done = True

    def __init__(self, errors: ProviderErrors) -> None:
        super().__init__(errors, SseReader())
        self._refused = False

    def take_record(self, record: bytes, out: list[Delta]) -> None:
        try:
            text = _plain(record).choices[0].delta.content
        except (msgspec.MsgspecError, UnicodeDecodeError):
            if record == b"[DONE]":
                self.complete(out)
            else:
                super().take_record(record, out)
        else:
            if text:
                out.append(Text(text))

    def complete(self, out: list[Delta]) -> None:
        if self._refused and not self.calls and finish_reason(self.stop) == "stop":
            self.stop = "content_filter"
        super().complete(out)

    def take_reasoning(self, delta: _Object, out: list[Delta]) -> None:
        """Append the reasoning of a delta. Servers beside OpenAI's own want it back under the key it came in."""
        for key in _REASONING_KEYS:
            thought = text_at(delta, key)
            if thought:
                self.think(thought, out, block=key)
                return

    def opaque(self, block: object, marks: dict[str, Json]) -> dict[str, Json] | None:
        return {"key": str(block)}

    def take(self, event: _Object, out: list[Delta]) -> None:
        choices = event.get("choices")
        error = event.get("error") or (None if choices or event.get("usage") else stated_error(event))
        if error:
            raise self.error(error)
        choice = _first_choice(choices)
        if choice is not None:
            delta, whole = choice.get("delta"), choice.get("message")
            if isinstance(delta, dict):
                self._delta(delta, out)
            if isinstance(whole, dict) and not self.has_spoken(out):
                # Some servers repeat the whole answer in the end.
                self._delta(whole, out)
            if choice.get("error"):
                raise self.error(choice["error"])
            if choice.get("finish_reason"):
                self.stopped(choice["finish_reason"])
        usage = event.get("usage") or object_at(event, "x_groq").get("usage") or (choice or {}).get("usage")
        if isinstance(usage, dict):
            self.report(read_usage(usage), out)

    def _delta(self, delta: _Object, deltas: list[Delta]) -> None:
        self.take_reasoning(delta, deltas)
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
                self.calls.add(
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
        return {"extras": extras, "origin": self.errors.place} if extras else None  # type: ignore[dict-item]


def read_usage(usage: _Object) -> Usage:
    """OpenAI's usage object, or one that looks like it; absent counts are 0."""
    prompt = object_at(usage, "prompt_tokens_details") or object_at(usage, "input_tokens_details")
    completion = object_at(usage, "completion_tokens_details") or object_at(usage, "output_tokens_details")
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
