"""CPU per streamed chunk: each dialect beside iterating the objects of its vendor's SDK, over the same socket."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import TypeAlias

from pydantic import SecretStr

from aura_py.config import models
from aura_py.llm.contract import ChatRequest, Text
from aura_py.messages import user
from benchmarks.processes import free_port, running
from benchmarks.report import Row

Stream: TypeAlias = Callable[[], Awaitable[int]]
"""One answer from beginning to end; says how many texts it held."""

_CHUNKS = 4000
_RUNS = 3
_WORSE_THAN_SDK = 1.0
_OPENAI_TARGET = 1 / 3
_PROVIDERS = ("openai", "openrouter", "anthropic", "gemini", "ollama", "bedrock")


def measure() -> list[Row]:
    """One row per provider; the ratio is ours over the SDK's."""
    warnings.filterwarnings("ignore", message="Inheritance class")
    os.environ |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}
    port = free_port()
    with running(["-m", "benchmarks.providers_upstream", str(port), str(_CHUNKS)], port):
        return [_row(provider, f"http://127.0.0.1:{port}") for provider in _PROVIDERS]


def _row(provider: str, address: str) -> Row:
    ours = asyncio.run(_cheapest(_ours(provider, address)))
    theirs = asyncio.run(_cheapest(_SDKS[provider](address)))
    limit = _OPENAI_TARGET if provider == "openai" else _WORSE_THAN_SDK
    ratio = ours / theirs
    return Row(
        f"chunk of {provider}",
        f"{ours * 1e6:.1f} µs CPU",
        f"{theirs * 1e6:.1f} µs by SDK objects",
        ratio,
        f"<= {limit:.2f} x the SDK",
        ratio <= limit,
    )


async def _cheapest(opened: AbstractAsyncContextManager[Stream]) -> float:
    """CPU seconds per chunk of the best of a few runs, after one to warm up. Setting up is not counted."""
    best = float("inf")
    async with opened as stream:
        for run in range(_RUNS + 1):
            started = time.process_time()
            seen = await stream()
            spent = time.process_time() - started
            if seen != _CHUNKS:
                raise RuntimeError(f"{seen} chunks arrived instead of {_CHUNKS}")
            if run:
                best = min(best, spent / _CHUNKS)
    return best


@asynccontextmanager
async def _ours(provider: str, address: str) -> AsyncGenerator[Stream, None]:
    model = import_module(f"aura_py.llm.{provider}").build(_table(provider, address), agent="bench")

    async def stream() -> int:
        chunks = 0
        async for batch in model.stream(ChatRequest((user("hello"),))):
            chunks += sum(isinstance(delta, Text) for delta in batch)
        return chunks

    yield stream
    await model.aclose()


def _table(provider: str, address: str) -> models.LLM:
    key = SecretStr("k")
    match provider:
        case "openai":
            return models.OpenAILLM(model="m", api_key=key, base_url=f"{address}/v1")
        case "openrouter":
            return models.OpenRouterLLM(model="m", api_key=key, base_url=f"{address}/api/v1")
        case "anthropic":
            return models.AnthropicLLM(model="m", api_key=key, base_url=address)
        case "gemini":
            return models.GeminiLLM(model="m", api_key=key, base_url=address)
        case "ollama":
            return models.OllamaLLM(model="m", base_url=address)
        case _:
            return models.BedrockLLM(model="m", region="eu-west-1", base_url=address)


@asynccontextmanager
async def _chat_completions(address: str) -> AsyncGenerator[Stream, None]:
    import openai

    async with openai.AsyncOpenAI(api_key="k", base_url=address) as client:

        async def stream() -> int:
            chunks = 0
            events = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            async for chunk in events:
                chunks += bool(chunk.choices and chunk.choices[0].delta.content)
            return chunks

        yield stream


@asynccontextmanager
async def _anthropic(address: str) -> AsyncGenerator[Stream, None]:
    import anthropic

    async with anthropic.AsyncAnthropic(api_key="k", base_url=address) as client:

        async def stream() -> int:
            chunks = 0
            events = await client.messages.create(
                model="m", max_tokens=10, messages=[{"role": "user", "content": "hello"}], stream=True
            )
            async for event in events:
                chunks += event.type == "content_block_delta" and event.delta.type == "text_delta"
            return chunks

        yield stream


@asynccontextmanager
async def _gemini(address: str) -> AsyncGenerator[Stream, None]:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="k", vertexai=False, http_options=types.HttpOptions(base_url=address))

    async def stream() -> int:
        chunks = 0
        async for chunk in await client.aio.models.generate_content_stream(model="m", contents="hello"):
            chunks += bool(chunk.candidates and chunk.text)
        return chunks

    yield stream
    await client.aio.aclose()
    client.close()


@asynccontextmanager
async def _ollama(address: str) -> AsyncGenerator[Stream, None]:
    import ollama

    async with ollama.AsyncClient(host=address) as client:

        async def stream() -> int:
            chunks = 0
            async for part in await client.chat("m", [{"role": "user", "content": "hello"}], stream=True):
                chunks += bool(part.message.content)
            return chunks

        yield stream


@asynccontextmanager
async def _bedrock(address: str) -> AsyncGenerator[Stream, None]:
    import boto3

    client = boto3.Session(region_name="eu-west-1").client("bedrock-runtime", endpoint_url=address)
    message = {"role": "user", "content": [{"text": "hello"}]}

    async def stream() -> int:
        # In this thread, as the SDK is meant to be used; handing its events to another would only add to its costs.
        chunks = 0
        for event in client.converse_stream(modelId="m", messages=[message])["stream"]:
            chunks += "text" in event.get("contentBlockDelta", {}).get("delta", {})
        return chunks

    yield stream
    client.close()


_SDKS: dict[str, Callable[[str], AbstractAsyncContextManager[Stream]]] = {
    "openai": lambda address: _chat_completions(f"{address}/v1"),
    "openrouter": lambda address: _chat_completions(f"{address}/api/v1"),
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "bedrock": _bedrock,
}
