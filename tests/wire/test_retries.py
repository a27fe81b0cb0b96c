"""Requests with an ``Idempotency-Key`` over real sockets."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.wire.process import AuraServer


def body(text: str, *, stream: bool) -> dict[str, object]:
    return {"model": "ops", "stream": stream, "messages": [{"role": "user", "content": text}]}


def url(server: AuraServer) -> str:
    return f"{server.url}/v1/chat/completions"


@pytest.mark.parametrize("stream", [True, False])
def test_a_repetition_over_a_new_connection_is_the_same_answer(server: AuraServer, stream: bool) -> None:
    headers = {"idempotency-key": f"replay-{stream}"}
    first = httpx.post(url(server), json=body("hi", stream=stream), headers=headers)
    again = httpx.post(url(server), json=body("hi", stream=stream), headers=headers)
    other = httpx.post(url(server), json=body("hi", stream=stream))
    assert first.status_code == 200
    assert again.content == first.content
    assert again.headers["x-request-id"] == first.headers["x-request-id"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert other.content != first.content


def test_a_key_with_another_body_is_a_conflict_that_an_sdk_understands(server: AuraServer) -> None:
    headers = {"idempotency-key": "conflict"}
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=3, timeout=20) as client:
        client.chat.completions.create(
            model="ops", messages=[{"role": "user", "content": "one"}], extra_headers=headers
        )
        with pytest.raises(openai.ConflictError) as refused:
            client.chat.completions.create(
                model="ops", messages=[{"role": "user", "content": "two"}], extra_headers=headers
            )
    assert refused.value.code == "conflict"
    assert refused.value.param == "Idempotency-Key"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_repetition_attaches_to_the_stream_that_is_running(server: AuraServer) -> None:
    headers, asked = {"idempotency-key": "attach"}, body("slow", stream=True)
    with httpx.Client(timeout=20) as client:
        with client.stream("POST", url(server), json=asked, headers=headers) as first:
            parts = first.iter_bytes()
            head = next(parts)
            assert b"[DONE]" not in head
            with client.stream("POST", url(server), json=asked, headers=headers) as second:
                assert second.headers["x-request-id"] == first.headers["x-request-id"]
                followed = second.read()
            whole = head + b"".join(parts)
    assert followed == whole
    assert b"three" in followed
    assert followed.endswith(b"data: [DONE]\n\n")


def test_a_running_stream_goes_on_for_its_follower_when_the_first_connection_closes(server: AuraServer) -> None:
    headers, asked = {"idempotency-key": "inherit"}, body("slow", stream=True)
    with httpx.Client(timeout=20) as leaver, httpx.Client(timeout=20) as stayer:
        with leaver.stream("POST", url(server), json=asked, headers=headers) as first:
            next(first.iter_bytes())
            with stayer.stream("POST", url(server), json=asked, headers=headers) as second:
                first.close()
                followed = second.read()
    assert b"three" in followed
    assert followed.endswith(b"data: [DONE]\n\n")


def test_the_key_of_a_running_stream_is_a_conflict_for_another_body(server: AuraServer) -> None:
    headers, asked = {"idempotency-key": "piece"}, body("slow", stream=True)
    with httpx.Client(timeout=20) as client:
        with client.stream("POST", url(server), json=asked, headers=headers) as running:
            next(running.iter_bytes())
            refused = client.post(url(server), json=body("slow", stream=False), headers=headers)
    assert refused.status_code == 409
