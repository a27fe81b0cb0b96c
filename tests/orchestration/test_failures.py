from __future__ import annotations

from random import Random

import pytest

from aura_py import errors
from aura_py.orchestration.failures import (
    AttemptTimeout,
    FailureCategory,
    TurnLimitError,
    category_of_text,
    error_summary,
    failure_category,
    pause_before_retry,
)


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (AttemptTimeout("x"), "agent_timeout"),
        (errors.InactivityTimeout("x"), "agent_timeout"),
        (errors.ContextOverflow("x"), "context_overflow"),
        (TurnLimitError("x"), "depth_exhausted"),
        (errors.ProviderOverloaded("x", provider_status=429), "provider_overloaded"),
        (errors.ProviderUnreachable("x"), "provider_overloaded"),
        (errors.ProviderAuthError("x", provider_status=401), "provider_auth_error"),
        (errors.ProviderNotFound("x", provider_status=404), "provider_not_found"),
        (errors.ProviderError("the tool said: timed out", provider_status=500), "provider_overloaded"),
        (errors.ProviderRejected("4290 rows, timed out", provider_status=400), "agent_error"),
        (errors.ProviderError("prompt is too long"), "context_overflow"),
        (errors.ServerUnavailable("429"), "agent_error"),
        (ValueError("timed out"), "agent_error"),
    ],
)
def test_the_type_and_the_status_decide_not_the_words(error: Exception, category: FailureCategory) -> None:
    assert failure_category(error) == category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("No stream progress for 30s (status 429)", "agent_timeout"),
        ("timed out after 503 retries", "agent_timeout"),
        ("This exceeds the maximum context", "context_overflow"),
        ("context length exceeded", "context_overflow"),
        ("the limit of the context", "context_overflow"),
        ("too many input tokens: too long in token count", "context_overflow"),
        ("MaxDepthError: reached limit", "depth_exhausted"),
        ("duplicate call loop", "loop_detected"),
        ("the worker did not call submit_result", "soft_failure"),
        ("HTTP 502 bad gateway", "provider_overloaded"),
        ("Too Many Requests", "provider_overloaded"),
        ("4290 rows were returned", "agent_error"),
        ("authentication failed: bad api key", "provider_auth_error"),
        ("The provided model identifier is invalid", "provider_not_found"),
        ("connection refused", "agent_error"),
    ],
)
def test_a_body_without_a_status_is_read_in_the_order_of_the_table(text: str, category: FailureCategory) -> None:
    assert category_of_text(text) == category


def test_a_provider_s_raw_words_are_never_told() -> None:
    assert error_summary(errors.ProviderError("It failed.", detail="sk-secret")) == "It failed."
    assert error_summary(ValueError("sk-secret")) == "internal error (ValueError)"


def test_a_retry_waits_as_the_provider_wishes_within_reason() -> None:
    def pause(wish: float | None, failed: int = 1, left: float | None = None) -> float | None:
        return pause_before_retry(errors.ProviderOverloaded("x", retry_after=wish), failed, left, Random(1))

    assert pause(30.0) == 30.0
    assert pause(0.0) == 0.0
    assert pause(3600.0) is None
    assert pause(30.0, left=30.0) is None
    for failed, seconds in enumerate((1, 2, 4, 8, 8), start=1):
        waited = pause(None, failed)
        assert waited is not None
        assert 0.75 * seconds <= waited <= 1.25 * seconds
    assert pause(None, left=0.5) is None
