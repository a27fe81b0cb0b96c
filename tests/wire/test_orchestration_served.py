"""The quickstart's team, served by the real command and asked over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("project")
    for name in ("one.py", "two.py", "three.py", "four.py", "settings.toml"):
        (folder / name).write_text("x = 1\n")
    desk = subprocess.Popen([sys.executable, str(QUICKSTART / "desk_server.py")], stdout=subprocess.PIPE, text=True)
    environment = {
        **os.environ,
        "QUICKSTART_DESK_URL": _line(desk),
        "QUICKSTART_PYTHON": sys.executable,
        "QUICKSTART_FILES_SERVER": str(QUICKSTART / "files_server.py"),
        "QUICKSTART_FOLDER": str(folder),
        "AURA_CUSTOM_EVENTS": "true",
    }
    command = [sys.executable, "-m", "aura_py", "serve", str(QUICKSTART / "agents" / "team.toml"), "--port", "0"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _address(server)
    finally:
        for process in (server, desk):
            process.terminate()
            process.wait(20)
            assert process.stdout is not None
            process.stdout.close()


def _address(server: subprocess.Popen[str]) -> str:
    said: list[str] = []
    while line := _line(server):
        said.append(line)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found and found.group(1) != "0":
            return found.group()
    raise AssertionError("the server did not start:\n" + "\n".join(said))


def _ask(url: str, question: str) -> list[tuple[str, Any]]:
    """The frames of the answer: event name (empty for chunks) and data."""
    body = {"model": "team", "stream": True, "messages": [{"role": "user", "content": question}]}
    frames: list[tuple[str, Any]] = []
    with httpx.Client(timeout=60) as client, client.stream("POST", f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status_code == 200
        name = ""
        for line in reply.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and line != "data: [DONE]":
                frames.append((name, orjson.loads(line.removeprefix("data: "))))
                name = ""
    return frames


def _content(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def test_one_request_becomes_five_tasks_in_three_waves_with_real_tools(served: str) -> None:
    frames = _ask(served, "Write a report on the project's files")
    names = [name.removeprefix("aura.orchestrator.") for name, _ in frames if name.startswith("aura.orchestrator.")]
    plan = next(data for name, data in frames if name.endswith("plan_created"))
    assert len(plan["tasks"]) == 5
    order = [
        (name.rpartition("_")[2], data["task_id"])
        for name, data in frames
        if name.endswith(("task_started", "task_completed"))
    ]
    assert order[:3] == [("started", 0), ("started", 1), ("started", 2)]
    assert set(order[3:6]) == {("completed", 0), ("completed", 1), ("completed", 2)}
    assert order[6:] == [("started", 3), ("completed", 3), ("started", 4), ("completed", 4)]
    assert names.index("synthesizing") < names.index("direct_answer") < names.index("iteration_complete")
    text = "".join(_content(data) for name, data in frames if not name)
    assert text.startswith("The project held 4 Python files and 1 TOML files on ")
    assert text.endswith("That is 25 TOML files for every hundred Python files.")
    decision = next(i for i, (name, _) in enumerate(frames) if name.endswith("direct_answer"))
    first_text = next(
        i
        for i, (name, data) in enumerate(frames)
        if not name and data["choices"] and data["choices"][0]["delta"].get("content")
    )
    assert decision < first_text


def test_an_answer_without_a_stream_is_the_same_model(served: str) -> None:
    body = {"model": "team", "messages": [{"role": "user", "content": "What time is it in Tokyo and in Atlantis?"}]}
    reply = httpx.post(f"{served}/v1/chat/completions", json=body, timeout=60)
    answer = reply.json()
    text = answer["choices"][0]["message"]["content"]
    assert text.startswith("In Tokyo it is ")
    assert "Atlantis" in text
    assert answer["usage"]["total_tokens"] > 0
