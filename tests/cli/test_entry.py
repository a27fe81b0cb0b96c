"""The `aura` group: quick to answer, exact in its exit statuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aura_py import __version__
from aura_py.cli import main
from tests.cli.processes import aura

HEAVY = ("pydantic", "mcp", "openai", "anthropic", "starlette", "jinja2", "orjson", "anyio", "asyncio", "rich")


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["serve", "--help"], ["run", "--help"], ["check", "-h"]]
)
def test_what_needs_no_agent_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        f"import sys; from aura_py.cli import main; main({arguments!r}); print(*sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ended.stderr.split())
    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_version_is_told() -> None:
    ended = aura("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"aura {__version__}\n", "")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("serve", "check", "run", "schema"))


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["serve", "--nonsense"], ["check", "one", "two"], ["run"], [], ["run", "--output", "xml", "hello"]],
)
def test_wrong_usage_is_status_2_and_one_clear_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Usage: aura" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_reason_for_a_traceback() -> None:
    command = f"{sys.executable} -m aura_py schema | head -c 20"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert len(ended.stdout) == 20
    assert ended.stderr == ""
