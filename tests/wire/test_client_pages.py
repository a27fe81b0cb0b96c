"""The code blocks of the pages about clients, run against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.process import AuraServer, environment
from tests.wire.test_node_clients import node
from tests.wire.test_python_clients import python

__all__ = ["node", "python"]

PAGES = Path(__file__).parents[2] / "docs" / "clients"
BLOCK = re.compile(r"^```(python|javascript|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
AGENT = """
[agent]
name = "assistant"
system_prompt = "You calculate."
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
after_tool = "list_directory"
say = "The answer is 458.8."
[[agent.llm.rules]]
tool_calls = [{ name = "list_directory", arguments = { path = "." } }]
[tools]
filesystem = true
"""
BLOCKS = [
    pytest.param(
        path.stem,
        language,
        code,
        id=f"{path.stem}-{number}",
        marks=pytest.mark.soak if language == "javascript" or path.stem == "langchain" else pytest.mark.slow,
    )
    for path in sorted(PAGES.glob("*.md"))
    for number, (language, code) in enumerate(BLOCK.findall(path.read_text()), 1)
]


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    agents = tmp_path_factory.mktemp("assistant") / "agents"
    agents.mkdir()
    (agents / "assistant.toml").write_text(AGENT)
    (agents / "other.toml").write_text(AGENT.replace('"assistant"', '"other"'))
    running = AuraServer.start(agents, agents.parent)
    yield running
    running.stop()


@pytest.mark.parametrize(("page", "language", "code"), BLOCKS)
def test_a_block_does_what_the_page_says(
    page: str,
    language: str,
    code: str,
    assistant: AuraServer,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    code = code.replace("http://127.0.0.1:8080", assistant.url)
    directory = tmp_path
    if language == "sh":
        command = ["bash", "-euc", code]
    elif language == "python":
        binary = request.getfixturevalue("python") if page == "langchain" else sys.executable
        command = [str(binary), "-c", code]
    else:
        directory = request.getfixturevalue("node")
        (directory / "block.mjs").write_text(code)
        command = ["node", "block.mjs"]
    done = subprocess.run(
        command, cwd=directory, env=environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("458.8", "assistant", "tool_requested", "model_not_found")), done.stdout
