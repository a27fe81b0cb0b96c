"""What services say when they refuse, in their own words, and what becomes of it."""

from __future__ import annotations

import re

import pytest

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    ProviderAuthError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderRejected,
)
from aura_py.llm import provider_errors
from aura_py.llm.provider_errors import ProviderErrors, is_context_overflow
from tests.llm.conversations import asked

REFUSALS: list[tuple[int, str, type[AuraError], str]] = [
    (
        400,
        '{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}',
        ProviderRejected,
        "content filter",
    ),
    (
        403,
        '{"error":{"code":403,"message":"m requires moderation","metadata":{"flagged_input":"x"}}}',
        ProviderRejected,
        "content filter",
    ),
    (400, "Output blocked by content filtering policy", ProviderRejected, "content filter"),
    (400, "Your credit balance is too low to access the Anthropic API.", ProviderRejected, "payment"),
    (429, '{"error":{"code":"insufficient_quota"}}', ProviderRejected, "payment"),
    (402, '{"error":{"code":402,"message":"Insufficient credits"}}', ProviderRejected, "payment"),
    (403, "Key limit exceeded", ProviderAuthError, "credentials"),
    (400, "`temperature` is deprecated for this model.", ProviderRejected, "`temperature`"),
    (400, "Unsupported value: 'temperature' does not support 0.7 with this model.", ProviderRejected, "`temperature`"),
    (400, "registry.ollama.ai/library/gemma:2b does not support tools", ProviderRejected, "`tools`"),
    (400, '"gemma3" does not support thinking', ProviderRejected, "`thinking`"),
    (400, 'Invalid JSON payload received. Unknown name "seed"', ProviderRejected, "`seed`"),
    (
        400,
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 200",
        ProviderRejected,
        "fewer tools",
    ),
    (413, '{"type":"error","error":{"type":"request_too_large"}}', ProviderRejected, "too large"),
    (429, "You exceeded your current quota, please check your plan and billing details.", ProviderOverloaded, "rate"),
]


@pytest.mark.parametrize(("status", "said", "kind", "word"), REFUSALS, ids=[said[:40] for _, said, _, _ in REFUSALS])
def test_a_refusal_is_told_for_what_it_is(status: int, said: str, kind: type[AuraError], word: str) -> None:
    error = asked("openai", "m").status(status, said)
    assert type(error) is kind
    assert word in error.message
    assert error.message.endswith(".")


TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or",
    "Input is too long for requested model.",
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try",
    "Too many input tokens",
    "The input token count is 1200000 but model only supports up to 1048576.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "the input length exceeds the context length",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that",
    "The prompt (length 5000) is longer than the maximum model length of 4096",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "Requested token count exceeds the model's maximum context length of 4096 tokens.",
    "the request exceeds the available context size, try increasing it",
    "Trying to keep the first 5000 tokens when context the overflows. However, the context length is only 4096 tokens",
    "The number of tokens to keep from the initial prompt is greater than the context length",
    "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
    "Please reduce the length of the messages or completion.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000",
    "too many tokens: total number of tokens in the prompt exceeds the limit of 4081",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    "context_length_exceeded",
    "Input length 5000 exceeds maximum allowed token size 4096",
)
TOO_MUCH_OF_SOMETHING_ELSE = (
    "max_tokens is too large: 32768. This model supports at most 16384 completion tokens, whereas you",
    "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude-opus-4",
    "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value",
    "Invalid 'max_output_tokens': integer below minimum value",
    "`max_tokens` must be greater than `thinking.budget_tokens`",
    "tools: array too long. Expected an array with maximum length 128",
    "Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024",
    "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "At least one of the image dimensions exceed max allowed size: 8000 pixels",
    "Number of request tokens has exceeded your daily rate limit (https://docs.claude.com)",
)


@pytest.mark.parametrize("said", TOO_LONG)
def test_every_service_s_words_for_a_conversation_that_is_too_long_are_known(said: str) -> None:
    assert is_context_overflow(said)
    assert type(asked("openai", "m").status(400, said)) is ContextOverflow


@pytest.mark.parametrize("said", TOO_MUCH_OF_SOMETHING_ELSE)
def test_other_limits_are_no_overflow_of_the_context(said: str) -> None:
    assert not is_context_overflow(said)
    assert type(asked("openai", "m").status(400, said)) is ProviderRejected


def test_words_after_the_first_four_thousand_characters_are_not_matched() -> None:
    assert not is_context_overflow("x" * 5_000 + "context_length_exceeded")


def test_every_pattern_for_the_words_of_providers_matches_in_linear_time() -> None:
    patterns = [value for value in vars(provider_errors).values() if hasattr(value, "search")]
    assert len(patterns) >= 8
    assert not [pattern for pattern in patterns if isinstance(pattern, re.Pattern)]


HIDDEN = "sk-hidden-1f2e"
LOADED = ProviderErrors(
    "tester", "openai", "m", f"http://user:pass-word@h/v1?token={HIDDEN}2", secrets=(HIDDEN, "a/b+c")
)


@pytest.mark.parametrize(
    "said",
    [
        f"no {HIDDEN}",
        f"no {HIDDEN}2",
        "no pass-word",
        "no user",
        "no a/b+c",
        "no a%2Fb%2Bc",
        " " * 65_530 + HIDDEN,
        "x" * 490 + HIDDEN,
    ],
)
def test_no_secret_shows_in_what_was_said(said: str) -> None:
    shown = str(LOADED.excerpt(said))
    for secret in ("sk-hi", "pass", "user", "a/b", "%2F", "1f2e2"):
        assert secret not in shown


def test_what_was_said_is_one_line_without_control_characters() -> None:
    assert asked("openai", "m").excerpt("a\r\nb\x1b[31mc\u2028d") == "a b [31mc d"


@pytest.mark.parametrize("wish", ["nan", "inf", "-5", "soon", "Mon, 01 Jan 0001 00:00:00 GMT", "9" * 400])
def test_an_odd_wish_to_wait_is_none(wish: str) -> None:
    error = asked("openai", "m").status(429, "", {"Retry-After": wish})
    assert error.retry_after in (None, 0)


@pytest.mark.parametrize("location", ["//[bad", "http://[::1", "ht!tp://x y", "", "/only/a/path"])
def test_the_target_of_a_redirect_may_be_anything(location: str) -> None:
    assert type(asked("openai", "m").redirected(302, location)) is ProviderNotFound
