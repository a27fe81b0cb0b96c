"""Addresses that answer something other than a provider would, and where the API key shows up then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

import anyio
import httpx
import pytest

from aura_py.errors import ProviderError, ProviderNotFound, ProviderProtocolError, ProviderUnreachable
from aura_py.llm.contract import ChatModel, ChatRequest, Text
from aura_py.llm.resilience import ResilientModel, RetryPolicy
from aura_py.messages import user
from tests.cli.processes import start
from tests.llm.fakes import Says, answer
from tests.wire.process import AuraServer
from tests.wire.providers import providers
from tests.wire.providers.agents import address, llm_table
from tests.wire.providers.providers import AWS, KEY, NAMES
from tests.wire.providers.raw_server import ECHO, raw_server, read_request

ASK = ChatRequest((user("hi"),))
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x50",
    "a bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a bad version": b"HTTP/9.9 200 OK\r\n\r\n",
    "a header without a colon": OK + b"no colon here\r\n\r\n",
    "a header with a control character": OK + b"X: a\x00b\r\n\r\n",
    "a header of 20 kB": OK + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
    "200 headers": OK + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + b"\r\n",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nabcde",
    "a bad chunk": CHUNKED + b"\r\nzz\r\n",
    "half a chunk": CHUNKED + b"\r\n40\r\ndata: ",
    "no gzip": CHUNKED + b"Content-Encoding: gzip\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    "the request": ECHO,
    "the request as a status": b"HTTP/1.1 " + ECHO,
    "the request as a refusal": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + ECHO,
    "the request as a stream": OK + b"Content-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: " + ECHO,
    "the request as JSON": OK + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + ECHO,
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


def dialect(provider: str, url: str) -> ChatModel:
    """The model without retries around it."""
    build = import_module(f"aura_py.llm.{provider}").build
    return cast("ChatModel", build(providers.table(provider, "m", url), agent="tester"))


async def failure_of(model: ChatModel) -> ProviderError:
    with anyio.fail_after(60), pytest.raises(ProviderError) as caught:
        async for _ in model.stream(ASK):
            pass
    return caught.value


async def failure(provider: str, url: str, attempts: int = 1) -> ProviderError:
    """The failure of a call that is made up to ``attempts`` times."""
    policy = RetryPolicy(attempts=attempts, base=0, cap=0)
    model = ResilientModel(dialect(provider, url), agent="tester", policy=policy)
    try:
        return await failure_of(model)
    finally:
        await model.aclose()


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("reply", ANSWERS.values(), ids=ANSWERS)
async def test_whatever_answers_is_a_failure_of_the_provider_that_does_not_hold_the_key(
    provider: str, reply: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_server(reply) as server:
        error = await failure(provider, server.url)
    assert KEY in b"".join(server.requests).decode()
    assert error.status in (502, 503)
    ours = [caplog.handler.format(record) for record in caplog.records if record.name.startswith("aura_py")]
    assert KEY not in f"{error!r} {error.message} {error.detail} {ours}"
    assert server.url not in error.message
    if b"%(head)s" not in reply and not reply.startswith(CHUNKED):
        assert type(error) is ProviderUnreachable


@pytest.mark.parametrize("provider", NAMES)
async def test_the_next_model_of_the_chain_answers_for_an_address_that_does_not_speak_http(provider: str) -> None:
    async with raw_server(ANSWERS["another protocol"]) as server:
        first = dialect(provider, server.url)
        model = ResilientModel(first, [Says(answer("next"))], agent="tester", policy=RetryPolicy(base=0, cap=0))
        deltas = [delta async for batch in model.stream(ASK) for delta in batch]
        await model.aclose()
    assert deltas[0] == Text("next")


async def test_no_key_shows_in_the_server_s_log_and_answers(tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        names = []
        for number, reply in enumerate(ANSWERS.values()):
            server = await stack.enter_async_context(raw_server(reply))
            for provider in NAMES:
                name = f"{provider}-{number}"
                table = llm_table(provider, "m", address(provider, server.url))
                (agents / f"{name}.toml").write_text(
                    f'[agent]\nname = "{name}"\nsystem_prompt = "Hi."\n[agent.llm]\n{table}'
                )
                names.append(name)
        environment: Mapping[str, str] = {**AWS, "PYTHONPATH": str(Path.cwd())}
        aura = await anyio.to_thread.run_sync(
            lambda: AuraServer.start(agents, tmp_path, "--debug", "--debug-provider-errors", env=environment)
        )
        try:
            async with httpx.AsyncClient(base_url=aura.url, trust_env=False, timeout=100) as client:

                async def ask(name: str, stream: bool) -> None:
                    messages = [{"role": "user", "content": "hi"}]
                    body = {"model": name, "messages": messages, "stream": stream}
                    response = await client.post("/v1/chat/completions", json=body)
                    assert KEY not in response.text + repr(response.headers)
                    assert response.status_code in (200 if stream else 502, 502, 503), response.text

                async with asyncio.TaskGroup() as group:
                    for name in names:
                        group.create_task(ask(name, stream=name.endswith("1")))
        finally:
            await anyio.to_thread.run_sync(aura.stop)
    assert "cannot be reached" in aura.log
    assert KEY not in aura.log


@pytest.mark.slow
@pytest.mark.parametrize("provider", NAMES)
async def test_no_key_shows_in_what_aura_run_prints(provider: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    async with raw_server(ANSWERS["the request as a status"]) as server:
        table = llm_table(provider, "m", address(provider, server.url))
        file.write_text(f'[agent]\nname = "a"\nsystem_prompt = "Hi."\n[agent.llm]\n{table}')
        process = start("run", "--debug", "--config", file, "hi", env=AWS)
        out, err = await anyio.to_thread.run_sync(process.communicate)
    assert server.requests
    assert KEY not in out + err
    assert server.url in err


# --- redirects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("provider", NAMES)
async def test_a_redirect_is_not_followed_and_its_target_is_named(provider: str, status: int) -> None:
    async with raw_server(OK + b"Content-Length: 0\r\n\r\n") as target:
        location = target.url.replace("http://", "http://someone:secret-word@") + "/v2?token=secret-token"
        reply = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        async with raw_server(reply.encode()) as server:
            error = await failure(provider, server.url, attempts=3)
    assert (len(server.requests), target.connections) == (1, 0)
    assert type(error) is ProviderNotFound
    assert "redirects" in error.message
    assert f"{target.url}/v2" in str(error.detail)
    assert "secret" not in f"{error.message} {error.detail}"


@pytest.mark.parametrize(
    "head", ["101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade", "302 Found", "304 Not Modified"]
)
@pytest.mark.parametrize("provider", NAMES)
async def test_a_status_that_is_neither_answer_nor_error_is_tried_again(provider: str, head: str) -> None:
    async with raw_server(f"HTTP/1.1 {head}\r\n\r\n".encode()) as server:
        error = await failure(provider, server.url, attempts=2)
    assert type(error) is ProviderProtocolError
    assert len(server.requests) == 2


# --- what is read of a refusal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NAMES)
async def test_of_an_endless_error_body_only_the_beginning_is_read(provider: str) -> None:
    sent = 0

    async def without_end(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"context " * 8192)
            await writer.drain()
            sent += 65536

    async with raw_server(without_end) as server:
        error = await failure(provider, server.url)
    assert error.provider_status == 400
    # Buffers of the sockets are filled, too.
    assert sent < 32 * 1024 * 1024
    assert len(str(error.detail)) < 1000


# --- attempts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NAMES)
async def test_a_fresh_connection_that_is_dropped_counts_as_an_attempt(provider: str) -> None:
    async with raw_server(b"") as server:
        await failure(provider, server.url, attempts=3)
    assert len(server.requests) == 3


@pytest.mark.parametrize("provider", NAMES)
async def test_a_call_on_a_kept_connection_that_the_server_has_closed_is_sent_again_at_once(provider: str) -> None:
    answered: list[int] = []

    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = len(answered) + 1
        for answer_it in (True, False):
            with contextlib.suppress(asyncio.IncompleteReadError):
                await read_request(reader)
                if answer_it:
                    answered.append(connection)
                    writer.write(b"HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\n{}")
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(one_each, "127.0.0.1", 0)
    model = dialect(provider, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        errors = [await failure_of(model), await failure_of(model)]
        await model.aclose()
    assert [error.provider_status for error in errors] == [429, 429]
    assert answered == [1, 2]


# --- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NAMES)
async def test_a_request_says_who_sends_it(provider: str) -> None:
    from aura_py import __version__

    async with raw_server(b"") as server:
        await failure(provider, server.url)
    agents = [line for line in server.requests[0].split(b"\r\n") if line.lower().startswith(b"user-agent:")]
    assert agents == [f"User-Agent: aura/{__version__}".encode()]
