"""What real services send beside the answer, byte for byte as they write it; each dialect must make sense of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

import orjson
import pytest

from aura_py.errors import (
    AuraError,
    ContextOverflow,
    ProviderAuthError,
    ProviderOverloaded,
    ProviderRejected,
)
from aura_py.llm.anthropic.stream import AnthropicStream
from aura_py.llm.bedrock.stream import BedrockStream
from aura_py.llm.contract import Delta, Finish, Text, Thinking, ThinkingBlock, ToolCallReady, UsageReport
from aura_py.llm.gemini.stream import GeminiStream
from aura_py.llm.ollama.stream import OllamaStream
from aura_py.llm.openai.stream import ChatStream
from aura_py.llm.openrouter.stream import OpenRouterStream
from aura_py.llm.stream_reader import StreamReader
from tests.llm.conversations import asked
from tests.wire.providers.fakes.bedrock import frame


class Feeds(Protocol):
    def __call__(self, raw: bytes) -> tuple[list[Delta], AuraError | None]: ...


def _reader(make: Callable[[], StreamReader]) -> Feeds:
    def feed(raw: bytes) -> tuple[list[Delta], AuraError | None]:
        reader = make()
        deltas = reader.feed(raw)
        if reader.failure is None and not reader.done:
            deltas = deltas + reader.end()
        return deltas, reader.failure

    return feed


openai = _reader(lambda: ChatStream(asked("openai", "m")))
openrouter = _reader(lambda: OpenRouterStream(asked("openrouter", "m")))
anthropic = _reader(lambda: AnthropicStream(asked("anthropic", "m")))
gemini = _reader(lambda: GeminiStream(asked("gemini", "m")))
ollama = _reader(lambda: OllamaStream(asked("ollama", "m")))
bedrock = _reader(lambda: BedrockStream(asked("bedrock", "m")))


def sse(*payloads: str | dict[str, Any]) -> bytes:
    """Events; a text stands as it is."""
    lines = (each if isinstance(each, str) else f"data: {orjson.dumps(each).decode()}" for each in payloads)
    return "".join(f"{line}\n\n" for line in lines).encode()


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


def whole(answer: tuple[list[Delta], AuraError | None]) -> tuple[str, str]:
    """The text and the finish reason of an answer that did not fail."""
    deltas, failure = answer
    assert failure is None, failure.message
    assert isinstance(deltas[-1], Finish)
    return text_of(deltas), deltas[-1].reason


# --- OpenAI, Azure and servers that speak their protocol -------------------------------------------------------------

SAFE = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
AZURE = {"id": "", "object": "", "created": 0, "model": ""}
ENVELOPE = {
    "id": "chatcmpl-B9",
    "object": "chat.completion.chunk",
    "created": 1_790_000_000,
    "model": "gpt-5.4-2026-03-05",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "obfuscation": "x7Yq2b",
}


def choice(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    content = {} if delta is None else {"delta": delta}
    return {
        **ENVELOPE,
        "usage": None,
        "choices": [{"index": 0, "logprobs": None, "finish_reason": finish, **content, **more}],
    }


def test_openai_s_own_chunks_with_all_their_fields() -> None:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0, "cache_write_tokens": 0, "image_tokens": None},
        "completion_tokens_details": {
            "reasoning_tokens": 4,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    moderation = {"input": {"type": "error", "code": "x", "message": "y"}, "output": {"type": "moderation_results"}}
    answer = openai(
        sse(
            choice({"role": "assistant", "content": "", "refusal": None}),
            choice({"content": "Hi"}),
            choice({"content": None, "tool_calls": None, "function_call": None}),
            choice({}, "stop"),
            {**ENVELOPE, "choices": [], "moderation": moderation},
            {**ENVELOPE, "choices": [], "usage": usage},
            "data: [DONE]",
        )
    )
    assert whole(answer) == ("Hi", "stop")
    (report,) = (delta.usage for delta in answer[0] if isinstance(delta, UsageReport))
    assert (report.input, report.output, report.cached, report.reasoning) == (20, 9, 8, 4)


def test_azure_s_chunks_about_its_content_filter_are_not_content() -> None:
    filters: dict[str, Any] = {"content_filter_results": SAFE}
    answer = openai(
        sse(
            {**AZURE, "choices": [], "prompt_filter_results": [{"prompt_index": 0, **filters}]},
            choice({"content": "", "role": "assistant", "refusal": None}, **filters),
            choice({"content": "Hi"}, **filters),
            {
                **AZURE,
                "choices": [
                    {"index": 0, "finish_reason": None, **filters, "content_filter_offsets": {"check_offset": 1}}
                ],
            },
            choice(None, None, **filters),
            choice({}, "stop", **filters),
            "data: [DONE]",
        )
    )
    assert whole(answer) == ("Hi", "stop")


def test_azure_s_filter_in_mid_answer_is_a_content_filter() -> None:
    filtered = {"content_filter_results": {"violence": {"filtered": True, "severity": "medium"}}}
    assert whole(openai(sse(choice({"content": "so"}), choice({}, "content_filter", **filtered)))) == (
        "so",
        "content_filter",
    )


def test_comments_keep_a_connection_open_and_say_nothing() -> None:
    raw = sse(": OPENROUTER PROCESSING", ": keep-alive", choice({"content": "Hi"}), ": ping - 2026", choice({}, "stop"))
    assert whole(openrouter(raw)) == whole(openai(raw)) == ("Hi", "stop")


@pytest.mark.parametrize(
    "reason",
    ["content_filter: SAFETY", "SAFETY", "PROHIBITED_CONTENT", "content_filter: RECITATION", "sensitive"],
)
def test_other_services_words_for_a_content_filter(reason: str) -> None:
    assert whole(openai(sse(choice({"content": "so"}), choice({}, reason)))) == ("so", "content_filter")


@pytest.mark.parametrize(
    "reason",
    [
        "insufficient_system_resource",
        "abort",
        "network_error",
        "error",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
    ],
)
def test_an_answer_that_the_service_gave_up_is_no_clean_stop(reason: str) -> None:
    deltas, failure = openai(sse(choice({"content": "so"}), choice({}, reason), "data: [DONE]"))
    assert text_of(deltas) == "so"
    assert type(failure) is ProviderOverloaded


def test_thoughts_among_the_parts_of_the_content_are_reasoning() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}]
    answer = openai(sse(choice({"content": thinking}), choice({"content": "Hi"}), choice({}, "stop")))
    assert whole(answer) == ("Hi", "stop")
    assert answer[0][0] == Thinking("Hm.")


ERRORS: list[tuple[dict[str, Any], type[AuraError]]] = [
    ({"message": "The server had an error", "type": "server_error", "param": None, "code": None}, ProviderOverloaded),
    (
        {
            "message": "Rate limit reached on tokens per min (TPM): Limit 30000, Requested 40000, token limit exceeded",
            "type": "tokens",
            "code": "rate_limit_exceeded",
        },
        ProviderOverloaded,
    ),
    ({"message": "You exceeded your current quota", "code": "insufficient_quota"}, ProviderRejected),
    ({"message": "The response was filtered", "code": "content_filter", "status": 400}, ProviderRejected),
    ({"object": "error", "message": "bad", "type": "BadRequestError", "param": None, "code": 400}, ProviderRejected),
    (
        {
            "code": 400,
            "message": "request (9000 tokens) exceeds the available context size (4096 tokens)",
            "type": "exceed_context_size_error",
            "n_ctx": 4096,
        },
        ContextOverflow,
    ),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=[str(error.get("code")) for error, _ in ERRORS])
def test_an_error_object_in_the_stream_has_its_class(error: dict[str, Any], kind: type[AuraError]) -> None:
    deltas, failure = openai(sse(choice({"content": "so"}), {"error": error}))
    assert text_of(deltas) == "so"
    assert type(failure) is kind


def test_openrouter_s_error_in_mid_stream_keeps_its_code() -> None:
    error = {"code": 502, "message": "Provider disconnected", "metadata": {"provider_name": "Somebody"}}
    ending = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": None}
    deltas, failure = openrouter(sse(choice({"content": "so"}), {**ENVELOPE, "error": error, "choices": [ending]}))
    assert text_of(deltas) == "so"
    assert isinstance(failure, ProviderOverloaded)
    assert failure.provider_status == 502


def test_openrouter_s_cost_and_native_reasons_do_no_harm() -> None:
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "cost": 0.00012,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": None},
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
    }
    last = {
        **ENVELOPE,
        "provider": "Somebody",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
    }
    answer = openrouter(
        sse(
            choice({"content": "Hi"}),
            choice({"content": ""}, "stop", native_finish_reason="STOP"),
            {**last, "usage": usage},
        )
    )
    assert whole(answer) == ("Hi", "stop")


# --- Anthropic -------------------------------------------------------------------------------------------------------

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "container": None,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 1,
            "service_tier": "standard",
            "inference_geo": "not_available",
        },
    },
}
PING = 'event: ping\ndata: {"type": "ping"}'


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def words(index: int, *texts: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts))


def ending(reason: str = "end_turn", **more: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, "container": None, **more}
    usage = {
        "input_tokens": 12,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": None,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 7},
        "server_tool_use": {"web_search_requests": 1},
    }
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def test_anthropic_s_pings_citations_and_own_tools_are_not_content() -> None:
    cited = {"type": "web_search_result_location", "cited_text": "x", "url": "https://example.org", "title": None}
    answer = anthropic(
        sse(
            START,
            PING,
            *block(
                0,
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
            ),
            *block(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
            *block(
                2,
                {"type": "text", "text": "", "citations": []},
                {"type": "citations_delta", "citation": cited},
                {"type": "text_delta", "text": "Hi"},
            ),
            PING,
            *ending(),
        )
    )
    assert whole(answer) == ("Hi", "stop")
    usage = [delta.usage for delta in answer[0] if isinstance(delta, UsageReport)][-1]
    assert (usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning) == (17, 5, 0, 30, 7)


def test_anthropic_s_thinking_may_be_hidden_or_redacted_and_is_kept_either_way() -> None:
    hidden = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "signature_delta", "signature": "Eq"},
        {"type": "signature_delta", "signature": "oB"},
    )
    redacted = block(1, {"type": "redacted_thinking", "data": "Ev4B"})
    answer = anthropic(sse(START, *hidden, *redacted, *words(2, "Hi"), *ending()))
    assert whole(answer) == ("Hi", "stop")
    kept = [dict(delta.reasoning.opaque) for delta in answer[0] if isinstance(delta, ThinkingBlock)]
    assert kept == [{"signature": "EqoB"}, {"redacted": "Ev4B"}]


def test_anthropic_s_overload_in_mid_stream_is_an_overload() -> None:
    error = {"type": "error", "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"}}
    deltas, failure = anthropic(sse(START, *words(0, "so")[:-1], f"event: error\ndata: {orjson.dumps(error).decode()}"))
    assert text_of(deltas) == "so"
    assert isinstance(failure, ProviderOverloaded)
    assert failure.provider_status == 529


def test_anthropic_s_refusal_with_its_details_is_a_content_filter() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    assert whole(anthropic(sse(START, *words(0, "so"), *ending("refusal", stop_details=details)))) == (
        "so",
        "content_filter",
    )


def test_a_gateway_s_done_after_anthropic_s_last_word_does_no_harm() -> None:
    assert whole(anthropic(sse(START, *words(0, "Hi"), *ending(), "data: [DONE]"))) == ("Hi", "stop")


def test_arguments_that_come_with_the_start_of_the_call_count() -> None:
    call = block(0, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}})
    deltas, failure = anthropic(sse(START, *call, *ending("tool_use")))
    assert failure is None
    assert [delta.call.arguments for delta in deltas if isinstance(delta, ToolCallReady)] == ['{"a":1}']


# --- Gemini ----------------------------------------------------------------------------------------------------------

COUNTS = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 3,
    "totalTokenCount": 10,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
    "trafficType": "ON_DEMAND",
}


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}],
        "usageMetadata": COUNTS,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


def test_gemini_s_ratings_metadata_and_empty_chunks_are_not_content() -> None:
    ratings = [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"}]
    answer = gemini(
        sse(
            candidate({"text": "H"}, safetyRatings=ratings),
            {"usageMetadata": COUNTS, "promptFeedback": None},
            {"candidates": [], "usageMetadata": COUNTS},
            {"candidates": [{"index": 0, "groundingMetadata": {}, "citationMetadata": {}}]},
            candidate(
                {"text": "i"}, {"executableCode": {"code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}
            ),
            {
                "candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": COUNTS,
            },
        )
    )
    assert whole(answer) == ("Hi", "stop")


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "OTHER", "JAILBREAK"])
def test_gemini_s_blocked_prompt_is_a_content_filter(reason: str) -> None:
    blocked = {"promptFeedback": {"blockReason": reason, "safetyRatings": []}, "usageMetadata": COUNTS}
    assert whole(gemini(sse(blocked))) == ("", "content_filter")


def test_gemini_s_call_that_it_could_not_read_is_an_error_and_not_an_empty_answer() -> None:
    failed = {"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed"}]}
    deltas, failure = gemini(sse(candidate({"text": "so"}), failed))
    assert text_of(deltas) == "so"
    assert type(failure) is ProviderOverloaded


def test_gemini_s_complaint_about_a_signature_is_an_error_that_would_come_again() -> None:
    _, failure = gemini(sse({"candidates": [{"finishReason": "MISSING_THOUGHT_SIGNATURE", "finishMessage": "x"}]}))
    assert type(failure) is ProviderRejected


def test_gemini_s_stream_that_ends_without_a_reason_was_cut() -> None:
    deltas, failure = gemini(sse(candidate({"text": "so"})))
    assert text_of(deltas) == "so"
    assert failure is not None
    assert failure.retryable


# --- Ollama ----------------------------------------------------------------------------------------------------------


def line(**fields: Any) -> bytes:
    return orjson.dumps({"model": "qwen3", "created_at": "2026-11-01T00:00:00Z", **fields}) + b"\n"


DONE: dict[str, Any] = {
    "done": True,
    "total_duration": 5,
    "load_duration": 1,
    "prompt_eval_duration": 1,
    "eval_duration": 2,
    "eval_count": 3,
}


def test_ollama_s_last_line_may_lack_the_count_of_a_cached_prompt() -> None:
    answer = ollama(
        line(message={"role": "assistant", "content": "Hi"}, done=False) + line(message={}, done_reason="stop", **DONE)
    )
    assert whole(answer) == ("Hi", "stop")


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_ollama_that_only_loaded_the_model_gave_an_empty_answer(reason: str) -> None:
    assert whole(ollama(line(message={"role": "assistant", "content": ""}, done=True, done_reason=reason))) == (
        "",
        "stop",
    )


def test_ollama_s_error_line_in_mid_stream_is_an_error() -> None:
    deltas, failure = ollama(
        line(message={"role": "assistant", "content": "so"}, done=False)
        + b'{"error":"an error was encountered while running the model: unexpected EOF"}\n'
    )
    assert text_of(deltas) == "so"
    assert type(failure) is ProviderOverloaded


def test_ollama_s_error_line_with_a_status_keeps_it() -> None:
    _, failure = ollama(b'{"error":"unauthorized","status_code":401,"signin_url":"https://example.org"}\n')
    assert type(failure) is ProviderAuthError


# --- Bedrock ---------------------------------------------------------------------------------------------------------


def event(kind: str, body: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, orjson.dumps({**body, "p": "abcdefghijklm"}))


def exception(kind: str, body: dict[str, Any]) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, orjson.dumps(body))


BEGUN = event("messageStart", {"role": "assistant"}) + event(
    "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "so"}}
)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("throttlingException", {"message": "Too many requests, please wait before trying again."}, ProviderOverloaded),
        (
            "modelStreamErrorException",
            {"message": "x", "originalStatusCode": 400, "originalMessage": "y"},
            ProviderOverloaded,
        ),
        ("internalServerException", {"message": "The system encountered an unexpected error"}, ProviderOverloaded),
        ("serviceUnavailableException", {"message": "Bedrock is unable to process your request."}, ProviderOverloaded),
        ("validationException", {"message": "Input is too long for requested model."}, ContextOverflow),
    ],
)
def test_bedrock_s_exceptions_in_mid_stream_have_their_class(
    kind: str, body: dict[str, Any], expected: type[AuraError]
) -> None:
    deltas, failure = bedrock(BEGUN + exception(kind, body))
    assert text_of(deltas) == "so"
    assert type(failure) is expected


def test_bedrock_s_trace_tier_and_cache_details_do_no_harm() -> None:
    usage = {
        "inputTokens": 5,
        "outputTokens": 2,
        "totalTokens": 12,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 0,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 0}],
    }
    metadata = {
        "usage": usage,
        "metrics": {"latencyMs": 500},
        "trace": {"guardrail": {"actionReason": "No action."}},
        "serviceTier": {"type": "default"},
        "performanceConfig": {"latency": "standard"},
    }
    stop = event("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"stop_sequence": None}})
    answer = bedrock(BEGUN + event("contentBlockStop", {"contentBlockIndex": 0}) + stop + event("metadata", metadata))
    assert whole(answer) == ("so", "stop")
    (usage_,) = (delta.usage for delta in answer[0] if isinstance(delta, UsageReport))
    assert (usage_.input, usage_.cached) == (10, 5)


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_bedrock_s_misfires_are_errors_and_not_answers(reason: str) -> None:
    deltas, failure = bedrock(BEGUN + event("messageStop", {"stopReason": reason}))
    assert text_of(deltas) == "so"
    assert type(failure) is ProviderOverloaded


def test_a_frame_that_is_an_error_without_a_type_is_an_error() -> None:
    raw = frame({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "x"}, b"")
    assert struct.unpack("!I", raw[:4])[0] == len(raw)
    deltas, failure = bedrock(BEGUN + raw)
    assert text_of(deltas) == "so"
    assert type(failure) is ProviderOverloaded
