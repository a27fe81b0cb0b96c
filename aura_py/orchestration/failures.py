"""Why a task or a planning call failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Literal

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    InactivityTimeout,
    ProviderAuthError,
    ProviderError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderUnreachable,
    RunError,
    RunTimeout,
)

FailureCategory = Literal[
    "agent_timeout",
    "context_overflow",
    "depth_exhausted",
    "loop_detected",
    "soft_failure",
    "provider_overloaded",
    "provider_auth_error",
    "provider_not_found",
    "dependency_failed",
    "agent_error",
]

TRANSIENT_FAILURES: frozenset[FailureCategory] = frozenset({"agent_timeout", "provider_overloaded"})
"""A planning call is worth repeating after these."""

PROVIDER_FAILURES: frozenset[FailureCategory] = frozenset(
    {"provider_overloaded", "provider_auth_error", "provider_not_found"}
)
"""Nothing a new plan could mend."""

MAX_PAUSE = 60.0
"""A provider that asks for more is not waited for."""


class AttemptTimeout(RunTimeout):
    """A coordinator call or a worker attempt took longer than ``per_call_timeout_secs``."""


class TurnLimitError(RunError):
    """The turns ran out before a decision or a result."""

    failure = "turn_limit"


class WorkerUnavailable(RunError):
    """A worker cannot be built; nothing was asked of a model."""


_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], FailureCategory], ...] = (
    ((RunTimeout, TimeoutError), "agent_timeout"),
    ((ContextOverflow,), "context_overflow"),
    ((TurnLimitError,), "depth_exhausted"),
    ((ProviderOverloaded, ProviderUnreachable), "provider_overloaded"),
    ((ProviderAuthError,), "provider_auth_error"),
    ((ProviderNotFound,), "provider_not_found"),
)
_BY_STATUS: dict[int, FailureCategory] = {
    429: "provider_overloaded",
    401: "provider_auth_error",
    403: "provider_auth_error",
    404: "provider_not_found",
}
_TEXTS: tuple[tuple[FailureCategory, re.Pattern[str]], ...] = (
    ("depth_exhausted", re.compile(r"maxdeptherror|reached limit")),
    ("loop_detected", re.compile(r"duplicate call loop")),
    ("soft_failure", re.compile(r"did not call submit_result")),
    ("provider_overloaded", re.compile(r"\b(?:429|502|503)\b|rate limit|too many requests|service unavailable")),
    ("provider_auth_error", re.compile(r"\b(?:401|403)\b|authentication|unauthorized|api key")),
    ("provider_not_found", re.compile(r"\b404\b|model identifier is invalid|is not found for api version")),
)
_OVERFLOW_PHRASES = (
    "maximum context",
    "token limit",
    "tokens exceeded",
    "maximum number of tokens",
    "too…long…token",
    "string_above_max_length",
    "string…too long",
    "prompt is too long",
    "input is too long",
)
"""Any text may stand in place of ``…``. Not regular expressions, which would take quadratic time for these."""


def failure_category(error: BaseException) -> FailureCategory:
    """The category by the error's type and status; only a provider's body without a status is read as text."""
    for types, category in _BY_TYPE:
        if isinstance(error, types):
            return category
    if not isinstance(error, ProviderError):
        return "agent_error"
    status = error.provider_status
    if status is None:
        return category_of_text(f"{error.message} {error.detail or ''}")
    return "provider_overloaded" if status >= 500 else _BY_STATUS.get(status, "agent_error")


def category_of_text(text: str) -> FailureCategory:
    """The category that the words of ``text`` stand for; the more telling words are looked for first."""
    lowered = text.lower()
    if "no stream progress for" in lowered or "timed out" in lowered:
        return "agent_timeout"
    if _is_overflow(lowered):
        return "context_overflow"
    return next((category for category, pattern in _TEXTS if pattern.search(lowered)), "agent_error")


def _is_overflow(text: str) -> bool:
    if "context" in text and any(word in text for word in ("limit", "overflow", "exceed", "length")):
        return True
    return any(_in_order(text, phrase.split("…")) for phrase in _OVERFLOW_PHRASES)


def _in_order(text: str, words: Sequence[str]) -> bool:
    at = 0
    for word in words:
        found = text.find(word, at)
        if found < 0:
            return False
        at = found + len(word)
    return True


def pause_before_retry(error: BaseException, failed: int, left: float | None, random: Random) -> float | None:
    """Seconds to wait before another try, after ``failed`` of them: what the provider asked for, else 1, 2, 4, 8.

    ``None`` when it would be too long: for a person who waits, or for the seconds that are ``left``.
    """
    wish = error.retry_after if isinstance(error, ProviderError) else None
    pause = min(8.0, 2.0 ** (failed - 1)) * (0.75 + random.random() / 2) if wish is None else wish
    return None if pause > MAX_PAUSE or (left is not None and pause >= left) else pause


def is_stall(error: BaseException) -> bool:
    """The model fell silent, as opposed to an attempt that used up its time."""
    return isinstance(error, InactivityTimeout)


def error_summary(error: BaseException) -> str:
    """What a person may read about ``error``: never a provider's raw words."""
    return error.message if isinstance(error, AuraError) else f"internal error ({type(error).__name__})"
