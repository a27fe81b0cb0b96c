"""The code blocks of the pages about clients, run against a real server."""

from __future__ import annotations

import re
import shutil
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


LIBRECHAT_CHECK = """
const { configSchema } = require("librechat-data-provider");
const yaml = require("js-yaml");
const given = yaml.load(require("fs").readFileSync(0, "utf8"));
const checked = configSchema.strict().safeParse(given);
console.log(JSON.stringify(checked.success ? checked.data.endpoints.custom : checked.error.issues));
process.exit(checked.success ? 0 : 1);
"""


@pytest.fixture(scope="module")
def librechat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with LibreChat's own schema of its file; skips where it cannot be had."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    home = tmp_path_factory.mktemp("librechat")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "librechat-data-provider", "js-yaml"]
    done = subprocess.run(install, cwd=home, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not install LibreChat's schema: {done.stderr.strip()[-200:]}")
    (home / "check.cjs").write_text(LIBRECHAT_CHECK)
    return home


@pytest.mark.soak
def test_librechat_s_own_schema_takes_the_shipped_and_the_documented_file(librechat: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", (PAGES / "librechat.md").read_text(), re.DOTALL)
    assert block is not None
    for text in ((PAGES.parents[1] / "compose" / "librechat.yaml").read_text(), block[1]):
        done = subprocess.run(
            ["node", "check.cjs"], cwd=librechat, input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout
        # Nothing that the file says was left out as unknown.
        assert '"X-Chat-Session-Id":"{{LIBRECHAT_BODY_CONVERSATIONID}}"' in done.stdout
        assert '"titleModel":"current_model"' in done.stdout
