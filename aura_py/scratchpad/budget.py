"""What an agent may still read back into its context."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from threading import Lock
from typing import Literal

from aura_py.messages import Usage

Refusal = Literal["per_call", "budget"]
_WIDEST_MARGIN = Fraction(95, 100)


class Budget:
    """Tokens of one agent's (or one worker attempt's) context window. Safe to use from threads.

    ``usable`` is the window less the margin; ``used`` starts at ``baseline`` and never goes above what the model
    itself reports plus what was admitted here; ``remaining`` is never negative. ``intercepted`` and ``extracted`` are
    for reports only.
    """

    def __init__(self, *, context_window: int, margin: float, per_call: int, baseline: int = 0) -> None:
        share = min(max(Fraction(str(margin)), Fraction(0)), _WIDEST_MARGIN)
        self.usable = floor(context_window * (1 - share))
        self.baseline = baseline
        self.per_call = per_call
        self.used = baseline
        self._inline = 0
        self.intercepted = 0
        self.extracted = 0
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        return max(0, self.usable - self.used)

    @property
    def room(self) -> int:
        """``remaining`` less what tool outputs have put inline since the model last reported its usage."""
        return max(0, self.usable - self.used - self._inline)

    def add_baseline(self, tokens: int) -> None:
        """Adds what every model call sends beyond what the budget was made with."""
        with self._lock:
            self.baseline += tokens
            self.used += tokens

    def seed(self, tokens: int) -> None:
        """Adds what is sent before the first turn: the query and the history, or a worker's task prompt."""
        with self._lock:
            self.used += max(0, tokens)

    def observe_turn(self, usage: Usage) -> None:
        """Takes the model's own word for the size of the conversation. Never lowers ``used``."""
        with self._lock:
            self.used = max(self.used, usage.input + usage.output)
            if usage.total:
                self._inline = 0

    def refusal(self, tokens: int) -> Refusal | None:
        """Why a result of this size would not be admitted now; nothing is charged."""
        if tokens > self.per_call:
            return "per_call"
        return "budget" if self.used + tokens > self.usable else None

    def check_and_charge(self, tokens: int) -> Refusal | None:
        """Admits an exploration result and charges it, or says why not. Atomic; an exact fit is admitted."""
        with self._lock:
            refusal = self.refusal(tokens)
            if refusal is None:
                self.used += tokens
                self.extracted += tokens
            return refusal

    def charge_error(self, tokens: int) -> None:
        """Error texts reach the model whether they fit or not; ``used`` stops at ``usable``."""
        with self._lock:
            self.used = max(self.used, min(self.usable, self.used + tokens))

    def admit_inline(self, tokens: int) -> bool:
        """Whether an output may go to the model unparked. It counts until the model reports it with its next turn."""
        with self._lock:
            if tokens > self.room:
                return False
            self._inline += tokens
            return True

    def note_intercepted(self, tokens: int) -> None:
        with self._lock:
            self.intercepted += tokens

    def window_hint(self) -> str:
        used, remaining = self.used, self.remaining
        since = max(0, used - self.baseline)
        return (
            f"~{remaining} tokens remaining (~{used} used: {self.baseline} baseline + {since} since, "
            f"of ~{self.usable} usable)"
        )
