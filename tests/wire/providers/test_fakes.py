"""The fakes are honest: each provider's own SDK, used as its documentation says, understands them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import orjson
import pytest

from tests.wire.providers import providers
from tests.wire.providers.conftest import Fakes

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


@dataclass(slots=True)
class Heard:
    """What an SDK made of an answer."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    input: int = 0
    output: int = 0
    cached: int = 0
    error: int | None = None


async def _anthropic(address: str, model: str) -> Heard:
    import anthropic

    heard = Heard()
    async with anthropic.AsyncAnthropic(api_key="k", base_url=address, max_retries=0) as client:
        try:
            async with client.messages.stream(
                model=model, max_tokens=100, messages=[{"role": "user", "content": "hello"}]
            ) as stream:
                message = await stream.get_final_message()
        except anthropic.APIStatusError as error:
            heard.error = error.status_code
            return heard
    for block in message.content:
        if block.type == "text":
            heard.text += block.text
        elif block.type == "thinking":
            heard.thinking += block.thinking
        elif block.type == "tool_use":
            heard.calls.append((block.name, block.input))
    heard.cached = message.usage.cache_read_input_tokens or 0
    heard.input = message.usage.input_tokens + heard.cached + (message.usage.cache_creation_input_tokens or 0)
    heard.output = message.usage.output_tokens
    return heard


async def _gemini(address: str, model: str) -> Heard:
    from google import genai
    from google.genai import errors, types

    heard = Heard()
    options = types.HttpOptions(base_url=address, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key="k", vertexai=False, http_options=options)
    try:
        async for chunk in await client.aio.models.generate_content_stream(model=model, contents="hello"):
            for candidate in chunk.candidates or ():
                for part in candidate.content.parts or () if candidate.content else ():
                    if part.function_call:
                        heard.calls.append((part.function_call.name or "", part.function_call.args))
                    elif part.thought:
                        heard.thinking += part.text or ""
                    else:
                        heard.text += part.text or ""
            usage = chunk.usage_metadata
            if usage:
                heard.input = usage.prompt_token_count or 0
                heard.output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
                heard.cached = usage.cached_content_token_count or 0
    except errors.APIError as error:
        heard.error = error.code
    finally:
        await client.aio.aclose()
        client.close()
    return heard


async def _ollama(address: str, model: str) -> Heard:
    import ollama

    heard = Heard()
    async with ollama.AsyncClient(host=address) as client:
        try:
            async for part in await client.chat(model, [{"role": "user", "content": "hello"}], stream=True):
                heard.text += part.message.content or ""
                heard.thinking += part.message.thinking or ""
                for call in part.message.tool_calls or ():
                    heard.calls.append((call.function.name, call.function.arguments))
                heard.input = part.prompt_eval_count or heard.input
                heard.output = part.eval_count or heard.output
        except ollama.ResponseError as error:
            heard.error = error.status_code
    return heard


def _ask_bedrock(address: str, model: str) -> Heard:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    heard = Heard()
    session = boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="eu-west-1")
    config = Config(retries={"total_max_attempts": 1})
    client = session.client("bedrock-runtime", endpoint_url=address, config=config)
    names: dict[int, tuple[str, list[str]]] = {}
    try:
        message = {"role": "user", "content": [{"text": "hello"}]}
        for event in client.converse_stream(modelId=model, messages=[message])["stream"]:
            if "contentBlockStart" in event:
                start = event["contentBlockStart"]
                names[start["contentBlockIndex"]] = (start["start"]["toolUse"]["name"], [])
            elif "contentBlockDelta" in event:
                index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
                heard.text += delta.get("text", "")
                heard.thinking += delta.get("reasoningContent", {}).get("text", "")
                if "toolUse" in delta:
                    names[index][1].append(delta["toolUse"]["input"])
            elif "metadata" in event:
                usage = event["metadata"]["usage"]
                heard.cached = usage["cacheReadInputTokens"]
                heard.input = usage["inputTokens"] + heard.cached + usage["cacheWriteInputTokens"]
                heard.output = usage["outputTokens"]
    except ClientError as error:
        heard.error = error.response["ResponseMetadata"]["HTTPStatusCode"]
    finally:
        client.close()
    heard.calls = [(name, orjson.loads("".join(pieces) or "{}")) for name, pieces in names.values()]
    return heard


async def _bedrock(address: str, model: str) -> Heard:
    return await anyio.to_thread.run_sync(_ask_bedrock, address, model)


async def _chat_completions(address: str, model: str) -> Heard:
    import openai

    heard = Heard()
    calls: dict[int, tuple[str, list[str]]] = {}
    async with openai.AsyncOpenAI(api_key="k", base_url=address, max_retries=0) as client:
        try:
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    heard.text += choice.delta.content or ""
                    extra = choice.delta.model_extra or {}
                    heard.thinking += extra.get("reasoning_content") or extra.get("reasoning") or ""
                    for call in choice.delta.tool_calls or ():
                        function = call.function
                        assert function is not None
                        calls.setdefault(call.index, (function.name or "", []))[1].append(function.arguments or "")
                if chunk.usage:
                    heard.input, heard.output = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                    details = chunk.usage.prompt_tokens_details
                    heard.cached = details.cached_tokens or 0 if details else 0
        except openai.APIStatusError as error:
            heard.error = error.status_code
    heard.calls = [(name, orjson.loads("".join(pieces) or "{}")) for name, pieces in calls.values()]
    return heard


_SDKS: dict[str, tuple[Callable[[str, str], Awaitable[Heard]], str]] = {
    "openai": (_chat_completions, "/v1"),
    "openrouter": (_chat_completions, "/api/v1"),
    "anthropic": (_anthropic, ""),
    "gemini": (_gemini, ""),
    "ollama": (_ollama, ""),
    "bedrock": (_bedrock, ""),
}


@pytest.fixture(params=providers.NAMES)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _hear(provider: str, fakes: Fakes, scenario: str) -> Heard:
    ask, path = _SDKS[provider]
    return await ask(fakes.address(provider) + path, f"scn.{scenario}.{uuid.uuid4().hex[:12]}")


async def test_its_sdk_reads_text(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "plain_text")
    assert (heard.text, heard.input, heard.output) == ("Hello, world!", 7, 3)


async def test_its_sdk_reads_packets_of_one_byte(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "unicode_in_single_bytes")
    assert heard.text == "Grüße 🌍 漢字 👩‍👩‍👧!"


async def test_its_sdk_reads_reasoning(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "reasoning")
    assert (heard.thinking, heard.text) == ("First think.", "Then speak.")


async def test_its_sdk_reads_parallel_calls(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "three_tools")
    assert heard.calls == [
        ("get_weather", {"city": "Oslo"}),
        ("get_weather", {"city": "Rome"}),
        ("add", {"a": 1, "b": 2}),
    ]


async def test_its_sdk_reads_a_call_without_arguments(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "tool_without_arguments")
    assert heard.calls == [("now", {})]


async def test_its_sdk_reads_cached_tokens(provider: str, fakes: Fakes) -> None:
    heard = await _hear(provider, fakes, "full_usage")
    assert (heard.input, heard.output) == (100, 40)
    assert heard.cached == (0 if provider == "ollama" else 60)


@pytest.mark.parametrize(("scenario", "status"), [("rate_limited", 429), ("wrong_key", 401), ("server_error", 500)])
async def test_its_sdk_reads_refusals(provider: str, fakes: Fakes, scenario: str, status: int) -> None:
    assert (await _hear(provider, fakes, scenario)).error == status
