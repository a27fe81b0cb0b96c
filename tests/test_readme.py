"""The README's blocks, executed while the quickstart runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura_py.config import load

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)


def blocks(language: str, word: str) -> str:
    found = [text for kind, text in BLOCKS if kind == language and word in text]
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def quickstart() -> Iterator[tuple[int, str]]:
    """The port of a running quickstart and what it printed, welcome included."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "examples/quickstart/run.py"],
        cwd=PROJECT,
        env=os.environ | {"PORT": str(port), "AURA_DISABLE_DOTENV": "true"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("Ctrl-C stops everything"):
            break
    assert process.poll() is None, printed
    yield port, printed
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.stdout.close()


def run(command: list[str], port: int) -> str:
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_block_has_a_test() -> None:
    assert [kind for kind, _ in BLOCKS] == ["sh", "sh", "python", "toml", "sh"]


def test_the_two_commands_exist() -> None:
    for line in blocks("sh", "make run").splitlines():
        command = line.split("#")[0].split()
        subprocess.run([*command, "--dry-run"], cwd=PROJECT, capture_output=True, timeout=60, check=True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_curl_line_streams_the_answer(quickstart: tuple[int, str]) -> None:
    port, printed = quickstart
    command = blocks("sh", "curl")
    assert command.replace("8080", str(port)).split() == re.search(r"^  curl .*?\n\n", printed, re.M | re.S)[0].split()  # type: ignore[index]
    streamed = run(["bash", "-c", command.replace("8080", str(port))], port)
    assert "458.8" in streamed
    assert streamed.endswith("data: [DONE]\n\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_welcome_names_every_agent_and_how_to_ask_the_team(quickstart: tuple[int, str]) -> None:
    port, printed = quickstart
    assert "as the models `assistant`, `guide`, `librarian` and `team`." in printed
    commands = re.findall(r"^  curl .*?\n\n", printed, re.M | re.S)
    assert len(commands) == 2
    streamed = run(["bash", "-c", commands[1]], port)
    assert "Python files and" in streamed
    assert streamed.endswith("data: [DONE]\n\n")


def test_the_guide_finds_the_page_that_answers(quickstart: tuple[int, str]) -> None:
    port, _ = quickstart
    base = f"http://127.0.0.1:{port}"
    while True:  # it answers while it is still indexing, and says how far it is
        with urllib.request.urlopen(f"{base}/aura/info", timeout=30) as response:
            (guide,) = (agent for agent in json.load(response)["agents"] if agent["id"] == "guide")
        if guide["vector_stores"][0]["state"] == "ready":
            break
        time.sleep(0.1)
    body = {"model": "guide", "messages": [{"role": "user", "content": "How do I park large tool outputs?"}]}
    request = urllib.request.Request(
        f"{base}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)["choices"][0]["message"]["content"]
    assert "Result 1 · docs/scratchpad.md · Scratchpad" in answer


def test_the_python_block_prints_the_answer(quickstart: tuple[int, str]) -> None:
    port, printed = quickstart
    program = blocks("python", "OpenAI").replace("8080", str(port))
    assert program.replace(" ", "").replace("\n", "") in printed.replace(" ", "").replace("\n", "")
    answer = run([sys.executable, "-c", program], port)
    files = [path for path in PROJECT.rglob("*.py") if not any(part.startswith(".") for part in path.parts)]
    assert re.match(r"There are \d+ files matching `\*\.py`", answer)
    assert int(re.findall(r"\d+", answer)[0]) <= len(files)


def test_the_toml_block_is_an_agent(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(blocks("toml", "[agent.llm]"))
    assert load(path, env={"OPENAI_API_KEY": "sk"}, strict=True).agents[0].agent.llm.provider == "openai"
    assert path.read_text() in (PROJECT / "examples" / "minimal" / "openai.toml").read_text()


def test_the_aura_commands_work(quickstart: tuple[int, str]) -> None:
    checked, asked = blocks("sh", ".venv/bin/aura").strip().splitlines()
    for command, expected in ((checked, "agents, no problems"), (asked, "contain `frozen`")):
        command = command.replace(".venv/bin/aura", f"{shlex.quote(sys.executable)} -m aura_py")
        environment = {"QUICKSTART_PYTHON": sys.executable}
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=PROJECT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert expected in ended.stdout
