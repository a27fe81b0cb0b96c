"""Where requests go for each form of ``base_url``, and what carries the key."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from aura_py.config import models
from aura_py.errors import ConfigurationError, ProviderError
from aura_py.llm import build_model
from aura_py.llm.contract import ChatModel, ChatRequest, Sampling
from aura_py.llm.openai.embeddings import build as build_embedding
from aura_py.llm.transport import join_url
from aura_py.messages import user
from tests.wire.providers import providers
from tests.wire.providers.agents import address
from tests.wire.providers.providers import AWS, KEY, NAMES
from tests.wire.providers.raw_server import raw_server

REFUSED = b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}"
AZURE = "/openai/deployments/gpt-4o?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://a/v1", "http://a/v1/x"),
        ("http://a/v1/", "http://a/v1/x"),
        ("http://a:1", "http://a:1/x"),
        ("http://a/v1?k=v", "http://a/v1/x?k=v"),
        ("http://a/v1/?k=v&l=w", "http://a/v1/x?k=v&l=w"),
        ("http://a/v1#part", "http://a/v1/x"),
    ],
)
def test_a_path_is_appended_to_the_path(base_url: str, expected: str) -> None:
    assert join_url(base_url, "/x") == expected


def test_two_queries_are_one() -> None:
    assert join_url("http://a/v1?k=v", "/x", "alt=sse") == "http://a/v1/x?k=v&alt=sse"


async def request_of(
    model: ChatModel, requests: list[bytes], ask: ChatRequest | None = None
) -> tuple[str, dict[str, str]]:
    """The target and the headers of one call."""
    with anyio.fail_after(30), pytest.raises(ProviderError):
        async for _ in model.stream(ask or ChatRequest((user("hi"),))):
            pass
    await model.aclose()
    return head_of(requests[-1])


def head_of(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return first.split()[1], headers


PATHS = {
    "openai": "/v1/chat/completions?k=v",
    "openrouter": "/api/v1/chat/completions?k=v",
    "anthropic": "/v1/messages?k=v",
    "gemini": "/v1/models/m:streamGenerateContent?k=v&alt=sse",
    "ollama": "/api/chat?k=v",
}


@pytest.mark.parametrize("provider", PATHS)
async def test_a_query_in_the_address_stays_behind_the_path(provider: str) -> None:
    async with raw_server(REFUSED) as server:
        table = providers.table(provider, "m", server.url)
        table = table.model_copy(update={"base_url": f"{address(provider, server.url)}?k=v"})
        model = import_module(f"aura_py.llm.{provider}").build(table, agent="tester")
        target, _ = await request_of(model, server.requests)
    assert target == PATHS[provider]


async def _ask_openai(url: str) -> None:
    import openai

    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client:
        await client.chat.completions.create(model="m", messages=[], stream=True)


async def _ask_anthropic(url: str) -> None:
    import anthropic

    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:
        await client.messages.create(model="m", max_tokens=1, messages=[], stream=True)


async def _ask_gemini(url: str) -> None:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=KEY, vertexai=False, http_options=options)
    try:
        async for _ in await client.aio.models.generate_content_stream(model="m", contents="hi"):
            pass
    finally:
        await client.aio.aclose()


async def _ask_ollama(url: str) -> None:
    import ollama

    async for _ in await ollama.AsyncClient(host=url, headers={"Authorization": f"Bearer {KEY}"}).chat(
        "m", stream=True
    ):
        pass


SDKS = {"openai": _ask_openai, "anthropic": _ask_anthropic, "gemini": _ask_gemini, "ollama": _ask_ollama}
MATTERING = {"authorization", "anthropic-version", "anthropic-beta", "x-goog-api-key", "content-type"}


@pytest.mark.parametrize("provider", SDKS)
@pytest.mark.filterwarnings("ignore")
async def test_target_and_headers_are_those_of_the_vendor_s_sdk(provider: str) -> None:
    async with raw_server(REFUSED) as server:
        # Each SDK has errors of its own for the refusal that it gets.
        with contextlib.suppress(Exception):
            await SDKS[provider](server.url)
        theirs = head_of(server.requests[-1])
        model = build_model(providers.table(provider, "m", server.url), agent="tester")
        ours = await request_of(model, server.requests)
    assert ours[0] == theirs[0]
    wanted = {name: value for name, value in theirs[1].items() if name in MATTERING}
    assert {name: value for name, value in ours[1].items() if name in MATTERING} == wanted


async def test_a_version_in_the_address_of_gemini_is_kept() -> None:
    async with raw_server(REFUSED) as server:
        table = providers.table("gemini", "m", f"{server.url}/gateway/v1alpha/")
        target, headers = await request_of(build_model(table, agent="tester"), server.requests)
    assert target == "/gateway/v1alpha/models/m:streamGenerateContent?alt=sse"
    assert headers["x-goog-api-key"] == KEY


def azure(url: str, model: str = "gpt-4o", **extra: Any) -> models.OpenAILLM:
    return models.OpenAILLM(model=model, api_key=SecretStr(KEY), base_url=url + AZURE, **extra)


async def test_azure_gets_its_version_and_its_header() -> None:
    async with raw_server(REFUSED) as server:
        target, headers = await request_of(build_model(azure(server.url), agent="tester"), server.requests)
    assert target == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert headers["api-key"] == KEY
    assert "authorization" not in headers


async def test_azure_embeddings_do_too() -> None:
    table = models.OpenAIEmbedding(model="e", api_key=SecretStr(KEY))
    async with raw_server(REFUSED) as server:
        model = build_embedding(table.model_copy(update={"base_url": server.url + AZURE}), agent="tester")
        with pytest.raises(ProviderError):
            await model.embed(["text"], purpose="document")
        await model.aclose()
    head = server.requests[0].decode()
    assert head.startswith("POST /openai/deployments/gpt-4o/embeddings?api-version=2024-10-21 ")
    assert f"api-key: {KEY}\r\n" in head
    assert "Authorization" not in head


@pytest.mark.parametrize(("model", "key"), [("gpt-4o", "max_tokens"), ("gpt-5", "max_completion_tokens")])
async def test_azure_s_reasoning_models_get_the_newer_limit(model: str, key: str) -> None:
    ask = ChatRequest((user("hi"),), sampling=Sampling(max_tokens=77))
    async with raw_server(REFUSED) as server:
        await request_of(build_model(azure(server.url, model), agent="tester"), server.requests, ask)
    assert f'"{key}":77'.encode() in server.requests[0]


@pytest.mark.parametrize(
    ("key", "named"),
    [("sk-abc…", "HORIZONTAL ELLIPSIS"), ("“sk-abc”", "LEFT DOUBLE QUOTATION MARK"), ("sk-\nabc", "U\\+000A")],
)
@pytest.mark.parametrize("provider", [name for name in NAMES if name != "bedrock"])
def test_a_key_that_no_header_can_hold_is_named_as_such(provider: str, key: str, named: str) -> None:
    table = providers.table(provider, "m", "http://127.0.0.1:9").model_copy(update={"api_key": SecretStr(key)})
    with pytest.raises(ConfigurationError, match=rf"`tester`: `api_key`.*{named}") as caught:
        build_model(table, agent="tester")
    assert "abc" not in caught.value.message


@pytest.mark.parametrize("provider", NAMES)
async def test_a_netrc_file_gives_no_passwords_to_providers(
    provider: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password hidden-word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    async with raw_server(REFUSED) as server:
        model = build_model(providers.table(provider, "m", server.url), agent="tester")
        _, headers = await request_of(model, server.requests)
    assert not headers.get("authorization", "").startswith("Basic")


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize("prefix", ["http://", ""], ids=["with scheme", "without"])
async def test_a_proxy_of_the_environment_is_asked_unless_the_host_is_excepted(
    variable: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with raw_server(REFUSED) as proxy, raw_server(REFUSED) as server:
        monkeypatch.setenv(variable, proxy.url.replace("http://", prefix))
        table = providers.table("openai", "m", server.url)
        target, _ = await request_of(build_model(table, agent="tester"), proxy.requests)
        assert target == f"{server.url}/v1/chat/completions"
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        await request_of(build_model(table, agent="tester"), server.requests)
    assert (len(proxy.requests), len(server.requests)) == (1, 1)


PROXY_ANSWERS = {
    "refusal": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"SSH-2.0-x\r\n",
    "the request": b"HTTP/1.1 502 %(head)s",
    "the request as a body": b"HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\n%(head)s",
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("reply", PROXY_ANSWERS.values(), ids=PROXY_ANSWERS)
async def test_the_password_of_a_proxy_does_not_show(
    scheme: str, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with raw_server(reply) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("http://", "http://someone:hidden%2Fword@"))
        table = providers.table("openai", "m", f"{scheme}://provider.invalid")
        model = import_module("aura_py.llm.openai.client").build(table, agent="tester")
        with anyio.fail_after(30), pytest.raises(ProviderError) as caught:
            async for _ in model.stream(ChatRequest((user("hi"),))):
                pass
        await model.aclose()
    assert b"Proxy-Authorization: Basic c29tZW9uZTpoaWRkZW4vd29yZA==" in proxy.requests[0]
    told = f"{caught.value!r} {caught.value.detail}"
    for secret in ("hidden", "someone", "c29tZW9uZTpoaWRkZW4vd29yZA", KEY):
        assert secret not in told
