"""`aura health` beside servers that answer well, badly and not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aura_py.cli import main


@contextmanager
def answering(status: int, body: bytes, asked: list[str] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "code", "told"),
    [
        (200, b'{"status":"ready"}', 0, "ready"),
        (
            200,
            b'{"status":"degraded","reload":{"ok":false},"mcp_servers":{"failed":["a","b"]}}',
            0,
            "degraded: MCP servers that cannot be reached: a, b; the last reload changed nothing",
        ),
        (503, b'{"status":"not_ready","vector_stores":{"failed":["a"]}}', 1, "not_ready: vector stores that fail: a"),
        (503, b'{"status":"not_ready","draining":true}', 1, "not_ready: shutting down"),
        (200, b"<html>\x1b[31m", 0, "unexpected answer: status 200"),
        (200, b'{"status":"ready","mcp_servers":[1]}', 0, "unexpected answer: status 200"),
        (404, b"[]", 1, "unexpected answer: status 404"),
    ],
)
def test_what_the_server_says_is_told_on_one_line(
    status: int, body: bytes, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status, body) as url:
        assert main(["health", url]) == code
    assert capsys.readouterr().out == told + "\n"


def test_the_server_of_this_machine_is_asked_on_its_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    with answering(200, b'{"status":"alive"}', asked) as url:
        monkeypatch.setenv("HOST", "0.0.0.0")
        monkeypatch.setenv("PORT", url.rpartition(":")[2])
        assert main(["health", "--live"]) == 0
        assert main(["health"]) == 0
    assert asked == ["/health/live", "/health/ready"]
    assert capsys.readouterr().out == "alive\nalive\n"


def test_no_answer_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, b"") as url:
        pass
    assert main(["health", url]) == 1
    assert capsys.readouterr().err == f"error: no answer from {url}: Connection refused\n"


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port"])
def test_a_wrong_url_is_status_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", url]) == 2
    assert "is not a URL" in capsys.readouterr().err
