"""Python agent frameworks against the real server, through the Responses API."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wire.process import AuraServer, environment

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(400)]

CLIENTS = ("openai", "openai-agents", "langchain", "pydantic-ai")
SCRIPTS = Path(__file__).parent / "python"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the clients installed, which are too many packages for the development environment."""
    directory = tmp_path_factory.mktemp("python") / "venv"
    binary = directory / "bin" / "python"
    install = [str(binary), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(directory)], capture_output=True, timeout=60, check=True)
        done = subprocess.run(
            [*install, str(SCRIPTS / "requirements.txt")], capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.SubprocessError as error:
        pytest.skip(f"the clients could not be installed: {error}")
    if done.returncode != 0:
        pytest.skip(f"pip could not install the clients: {done.stderr.strip()[-300:]}")
    return binary


def ask(python: Path, server: AuraServer, client: str, model: str, *questions: str) -> Any:
    done = subprocess.run(
        [str(python), str(SCRIPTS / "clients.py"), client, f"{server.url}/v1", model, *questions],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_goes_on_over_what_the_client_kept_of_it(python: Path, server: AuraServer, client: str) -> None:
    seen = ask(python, server, client, "ops", "hi", "hi again")
    assert seen == {"text": "You said hi again", "calls": [], "error": None}


@pytest.mark.parametrize("client", CLIENTS)
def test_no_client_runs_a_tool_that_aura_ran(python: Path, server: AuraServer, client: str) -> None:
    seen = ask(python, server, client, "files", "list", "hi")
    assert seen == {"text": "You said hi", "calls": [], "error": None}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_runs_its_own_tool(python: Path, server: AuraServer, client: str) -> None:
    seen = ask(python, server, client, "dev", "use it")
    runs_tools = client != "openai"
    assert seen["error"] is None
    assert seen["calls"] == (["a.cfg"] if runs_tools else ['{"path":"a.cfg"}'])
    assert seen["text"] == ("It says port=9000" if runs_tools else "Looking.")
