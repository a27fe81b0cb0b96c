"""The `aura` group: quick to answer, exact in its exit statuses."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aura_py import __version__
from aura_py.cli import main
from tests.cli.processes import aura, environment

ENGINE = ("mcp", "openai", "anthropic", "starlette", "jinja2", "anyio", "rich")
HEAVY = (*ENGINE, "pydantic", "orjson", "asyncio")


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--version"], HEAVY),
        (["--help"], HEAVY),
        (["run", "--help"], HEAVY),
        (["serve", "--help"], ENGINE),
        (["check", "-h"], ENGINE),
    ],
)
def test_what_needs_no_agent_imports_nothing_heavy(arguments: list[str], heavy: tuple[str, ...]) -> None:
    program = (
        f"import sys; from aura_py.cli import main; main({arguments!r}); print(*sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ended.stderr.split())
    assert "click" in loaded
    assert loaded.isdisjoint(heavy)


def test_the_version_is_told() -> None:
    ended = aura("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"aura {__version__}\n", "")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("serve", "check", "run", "schema"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", ""],
        ["serve", "--config", " "],
        ["run", "--config", "", "hello"],
        ["run", "--timeout", "nan", "hello"],
        ["nonsense"],
        ["serve", "--nonsense"],
        ["check", "one", "two"],
        ["run"],
        [],
        ["run", "--output", "xml", "hello"],
    ],
)
def test_wrong_usage_is_status_2_and_one_clear_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Usage: aura" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_reason_for_a_traceback() -> None:
    command = f"{shlex.quote(sys.executable)} -m aura_py schema | head -c 20"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert len(ended.stdout) == 20
    assert ended.stderr == ""


AGENT = """
[agent]
name = "only"
system_prompt = "Answer."

[agent.llm]
provider = "scripted"
model = "demo"
rules = [{ say = "→ {{ user }}" }]
"""


def shell(line: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    (cwd / "agent.toml").write_text(AGENT)
    command = line.replace("aura", f"{shlex.quote(sys.executable)} -m aura_py")
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize(
    ("line", "out", "err"),
    [
        ("aura run -c agent.toml hello >&-", "", ""),
        ("aura run -c agent.toml hello 2>&-", "→ hello\n", ""),
        ("aura run -c agent.toml hello <&-", "→ hello\n", ""),
        ("aura run -c nowhere.toml hello >&- 2>&- <&- || test $? = 1", "", ""),
    ],
)
def test_a_closed_stream_is_no_reason_to_crash(tmp_path: Path, line: str, out: str, err: str) -> None:
    ended = shell(line, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, out, err)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device on this machine")
@pytest.mark.parametrize(
    "line", ["aura run -c agent.toml hello", "aura check agent.toml", "aura schema", "aura --version"]
)
def test_a_full_disk_is_one_sentence(tmp_path: Path, line: str) -> None:
    ended = shell(f"{line} > /dev/full", tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "error: the output cannot be written: No space left on device\n")


def test_an_encoding_without_the_answers_letters_still_shows_the_answer(tmp_path: Path) -> None:
    ended = shell("aura run -c agent.toml hello", tmp_path, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "\\u2192 hello\n", "")


@pytest.mark.parametrize("line", [r"printf 'a\xffb' | aura run -c agent.toml -", r"aura run -c agent.toml $'a\xffb'"])
def test_a_question_that_is_not_utf_8_is_asked_all_the_same(tmp_path: Path, line: str) -> None:
    ended = shell(line, tmp_path, PYTHONUTF8="1")
    assert ended.returncode == 0
    assert ended.stdout in ("→ a\N{REPLACEMENT CHARACTER}b\n", "→ a?b\n")


@pytest.mark.parametrize("command", ["check", "serve", "run -c"])
def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path: Path, command: str) -> None:
    question = "hello" if command == "run -c" else ""
    ended = shell(f"mkdir gone; cd gone; rmdir ../gone; aura {command} {tmp_path}/agent.toml {question}", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "error: The working directory does not exist any more; change to another one.\n"


def test_a_path_that_cannot_be_looked_at_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    long = f"{'x' * 300}/agent.toml"
    for ended in (
        aura("check", long, env={"AURA_DISABLE_DOTENV": ""}),
        aura("serve", "-c", long),
        aura("run", "-c", long, "hello"),
    ):
        assert ended.returncode == 1
        assert ended.stderr.startswith("error[CFG-F03]")
        assert "Traceback" not in ended.stderr
