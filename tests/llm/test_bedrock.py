"""What only Bedrock's dialect does; the rest is in the contract suite."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from aura_py.config.models import BedrockLLM
from aura_py.errors import (
    ConfigurationError,
    ContextOverflow,
    ProviderAuthError,
    ProviderNotFound,
    ProviderOverloaded,
    ProviderRejected,
    RequestError,
    UnsupportedContent,
)
from aura_py.llm.bedrock.body import build_body
from aura_py.llm.bedrock.client import build
from aura_py.llm.bedrock.connection import BedrockConnection
from aura_py.llm.bedrock.errors import bedrock_error
from aura_py.llm.bedrock.frames import FrameReader
from aura_py.llm.bedrock.stream import BedrockStream
from aura_py.llm.contract import ChatRequest, Delta, Finish, NamedTool, ThinkingBlock
from aura_py.llm.request_body import BodyOptions
from aura_py.messages import FilePart, ImagePart, Message, Reasoning, TextPart, tool_result, user
from tests.llm.conversations import ADD, CALL, WEATHER, after_a_call, ask, asked, sampled
from tests.wire.providers.fakes.bedrock import frame

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def body(request: ChatRequest, model: str = MODEL, **rest: Any) -> dict[str, Any]:
    options = {"max_tokens": None, "temperature": None, "additional_params": {}, **rest}
    return build_body(request, BodyOptions(asked("bedrock", model), **options))


def event(kind: str, payload: dict[str, Any]) -> bytes:
    return frame({":event-type": kind, ":message-type": "event"}, orjson.dumps(payload))


# --- what is sent --------------------------------------------------------------------------------------------------


def test_the_stable_prefix_ends_with_cache_points() -> None:
    sent = body(ask(tools=(WEATHER, ADD)))
    assert sent["system"][-1] == {"cachePoint": {"type": "default"}}
    assert sent["toolConfig"]["tools"][-1] == {"cachePoint": {"type": "default"}}


def test_models_that_take_no_cache_points_get_none() -> None:
    assert "cachePoint" not in str(body(ask(tools=(WEATHER,)), "meta.llama3-1-70b-instruct-v1:0"))
    nova = body(ask(tools=(WEATHER,)), "amazon.nova-pro-v1:0")
    assert "cachePoint" in str(nova["system"])
    assert "cachePoint" not in str(nova["toolConfig"])


def test_additional_params_are_model_fields() -> None:
    sent = body(sampled(temperature=0.5), additional_params={"top_k": 5})
    assert sent["additionalModelRequestFields"] == {"top_k": 5}
    assert sent["inferenceConfig"] == {"temperature": 0.5}


def test_no_choice_of_tools_tells_earlier_calls_as_text() -> None:
    sent = body(ask(*after_a_call(), tools=(WEATHER,), tool_choice="none"))
    assert "toolConfig" not in sent
    assert "toolUse" not in str(sent)
    assert "rain" in str(sent)


def test_a_forced_tool_is_named() -> None:
    sent = body(ask(tools=(WEATHER,), tool_choice=NamedTool("get_weather")))
    assert sent["toolConfig"]["toolChoice"] == {"tool": {"name": "get_weather"}}


@pytest.mark.parametrize(
    ("model", "effort", "fields", "effort_sent"),
    [
        (MODEL, "low", {"thinking": {"type": "enabled", "budget_tokens": 4096}}, None),
        (
            "us.anthropic.claude-opus-4-6-v1",
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            "max",
        ),
        ("openai.gpt-oss-120b-1:0", "xhigh", {"reasoning_effort": "high"}, None),
        (
            "global.amazon.nova-2-lite-v1:0",
            "low",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            None,
        ),
    ],
)
def test_reasoning_effort_is_the_models_own_knob(
    model: str, effort: Any, fields: dict[str, Any], effort_sent: str | None
) -> None:
    sent = body(sampled(reasoning_effort=effort), model, temperature=0.3)
    assert sent["additionalModelRequestFields"] == fields
    assert sent.get("outputConfig", {}).get("effort") == effort_sent
    if "thinking" in fields:
        assert "temperature" not in sent["inferenceConfig"]


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_sampling_of_a_request_is_refused_for_models_without_it(name: str) -> None:
    with pytest.raises(RequestError, match=name):
        body(sampled(**{name: 0.5}), "us.anthropic.claude-opus-4-7")


def test_a_tool_that_the_service_runs_itself_is_no_call() -> None:
    stream, out = BedrockStream(asked("bedrock", MODEL)), list[Delta]()
    start = {"toolUse": {"toolUseId": "t1", "name": "nova_grounding", "type": "server_tool_use"}}
    stream.take({"contentBlockStart": {"contentBlockIndex": 0, "start": start}}, out)
    stream.take({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}}, out)
    stream.take({"contentBlockStop": {"contentBlockIndex": 0}}, out)
    stream.take({"contentBlockStart": {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "t1"}}}}, out)
    stream.take({"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolResult": [{"text": "x"}]}}}, out)
    stream.take({"contentBlockStop": {"contentBlockIndex": 1}}, out)
    stream.take({"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"citation": {"title": "t"}}}}, out)
    assert out == []


def test_an_effort_for_a_model_without_a_knob_is_refused() -> None:
    with pytest.raises(RequestError, match="reasoning_effort"):
        body(sampled(reasoning_effort="high"), "meta.llama3-1-70b-instruct-v1:0")


def test_a_budget_is_dropped_while_calls_made_without_thinking_are_answered() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    for reasoning, kind in (((), "disabled"), ((Reasoning("hm", "bedrock", {"signature": "s"}),), "enabled")):
        sent = body(ask(*after_a_call(*reasoning), tools=(WEATHER,)), additional_params=thinking)
        assert sent["additionalModelRequestFields"]["thinking"]["type"] == kind


def test_signed_reasoning_goes_back_before_the_call_and_unsigned_does_not() -> None:
    signed = Reasoning("hm", "bedrock", {"signature": "s"})
    unsigned = Reasoning("hm", "bedrock")
    sent = body(ask(*after_a_call(signed, unsigned), tools=(WEATHER,)))
    content = sent["messages"][1]["content"]
    assert [next(iter(block)) for block in content] == ["reasoningContent", "toolUse"]
    assert content[0]["reasoningContent"]["reasoningText"] == {"text": "hm", "signature": "s"}


def test_a_result_without_output_says_so() -> None:
    sent = body(ask(user("go"), Message("assistant", (), (CALL,)), tool_result(CALL, ()), tools=(WEATHER,)))
    assert sent["messages"][-1]["content"][0]["toolResult"]["content"] == [{"text": "(no output)"}]


def test_a_document_has_a_clean_name_and_words_beside_it() -> None:
    part = FilePart(data="AAAA", name="Q3: Report_v2.pdf", media_type="application/pdf")
    content = body(ask(Message("user", (part,))))["messages"][0]["content"]
    assert content[0]["document"]["name"] == "Q3- Report-v2"
    assert "text" in content[1]


def test_an_image_by_address_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedContent, match="data:"):
        body(ask(Message("user", (TextPart("see"), ImagePart("https://example.org/a.png")))))


# --- credentials and signatures ------------------------------------------------------------------------------------


def test_a_profile_that_does_not_exist_is_refused_when_the_model_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="`nobody`"):
        build(BedrockLLM(model=MODEL, region="eu-west-1", profile="nobody"), agent="tester")


ADDRESS = "https://127.0.0.1:9"


def connection(profile: str | None = None, model: str = MODEL) -> BedrockConnection:
    return BedrockConnection(
        model, "converse-stream", region="eu-west-1", profile=profile, base_url=ADDRESS, agent="tester"
    )


def authorization(profile: str | None) -> str:
    headers, _ = connection(profile).sign(ADDRESS, b"{}")
    return str(headers["Authorization"])


@pytest.fixture
def two_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment, others in a profile."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[prod]\naws_access_key_id = FROMPROFILE\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")


@pytest.mark.usefixtures("two_accounts")
def test_a_profile_wins_over_the_environment() -> None:
    assert "Credential=FROMPROFILE/" in authorization("prod")
    assert "Credential=FROMENVIRONMENT/" in authorization(None)


@pytest.mark.usefixtures("two_accounts")
def test_a_profile_wins_over_a_bearer_token_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-xyz")
    assert "Credential=FROMPROFILE/" in authorization("prod")
    assert authorization(None) == "Bearer bedrock-api-key-xyz"


async def test_missing_credentials_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ProviderAuthError, match="credentials; log in"):
        async with connection().post(asked("bedrock", MODEL), b"{}"):
            raise AssertionError


@pytest.mark.usefixtures("two_accounts")
async def test_a_bearer_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-xyz")
    clear = BedrockConnection(
        MODEL, "invoke", region="eu-west-1", profile=None, base_url="http://127.0.0.1:9", agent="tester"
    )
    with pytest.raises(ProviderRejected, match="AWS configuration"):
        async with clear.post(asked("bedrock", MODEL), b"{}"):
            raise AssertionError


@pytest.mark.usefixtures("two_accounts")
@pytest.mark.parametrize(
    "model", [MODEL, "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-6-v1"]
)
def test_address_and_signature_are_those_of_the_official_client(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    class Captured(Exception):
        pass

    sent: list[Any] = []

    def capture(request: Any, **_: Any) -> None:
        sent.append(request)
        raise Captured

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime(2026, 1, 2, tzinfo=UTC))
    official = boto3.Session(region_name="eu-west-1").client("bedrock-runtime", endpoint_url=ADDRESS)
    official.meta.events.register("before-send.bedrock-runtime", capture)
    with pytest.raises(Captured):
        official.converse_stream(modelId=model, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    official.close()
    theirs = sent[0]
    ours, secrets = connection(model=model).sign(theirs.url, theirs.body)
    assert ours["Authorization"].encode() == theirs.headers["Authorization"]
    assert theirs.url == ADDRESS + connection(model=model).path
    assert secrets[0] == "FROMENVIRONMENT"


# --- what arrives --------------------------------------------------------------------------------------------------


def test_messages_are_found_whatever_the_packets() -> None:
    data = b"".join(event("contentBlockDelta", {"n": number}) for number in range(20))
    for size in (1, 7, 100, len(data)):
        reader = FrameReader()
        frames = [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]
        assert [orjson.loads(each.payload)["n"] for each in frames] == list(range(20))
        assert reader.damage is None


@pytest.mark.parametrize("place", [0, 9, 30, -1])
def test_damage_is_noticed_and_what_came_before_is_kept(place: int) -> None:
    good, bad = event("messageStop", {}), bytearray(event("contentBlockDelta", {"text": "abcdefghijklmnop"}))
    bad[place] ^= 0xFF
    reader = FrameReader()
    assert len(reader.feed(good + bytes(bad))) == 1
    assert reader.damage is not None


def test_headers_of_other_types_are_stepped_over() -> None:
    message = frame({":event-type": "metadata"}, b"{}")
    block = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x01" + b"\x01c\x06\x00\x02xy" + message[12 : 12 + 23]
    assert FrameReader()._headers(block) == ("metadata", False)


def test_reasoning_without_a_start_event_becomes_a_block() -> None:
    stream, out = BedrockStream(asked("bedrock", MODEL)), list[Delta]()
    for delta in ({"text": "hm"}, {"signature": "s"}):
        stream.take({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": delta}}}, out)
    stream.take({"contentBlockStop": {"contentBlockIndex": 0}}, out)
    assert out[-1] == ThinkingBlock(Reasoning("hm", "bedrock", {"signature": "s"}))


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_every_stop_reason_has_its_finish_reason(stop: str, reason: str) -> None:
    stream, out = BedrockStream(asked("bedrock", MODEL)), list[Delta]()
    stream.take({"messageStop": {"stopReason": stop}}, out)
    stream.take({"metadata": {"usage": {"inputTokens": 1, "outputTokens": 1}}}, out)
    assert out[-1] == Finish(reason)  # type: ignore[arg-type]
    assert stream.done


@pytest.mark.parametrize(
    ("kind", "status", "text", "expected"),
    [
        ("ThrottlingException", 429, "Too many tokens, please wait before trying again.", ProviderOverloaded),
        ("ServiceQuotaExceededException", 400, "quota", ProviderOverloaded),
        ("ModelNotReadyException", 429, "warming up", ProviderOverloaded),
        ("modelStreamErrorException", 424, "x", ProviderOverloaded),
        ("ExpiredTokenException", 400, "The security token is expired", ProviderAuthError),
        ("ValidationException", 400, "The provided model identifier is invalid.", ProviderNotFound),
        ("ValidationException", 400, "Input is too long for requested model.", ContextOverflow),
    ],
)
def test_exceptions_have_their_class(kind: str, status: int, text: str, expected: type[Exception]) -> None:
    assert type(bedrock_error(asked("bedrock", MODEL), kind, status, text)) is expected


def test_what_was_signed_with_is_known_as_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    headers, secrets = connection().sign(ADDRESS, b"{}")
    assert headers["X-Amz-Security-Token"] == "session-token"
    assert secrets == ("AKIAEXAMPLE", "session-token")
