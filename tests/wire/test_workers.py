"""Several processes on one port: who answers what, and what happens when one of them goes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import openai
import psutil
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer, command, environment

pytestmark = pytest.mark.slow
HEADERS = "x-chat-session-id"


def agents(directory: Path) -> Path:
    directory.mkdir()
    for name, extra in {
        "plain": "",
        "busy": 'session_turns = "reject"',
        "newest": 'session_turns = "interrupt"',
        "steady": 'on_disconnect = "continue"',
    }.items():
        (directory / f"{name}.toml").write_text(agent_file(name, extra))
    return directory


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    """Two processes that every test of the module may use, but not disturb."""
    home = tmp_path_factory.mktemp("workers")
    running = AuraServer.start(agents(home / "agents"), home, "--workers", "2")
    yield running
    running.stop()


@pytest.fixture
def disturbed(tmp_path: Path) -> Iterator[AuraServer]:
    running = AuraServer.start(agents(tmp_path / "agents"), tmp_path, "--workers", "2")
    yield running
    running.stop()


def ask(model: str, text: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


def chat(server: AuraServer, body: dict[str, object], **headers: str) -> httpx.Response:
    """One request over a connection of its own."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=sent, timeout=20)


def process_of(server: AuraServer) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request("GET", "/aura/info")
        found = json.loads(connection.getresponse().read())["process"]
    assert found["count"] == 2
    index: int = found["index"]
    return index


def serving(server: AuraServer) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def test_the_start_is_told_once(pair: AuraServer) -> None:
    names = ("busy", "newest", "plain", "steady")
    assert [line.split(" (")[0] for line in pair.lines[:-2]] == [f"agent {name}" for name in names]
    assert pair.lines[-2] == "2 processes on one port"
    assert pair.lines[-1].startswith("listening on ")


def test_each_process_gets_its_share_of_the_connections(pair: AuraServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        shares = Counter(pool.map(lambda _: process_of(pair), range(400)))
    assert set(shares) == {0, 1}
    assert min(shares.values()) >= 160, shares


def test_turns_of_a_session_meet_whichever_process_they_reach(pair: AuraServer) -> None:
    for session in ("one", "two", "three"):
        with (
            httpx.Client(timeout=20) as client,
            client.stream(
                "POST",
                f"{pair.url}/v1/chat/completions",
                json=ask("busy", "hang", stream=True),
                headers={HEADERS: session},
            ) as first,
        ):
            lines = first.iter_lines()
            assert '"role":"assistant"' in next(lines)
            answers = [chat(pair, ask("busy", "hi"), x_chat_session_id=session) for _ in range(8)]
        assert {answer.status_code for answer in answers} == {409}, session
        assert answers[0].json()["error"]["code"] == "session_busy"


def test_a_newer_message_ends_an_answer_of_another_process(pair: AuraServer) -> None:
    for session in ("one", "two", "three", "four"):
        with (
            httpx.Client(timeout=20) as client,
            client.stream(
                "POST",
                f"{pair.url}/v1/chat/completions",
                json=ask("newest", "hang", stream=True),
                headers={HEADERS: session},
            ) as first,
        ):
            lines = first.iter_lines()
            assert '"role":"assistant"' in next(lines)
            assert "You said hi" in chat(pair, ask("newest", "hi"), x_chat_session_id=session).text
            assert '"code":"interrupted"' in "".join(lines)


def test_a_repeated_key_gets_the_same_answer_from_any_process(pair: AuraServer) -> None:
    for key in ("a", "b", "c"):
        answers = [chat(pair, ask("plain", "hi"), idempotency_key=key) for _ in range(6)]
        assert len({answer.json()["id"] for answer in answers}) == 1
        other = chat(pair, ask("plain", "something else"), idempotency_key=key)
        assert other.status_code == 409


def test_a_counted_retry_finds_the_process_that_works_on_the_request(pair: AuraServer) -> None:
    def first_try(number: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{pair.url}/v1/chat/completions",
                json=ask("plain", f"slow {number}"),
                headers={"x-stainless-retry-count": "0"},
                timeout=0.5,
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(first_try, range(4)))
        again = [
            pool.submit(chat, pair, ask("plain", f"slow {number}"), x_stainless_retry_count=count)
            for number in range(4)
            for count in ("1", "2", "3")
        ]
        answers = [each.result() for each in again]
    assert [answer.status_code for answer in answers] == [200] * 12
    assert len({answer.json()["id"] for answer in answers}) == 4


def test_a_kept_run_is_found_by_any_process(pair: AuraServer) -> None:
    answers = [chat(pair, ask("steady", f"hi {number}", stream=True)) for number in range(4)]
    for answer in answers:
        for _ in range(4):
            kept = httpx.get(f"{pair.url}/aura/runs/{answer.headers['x-request-id']}", timeout=20)
            assert kept.content == answer.content
    assert httpx.get(f"{pair.url}/aura/runs/req_unknown", timeout=20).status_code == 404


def test_an_sdk_reads_a_stream_that_a_sibling_answers(pair: AuraServer) -> None:
    client = openai.OpenAI(base_url=f"{pair.url}/v1", api_key="none", max_retries=0, timeout=20)
    for session in ("one", "two", "three", "four"):
        stream = client.chat.completions.create(
            model="plain",
            stream=True,
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={HEADERS: session},
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "You said hi"


def test_a_client_that_leaves_ends_the_run_of_a_sibling(pair: AuraServer) -> None:
    for session in ("left-1", "left-2", "left-3"):
        with (
            httpx.Client(timeout=20) as client,
            client.stream(
                "POST",
                f"{pair.url}/v1/chat/completions",
                json=ask("plain", "hang", stream=True),
                headers={HEADERS: session},
            ) as first,
        ):
            next(first.iter_lines())
        # The queue of the session is free as soon as the run of the one that left has ended.
        assert "You said hi" in chat(pair, ask("plain", "hi"), x_chat_session_id=session).text


def test_requests_of_a_sibling_keep_their_query_and_their_errors(pair: AuraServer) -> None:
    for session in ("one", "two", "three", "four"):
        answer = httpx.post(
            f"{pair.url}/v1/chat/completions?x=%2F",
            json={"model": "nobody", "messages": []},
            headers={HEADERS: session},
            timeout=20,
        )
        assert answer.status_code in (400, 404)
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_replacing_the_processes_fails_no_request(disturbed: AuraServer) -> None:
    async def main() -> None:
        before = serving(disturbed)
        replaced = asyncio.Event()

        async def ask_on() -> int:
            answered = 0
            while not replaced.is_set():
                async with httpx.AsyncClient(timeout=20, verify=False) as client:  # a connection of its own
                    answer = await client.post(f"{disturbed.url}/v1/chat/completions", json=ask("plain", "hi"))
                assert answer.status_code == 200, answer.text
                answered += 1
            return answered

        asking = [asyncio.create_task(ask_on()) for _ in range(4)]
        disturbed.signal(signal.SIGUSR2)
        while before & serving(disturbed):
            await asyncio.wait(asking, timeout=0.05)  # ends early when one of them fails
            assert not any(task.done() for task in asking)
        replaced.set()
        assert all(count > 0 for count in await asyncio.gather(*asking))

    asyncio.run(main())
    assert len(serving(disturbed)) == 2


def test_a_stream_outlasts_the_replacement_of_its_process(disturbed: AuraServer) -> None:
    before = serving(disturbed)
    with (
        httpx.Client(timeout=30) as client,
        client.stream("POST", f"{disturbed.url}/v1/chat/completions", json=ask("plain", "slow", stream=True)) as stream,
    ):
        disturbed.signal(signal.SIGUSR2)
        text = "".join(stream.iter_lines())
    assert "three" in text
    assert text.endswith("[DONE]")
    gone = [psutil.Process(pid) for pid in before if psutil.pid_exists(pid)]
    assert not psutil.wait_procs(gone, timeout=20)[1]


def test_a_process_that_dies_is_replaced_and_its_requests_fail_clearly(disturbed: AuraServer) -> None:
    before = serving(disturbed)
    with (
        httpx.Client(timeout=20) as client,
        client.stream(
            "POST",
            f"{disturbed.url}/v1/chat/completions",
            json=ask("plain", "hang", stream=True),
            headers={HEADERS: "owned"},
        ) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):  # its own process or the one that passed it on: both are gone
            list(lines)
    assert "You said hi" in chat(disturbed, ask("plain", "hi")).text  # waited in the socket that the parent holds
    assert not before & serving(disturbed)
    assert "ended with status -9; another one takes its place" in disturbed.log


def test_when_the_parent_is_killed_the_processes_end(tmp_path: Path) -> None:
    server = AuraServer.start(agents(tmp_path / "agents"), tmp_path, "--workers", "2")
    children = [psutil.Process(pid) for pid in serving(server)]
    server.process.kill()
    assert not psutil.wait_procs(children, timeout=20)[1]
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_a_reload_reaches_every_process(disturbed: AuraServer, tmp_path: Path) -> None:
    (tmp_path / "agents" / "late.toml").write_text(agent_file("late"))
    disturbed.signal(signal.SIGHUP)
    seen: Counter[int] = Counter()
    while len(seen) < 2:
        body = httpx.get(f"{disturbed.url}/aura/info", timeout=20).json()
        if any(agent["id"] == "late" for agent in body["agents"]):
            seen[body["process"]["index"]] += 1


def test_what_keeps_the_first_process_from_starting_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[agent]\nnam = 1\n")
    one, several = (serve(tmp_path / "bad.toml", *flags) for flags in ((), ("--workers", "2")))
    assert several.returncode == one.returncode != 0
    assert several.stderr == one.stderr


def serve(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """A server that does not come up."""
    return subprocess.run(
        command("serve", str(path), *flags),
        env=environment(),
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_that_another_server_has_is_refused(tmp_path: Path, pair: AuraServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port in (taken.getsockname()[1], pair.port):
            ended = serve(agents(tmp_path / str(port)), "--workers", "2", "--port", str(port))
            assert ended.returncode == 1
            assert f"cannot listen on `127.0.0.1:{port}`" in ended.stderr
