"""What services say when they refuse, in their own words, and what becomes of it."""

from __future__ import annotations

import pytest

from aura_py.errors import AuraError, ProviderAuthError, ProviderOverloaded, ProviderRejected
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
    (413, '{"type":"error","error":{"type":"request_too_large"}}', ProviderRejected, "too large"),
    (429, "You exceeded your current quota, please check your plan and billing details.", ProviderOverloaded, "rate"),
]


@pytest.mark.parametrize(("status", "said", "kind", "word"), REFUSALS, ids=[said[:40] for _, said, _, _ in REFUSALS])
def test_a_refusal_is_told_for_what_it_is(status: int, said: str, kind: type[AuraError], word: str) -> None:
    error = asked("openai", "m").status(status, said)
    assert type(error) is kind
    assert word in error.message
    assert error.message.endswith(".")
