"""Counting with what the provider itself reports as the measure.

A provider's own vocabulary may be unknown, and then our count is an estimate. The first call of a conversation, and
from then on what each further call has sent beyond the one before, tell by how much the estimate falls short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from threading import Lock

from aura_py.messages import ImagePart, Message, Usage
from aura_py.scratchpad.results import Counter

_LEAST_TOKENS = 500
_PLAUSIBLE = (Fraction(1, 2), Fraction(3))
_LARGEST_FACTOR = Fraction(2)


@dataclass(slots=True, frozen=True)
class _Observation:
    """What one model call reported to have read, and what was sent that no call before it had."""

    grown: int
    texts: tuple[str, ...]
    prompt: int


class Calibration:
    """A counter that follows the reports. It never counts less than the plain one, nor more than twice as much.

    ``observe`` is cheap; the counting is left to ``settle``, which belongs into a thread.
    """

    def __init__(self, plain: Counter) -> None:
        self._plain = plain
        self._pending: list[_Observation] = []
        self._lock = Lock()
        self._messages = 0
        self._reported = 0
        self._first: Fraction | None = None
        self._grown = 0
        self._counted = 0
        self._factor = Fraction(1)

    @property
    def factor(self) -> Fraction:
        """By how much the provider counts more than the vocabulary."""
        return self._factor

    def observe(self, usage: Usage, sent: Sequence[Message], *, prompt: int) -> None:
        """Takes a report.

        Args:
            usage: What the provider said; estimates of our own teach nothing.
            sent: The conversation as it was sent, without the system prompt.
            prompt: Tokens of the system prompt and the tools, by the plain count.
        """
        fresh, grown = sent[self._messages :], usage.input - self._reported
        is_first = not self._messages
        if usage.estimated or not usage.input:
            return
        self._messages, self._reported = len(sent), usage.input
        # Images, and thinking that may or may not be sent back, cannot be counted.
        if any(message.reasoning or any(isinstance(part, ImagePart) for part in message.content) for message in fresh):
            return
        texts = [message.text for message in fresh]
        texts += [f"{call.name} {call.arguments}" for message in fresh for call in message.tool_calls]
        with self._lock:
            self._pending.append(_Observation(grown, tuple(texts), prompt if is_first else 0))

    def settle(self) -> None:
        """Works the reports in."""
        with self._lock:
            pending, self._pending = self._pending, []
            for seen in pending:
                counted = seen.prompt + sum(self._plain.count(text) for text in seen.texts)
                if counted < _LEAST_TOKENS or not _PLAUSIBLE[0] <= Fraction(seen.grown, counted) <= _PLAUSIBLE[1]:
                    continue
                if seen.prompt:
                    self._first = Fraction(seen.grown, counted)
                else:
                    self._grown += seen.grown
                    self._counted += counted
            # Later calls grow by tool results alone; the first also holds prompts and schemas in a form of their own.
            measured = Fraction(self._grown, self._counted) if self._counted else self._first
            if measured is not None:
                self._factor = min(max(measured, Fraction(1)), _LARGEST_FACTOR)

    def count(self, text: str) -> int:
        return self._scaled(self._plain.count(text))

    def exceeds(self, text: str, limit: int) -> bool:
        return self._plain.exceeds(text, self._unscaled(limit))

    def count_up_to(self, text: str, limit: int) -> int:
        return self._scaled(self._plain.count_up_to(text, self._unscaled(limit)))

    def _scaled(self, tokens: int) -> int:
        return tokens if self._factor == 1 else ceil(tokens * self._factor)

    def _unscaled(self, limit: int) -> int:
        """The most plain tokens that are within ``limit``."""
        return limit if self._factor == 1 else int(limit / self._factor)
