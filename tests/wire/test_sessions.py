"""Turns of one session, runs that outlive their client, and end users, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer

POLICIES = {"queue": "queue", "busy": "reject", "newest": "interrupt"}


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    agents: Path = tmp_path_factory.mktemp("sessions") / "agents"
    agents.mkdir()
    for name, policy in POLICIES.items():
        (agents / f"{name}.toml").write_text(agent_file(name, f'session_turns = "{policy}"'))
    (agents / "steady.toml").write_text(agent_file("steady", 'on_disconnect = "continue"'))
    running = AuraServer.start(agents, agents.parent)
    yield running
    running.stop()


def ask(model: str, text: str, *, stream: bool = True) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


def test_a_queued_stream_shows_its_role_at_once_and_its_answer_after_the_turn_before(sessions: AuraServer) -> None:
    url, headers = f"{sessions.url}/v1/chat/completions", {"x-chat-session-id": "q"}
    with httpx.Client(timeout=20) as client:
        with client.stream("POST", url, json=ask("queue", "hang"), headers=headers) as first:
            next(first.iter_lines())
            with client.stream("POST", url, json=ask("queue", "hi"), headers=headers) as second:
                lines = second.iter_lines()
                assert '"role":"assistant"' in next(lines)
                first.close()
                rest = "\n".join(lines)
    assert "You said hi" in rest


def test_an_sdk_sees_a_busy_session_and_an_interrupted_answer_as_errors(sessions: AuraServer) -> None:
    client = openai.OpenAI(base_url=f"{sessions.url}/v1", api_key="none", max_retries=0, timeout=20)
    headers = {"x-chat-session-id": "s"}
    with client.chat.completions.create(
        model="busy", stream=True, messages=[{"role": "user", "content": "hang"}], extra_headers=headers
    ) as first:
        next(iter(first))
        with pytest.raises(openai.ConflictError) as refused:
            client.chat.completions.create(
                model="busy", messages=[{"role": "user", "content": "hi"}], extra_headers=headers
            )
        assert refused.value.code == "session_busy"
        assert int(refused.value.response.headers["retry-after"]) >= 1
    older = client.chat.completions.create(
        model="newest", stream=True, messages=[{"role": "user", "content": "hang"}], extra_headers=headers
    )
    chunks = iter(older)
    next(chunks)
    newer = client.chat.completions.create(
        model="newest", messages=[{"role": "user", "content": "hi"}], extra_headers=headers
    )
    assert newer.choices[0].message.content == "You said hi"
    with pytest.raises(openai.APIError, match="newer message"):
        list(chunks)


def test_a_run_that_continues_is_rejoined_over_a_new_connection(sessions: AuraServer) -> None:
    url, headers = f"{sessions.url}/v1/chat/completions", {"idempotency-key": "k"}
    with httpx.Client(timeout=20) as client:
        with client.stream("POST", url, json=ask("steady", "slow"), headers=headers) as first:
            next(first.iter_lines())
            run = first.headers["x-request-id"]
        answer = client.post(url, json=ask("steady", "slow"), headers=headers)
    assert answer.headers["x-request-id"] == run
    assert "three" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


def test_many_sessions_do_not_wait_for_each_other(sessions: AuraServer) -> None:
    url = f"{sessions.url}/v1/chat/completions"
    answers: list[str] = []

    def one(number: int) -> None:
        headers = {"x-chat-session-id": f"many-{number % 10}"}
        answers.append(httpx.post(url, json=ask("queue", f"m{number}"), headers=headers, timeout=30).text)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 40
    assert all(answer.endswith("data: [DONE]\n\n") and "You said m" in answer for answer in answers)
