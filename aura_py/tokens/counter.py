"""Counting tokens, and stopping as soon as the question is answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

from aura_py.tokens import vocabulary

_PIECE = 32_768
"""Characters encoded at a time: small enough that no run of one character exhausts the pattern's stack."""


@dataclass(slots=True, frozen=True)
class TokenCounter:
    """Counts as one provider's model would. Cheap to make: the vocabulary is loaded by the first count that needs it.

    ``factor`` corrects for providers whose own vocabulary is not public.
    """

    encoding: str
    factor: Fraction = Fraction(1)

    def load(self) -> None:
        """Loads the vocabulary, which takes a moment; a thread may do it ahead."""
        vocabulary.encoding(self.encoding)

    def count(self, text: str) -> int:
        """Tokens of ``text``; 0 for nothing. Special tokens in the text count as what they are and never raise."""
        return self._scaled(sum(self._pieces(text)))

    def exceeds(self, text: str, limit: int) -> bool:
        """Whether ``text`` has more than ``limit`` tokens. Costs no more encoding than the answer needs."""
        most = len(text) if text.isascii() else 4 * len(text)
        if self._scaled(most) <= limit:
            return False
        return self.count_up_to(text, limit) > limit

    def count_up_to(self, text: str, limit: int) -> int:
        """The count if it is at most ``limit``, else some number above ``limit``."""
        if limit < 0:
            return 0
        if len(text) > (limit + 1) * vocabulary.LONGEST_TOKEN:
            return limit + 1
        raw = 0
        for tokens in self._pieces(text):
            raw += tokens
            if self._scaled(raw) > limit:
                return self._scaled(raw)
        return self._scaled(raw)

    def _scaled(self, raw: int) -> int:
        return raw if self.factor == 1 else ceil(raw * self.factor)

    def _pieces(self, text: str) -> Iterator[int]:
        if not text:
            return
        encode = vocabulary.encoding(self.encoding).encode
        start, length = 0, len(text)
        while start < length:
            end = _cut(text, start, length)
            yield len(encode(text[start:end], allowed_special="all"))
            start = end


def _cut(text: str, start: int, length: int) -> int:
    """Where to end a piece: before a lone space between words, where no token can straddle; else just anywhere."""
    end = start + _PIECE
    if end >= length:
        return length
    space = end
    floor = start + _PIECE // 2
    while (space := text.rfind(" ", floor, space)) != -1:
        if not text[space - 1].isspace() and not text[space + 1].isspace():
            return space
    return end


@lru_cache(maxsize=256)
def counter_for(provider: str, model: str) -> TokenCounter:
    """The counter for a provider's model, whoever serves it. Nothing is loaded yet."""
    if provider == "anthropic" or "claude" in model.lower():
        return TokenCounter("cl100k_base", Fraction(11, 10))
    return TokenCounter(_encoding_name(provider, model))


def _encoding_name(provider: str, model: str) -> str:
    if provider == "gemini":
        return vocabulary.SHIPPED
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return vocabulary.SHIPPED
