"""JavaScript clients against the real server: openai, Vercel AI SDK, LangChain."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.wire.process import AuraServer, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = ("raw", "helper", "ai-sdk", "langchain")
RESPONSES = ("responses", "ai-sdk-responses", "langchain-responses")
"""The same through the Responses API."""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the clients installed; skips where node or its packages cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    directory = tmp_path_factory.mktemp("node")
    shutil.copytree(Path(__file__).parent / "node", directory, dirs_exist_ok=True)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    try:
        done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the clients in time")
    if done.returncode != 0:
        pytest.skip(f"npm could not install the clients: {done.stderr.strip()[-300:]}")
    return directory


def ask(node: Path, server: AuraServer, client: str, question: str, *, events: str = "off", tools: str = "off") -> Any:
    done = subprocess.run(
        ["node", "clients.mjs", client, f"{server.url}/v1", question, events, tools],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("events", ["off", "on"])
@pytest.mark.parametrize("client", CLIENTS + RESPONSES)
def test_every_client_reads_an_answer(node: Path, server: AuraServer, client: str, events: str) -> None:
    seen = ask(node, server, client, "hi", events=events)
    assert seen == {"text": "You said hi", "finish": "stop", "usage": 14, "calls": [], "error": None}


@pytest.mark.parametrize("client", CLIENTS + RESPONSES)
def test_every_client_gets_its_own_tool_call(node: Path, server: AuraServer, client: str) -> None:
    seen = ask(node, server, client, "use it", tools="on")
    assert seen["error"] is None
    assert (seen["text"], seen["finish"]) == ("Looking.", "tool_calls")
    assert seen["calls"] == [{"name": "read_file", "arguments": '{"path":"a.cfg"}'}]


@pytest.mark.parametrize("question", ["break", "reject"])
@pytest.mark.parametrize("client", [*CLIENTS, "responses", "ai-sdk-responses"])
def test_every_client_notices_a_failure(node: Path, server: AuraServer, client: str, question: str) -> None:
    seen = ask(node, server, client, question)
    assert seen["error"]
    assert "raw provider text" not in seen["error"]


@pytest.mark.parametrize("client", CLIENTS + RESPONSES)
def test_an_answer_that_was_cut_is_seen_as_cut(node: Path, server: AuraServer, client: str) -> None:
    seen = ask(node, server, client, "cut")
    assert seen["finish"] == "length" or "length" in str(seen["error"])


@pytest.mark.parametrize("events", ["off", "on"])
@pytest.mark.parametrize("client", CLIENTS + RESPONSES)
def test_no_client_is_asked_to_run_a_tool_that_aura_ran(
    node: Path, server: AuraServer, client: str, events: str
) -> None:
    seen = ask(node, server, client, "list", events=events)
    assert (seen["calls"], seen["finish"], seen["error"]) == ([], "stop", None)
    assert seen["text"].startswith("Looking." + ("" if client in RESPONSES else "\n\n") + "Found ")
    assert "one.txt" in seen["text"]
