"""`aura serve` as a command: what it prints, and how it ends."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

from tests.cli.processes import aura, start

AGENT = """
[agent]
name = "only"
system_prompt = "Answer."

[agent.llm]
provider = "scripted"
model = "demo"
rules = [{ say = "hello" }]
"""


def test_it_says_where_it_listens_and_stops_on_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "only.toml"
    path.write_text(AGENT)
    process = start("serve", path, "--port", "0", env={"PORT": "1"})
    assert process.stdout is not None
    assert process.stdout.readline() == "agent only (scripted/demo)\n"
    where = process.stdout.readline().removeprefix("listening on ").strip()
    with urllib.request.urlopen(f"{where}/v1/models", timeout=30) as answer:
        assert b'"only"' in answer.read()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "only.toml"
    path.write_text(AGENT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = aura("serve", path, "--port", str(port))
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_broken_configuration_is_told_whole_before_anything_listens(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[agent]\nname = "a"\n')
    (tmp_path / "b.toml").write_text(AGENT.replace("say", "speak"))
    ended = aura("serve", tmp_path, "--port", "0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "a.toml" in ended.stderr
    assert "b.toml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_configuration_there_is_a_friendly_sentence(tmp_path: Path) -> None:
    ended = aura("serve", cwd=tmp_path)
    assert ended.returncode == 1
    assert "There is no `config.toml`" in ended.stderr
