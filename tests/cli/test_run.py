"""`aura run`: real processes, real MCP servers, a scripted model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.processes import PROJECT, aura, on_terminal, start
from tests.servers.forking import server_command

AGENT = """
[agent]
name = "{name}"
system_prompt = "Answer."

[agent.llm]
provider = "scripted"
model = "demo"
{llm}

[mcp.servers.files]
transport = "stdio"
cmd = {server}
args = ["{folder}"]

{rules}
"""
RULES = """
[[agent.llm.rules]]
after_error = true
say = "It failed."

[[agent.llm.rules]]
after_tool = "count_files"
user = "at length"
say = "{% for number in range(5000) %}word {% endfor %}"

[[agent.llm.rules]]
after_tool = "count_files"
say = "There are {{ data.count }} files."

[[agent.llm.rules]]
user = "how many"
say = "Let me count."
tool_calls = [{ name = "count_files", arguments = { pattern = "*.txt" } }]

[[agent.llm.rules]]
user = "outside"
tool_calls = [{ name = "show_file", arguments = { path = "../x" } }]

[[agent.llm.rules]]
user = "break at once"
error = { status = 400, message = "no such thing" }

[[agent.llm.rules]]
user = "break later"
say = "The first half is here and the second never comes."
error = { status = 500, message = "gone", after_chars = 20 }

[[agent.llm.rules]]
user = "too long"
say = "It was cut"
finish = "length"

[[agent.llm.rules]]
user = "hang"
hang = true

[[agent.llm.rules]]
say = "You said: {{ user }}"
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text("x")
    (tmp_path / "agents").mkdir()
    return tmp_path / "agents"


def agent(agents: Path, name: str = "one", llm: str = "") -> Path:
    path = agents / f"{name}.toml"
    server = PROJECT / "examples" / "quickstart" / "files_server.py"
    path.write_text(
        AGENT.format(
            name=name,
            llm=llm,
            server=json.dumps(server_command(server)),
            folder=agents.parent / "data",
            rules=RULES,
        )
    )
    return path


def test_the_answer_is_on_stdout_and_the_work_on_stderr(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "how many files are there?")
    assert ended.stdout == "Let me count.\n\nThere are 3 files.\n"
    assert "→ count_files" in ended.stderr
    assert "← count_files" in ended.stderr
    assert "\x1b" not in ended.stderr
    assert ended.returncode == 0


def test_a_failing_tool_is_shown_and_the_agent_still_answers(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "look outside")
    assert (ended.returncode, ended.stdout) == (0, "It failed.\n")
    assert "✗ show_file" in ended.stderr


def test_a_missing_server_is_named_and_the_agent_still_answers(agents: Path) -> None:
    path = agent(agents)
    path.write_text(path.read_text().replace("files_server.py", "no_such_server.py"))
    ended = aura("run", "--config", path, "hello")
    assert (ended.returncode, ended.stdout) == (0, "You said: hello\n")
    assert "MCP server `files` is not available" in ended.stderr


def test_a_dash_reads_the_question_from_stdin(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "-", stdin="from a pipe")
    assert ended.stdout == "You said: from a pipe\n"


def test_json_is_one_object(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "--output", "json", "--session", "s-1", "how many?")
    told = json.loads(ended.stdout)
    assert (told["content"], told["model"], told["session_id"]) == ("There are 3 files.", "scripted/demo", "s-1")
    assert told["finish_reason"] == "stop"
    assert [(call["name"], call["ok"]) for call in told["tool_calls"]] == [("count_files", True)]
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"] > 0


def test_events_are_one_line_each_in_order(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "--output", "events", "how many?")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    names = [line["event"] for line in lines]
    assert names[:2] == ["session_info", "mcp_status"]
    assert names[-1] == "run_finished"
    steps = [name for name in names if name.startswith("tool_")]
    assert steps == ["tool_requested", "tool_started", "tool_completed"]
    assert lines[-1]["data"]["answer"] == "There are 3 files."


def test_separators_that_only_some_readers_take_for_line_ends_do_not_split_an_event(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "--output", "events", "a\u2028b\u2029c\x85d")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert lines[-1]["data"]["answer"] == "You said: a\u2028b\u2029c\x85d"


@pytest.mark.parametrize(
    ("question", "status", "stdout"),
    [
        ("break at once", 1, ""),
        ("break later", 3, "The first half is he\n"),
        ("too long", 3, "It was cut\n"),
    ],
)
def test_the_exit_status_says_what_failed(agents: Path, question: str, status: int, stdout: str) -> None:
    ended = aura("run", "--config", agent(agents), question)
    assert (ended.returncode, ended.stdout) == (status, stdout)
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr


def test_out_of_time_is_status_124(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "--timeout", "0.5", "hang")
    assert (ended.returncode, ended.stdout) == (124, "")
    assert "Traceback" not in ended.stderr


def test_among_several_agents_one_must_be_named(agents: Path) -> None:
    agent(agents, "one")
    agent(agents, "two")
    ended = aura("run", "--config", agents, "hello")
    assert ended.returncode == 2
    assert "`one`, `two`" in ended.stderr
    assert aura("run", "--config", agents, "--agent", "TWO", "hello").stdout == "You said: hello\n"
    assert aura("run", "--config", agents, "hello", env={"DEFAULT_AGENT": "one"}).stdout == "You said: hello\n"
    assert aura("run", "--config", agents, "--agent", "three", "hello").returncode == 2


def test_a_broken_configuration_is_status_1_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[agent]\n")
    ended = aura("run", "--config", tmp_path, "hello")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "CFG-S01" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_mid_stream_leaves_nothing_behind(agents: Path, number: signal.Signals) -> None:
    path = agent(agents, llm="tokens_per_second = 50")
    process = start("run", "--config", path, "how many? Answer at length.")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(4) == "Let "
    while "← count_files" not in process.stderr.readline():
        assert process.poll() is None
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_an_answer_that_nobody_reads_any_more_ends_without_a_traceback(agents: Path) -> None:
    process = start("run", "--config", agent(agents), "how many, at length?")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_an_unknown_name_is_a_warning_when_there_is_only_one_agent(agents: Path) -> None:
    ended = aura("run", "--config", agent(agents), "--agent", "nobody", "hello")
    assert (ended.returncode, ended.stdout) == (0, "You said: hello\n")
    assert ended.stderr.startswith("warning: There is no agent `nobody`")


def test_hidden_agents_are_answered_by_but_not_offered(agents: Path) -> None:
    agent(agents, "one")
    agent(agents, "two")
    secret = agent(agents, "secret")
    secret.write_text(secret.read_text().replace("system_prompt", "hidden = true\nsystem_prompt"))
    for asked in ([], ["--agent", "three"]):
        ended = aura("run", "--config", agents, *asked, "hello")
        assert ended.returncode == 2
        assert "`one`, `two`" in ended.stderr
        assert "secret" not in ended.stderr
    assert aura("run", "--config", agents, "--agent", "secret", "hello").stdout == "You said: hello\n"


def test_a_terminal_is_not_at_the_mercy_of_what_a_model_says(agents: Path) -> None:
    path = agent(agents)
    path.write_text(path.read_text().replace("You said:", r"\u001b]0;title\u0007\u001b[31m\u009bred:"))
    status, shown = on_terminal("run", "--config", path, "hello")
    assert (status, shown) == (0, "]0;title[31mred: hello\n")
    assert aura("run", "--config", path, "hello").stdout == "\x1b]0;title\x07\x1b[31m\x9bred: hello\n"


EMPTY = """
from mcp.server import MCPServer

MCPServer("empty", log_level="WARNING").run("stdio")
"""


def test_servers_without_tools_and_servers_that_are_missing_get_a_line_each(agents: Path) -> None:
    (agents.parent / "empty.py").write_text(EMPTY)
    path = agent(agents)
    text = path.read_text().replace("files_server.py", "no_such_server.py")
    command = json.dumps([sys.executable, str(agents.parent / "empty.py")])
    path.write_text(f'{text}\n[mcp.servers.empty]\ntransport = "stdio"\ncmd = {command}\n')
    lines = aura("run", "--config", path, "hello").stderr.splitlines()
    assert any(line.startswith("! MCP server `files` is not available: ") for line in lines)
    assert "! MCP server `empty` has no tools" in lines


def test_extra_headers_stand_for_those_of_a_request(agents: Path) -> None:
    command = server_command("mock", "--http", "0")
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        path = agents / "caller.toml"
        path.write_text(CALLER.format(url=server.stdout.readline().strip()))
        told = [
            aura("run", "--config", path, "who am I?", env={"AURA_EXTRA_HEADERS": value}).stdout
            for value in ("", "X-User: ann, X-Other: b", '{"x-user": "a,b"}')
        ]
        server.terminate()
    assert told == ["You are nobody.\n", "You are ann.\n", "You are a,b.\n"]


CALLER = """
[agent]
name = "caller"
system_prompt = "Answer."

[agent.llm]
provider = "scripted"
model = "demo"
rules = [
    {{ after_tool = "echo_headers", say = "You are {{{{ data['x-me'] }}}}." }},
    {{ tool_calls = [{{ name = "echo_headers" }}] }},
]

[mcp.servers.mock]
transport = "http_streamable"
url = "{url}"
headers = {{ X-Me = "nobody" }}
headers_from_request = {{ X-Me = "x-user" }}
"""
