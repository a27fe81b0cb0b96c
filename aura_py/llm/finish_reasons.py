"""Why a model stopped, in every provider's words."""

from __future__ import annotations

from aura_py.messages import FinishReason

_REASONS: dict[FinishReason, str] = {
    "stop": "stop eos end_turn stop_sequence pause_turn",
    "length": (
        "length max_tokens max_output_tokens max_new_tokens max_length token_limit model_length continuation"
        " model_context_window_exceeded too_many_tool_calls"
    ),
    "tool_calls": "tool_calls tool_call tool_use function_call",
    "content_filter": (
        "content_filter content_filtered guardrail_intervened refusal sensitive safety recitation language blocklist"
        " prohibited_content spii escalation model_armor pup_limited_disabled image_safety image_prohibited_content"
        " image_recitation"
    ),
}
_BY_WORD: dict[str, FinishReason] = {word: reason for reason, words in _REASONS.items() for word in words.split()}
_FAILURES = frozenset(
    {
        "error",
        "abort",
        "network_error",
        "insufficient_system_resource",
        "malformed_function_call",
        "unexpected_tool_call",
        "malformed_response",
        "malformed_model_output",
        "malformed_tool_use",
    }
)


def finish_reason(word: object) -> FinishReason:
    """What a provider's word means; one that nobody knows means that the answer is complete."""
    return next((_BY_WORD[each] for each in _words(word) if each in _BY_WORD), "stop")


def is_failure(word: object) -> bool:
    """Whether the provider or its model gave up: what came before is not the whole answer, asking again may help."""
    return any(each in _FAILURES for each in _words(word))


def _words(word: object) -> list[str]:
    # Google writes `content_filter: SAFETY` and `function_call_filter: MALFORMED_FUNCTION_CALL`.
    text = word[:200].lower() if isinstance(word, str) else ""
    return [each.strip().replace("-", "_") for each in text.split(":")]
