"""JSON of provider streams that a strict parser refuses, and characters that two chunks share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, ToolCallFragment, ToolCallReady
from aura_py.llm.json_text import join_surrogates

DONE = "[DONE]"
"""The mark that ends a stream of OpenAI's protocol, and of gateways whatever they speak."""

_decoder = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"\s*")


class LenientJson:
    """The slow way of reading one response; costs nothing until something strange comes.

    Servers cut text between the halves of a surrogate pair, write NaN or a raw line feed, put several objects into
    one event, or write ``[DONE]`` beside them.
    """

    __slots__ = ("_half", "_used")

    def __init__(self) -> None:
        self._used = False
        self._half: Text | Thinking | ToolCallFragment | None = None

    def values(self, payload: bytes) -> Iterator[Any]:
        """The JSON values in ``payload`` and ``[DONE]`` as a string, one after the other.

        Raises:
            ValueError: The rest is not JSON.
        """
        self._used = True
        text = payload.decode(errors="replace")
        at = _after_space(text, 0)
        while at < len(text):
            if text.startswith(DONE, at):
                value, at = DONE, at + len(DONE)
            else:
                try:
                    value, at = _decoder.raw_decode(text, at)
                except RecursionError:
                    raise ValueError("JSON that is nested too deeply") from None
            yield value
            at = _after_space(text, at)

    def joined(self, deltas: list[Delta]) -> list[Delta]:
        """``deltas`` without halves of characters: the first half waits for the second."""
        if not self._used:
            return deltas
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, Text | Thinking | ToolCallFragment):
                self._piece(delta, out)
            elif isinstance(delta, ToolCallReady):
                call = delta.call
                whole = replace(call, id=join_surrogates(call.id), name=join_surrogates(call.name))
                out.append(ToolCallReady(replace(whole, arguments=join_surrogates(call.arguments)), delta.recovered))
            elif isinstance(delta, ThinkingBlock):
                out.append(ThinkingBlock(replace(delta.reasoning, text=join_surrogates(delta.reasoning.text))))
            else:
                if isinstance(delta, Finish):
                    self._flush(out)
                out.append(delta)
        return out

    def _piece(self, delta: Text | Thinking | ToolCallFragment, out: list[Delta]) -> None:
        half = self._half
        if half is not None and _channel(half) != _channel(delta):
            self._flush(out)
            half = None
        text = _said(half) + _said(delta)
        self._half = None
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half = _saying(delta, text[-1])
            text = text[:-1]
        if text or isinstance(delta, ToolCallFragment):
            out.append(_saying(delta, join_surrogates(text)))

    def _flush(self, out: list[Delta]) -> None:
        half, self._half = self._half, None
        if half is not None:
            out.append(_saying(half, "\ufffd"))


def is_cut(text: str) -> bool:
    """Whether ``text`` is the beginning of a JSON value whose end is missing, and not something broken."""
    try:
        _decoder.decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    except RecursionError:
        return False
    return False


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _channel(delta: Text | Thinking | ToolCallFragment) -> object:
    return delta.position if isinstance(delta, ToolCallFragment) else type(delta)


def _said(delta: Text | Thinking | ToolCallFragment | None) -> str:
    if delta is None:
        return ""
    return delta.arguments if isinstance(delta, ToolCallFragment) else delta.text


def _saying(delta: Text | Thinking | ToolCallFragment, text: str) -> Text | Thinking | ToolCallFragment:
    return replace(delta, arguments=text) if isinstance(delta, ToolCallFragment) else replace(delta, text=text)
