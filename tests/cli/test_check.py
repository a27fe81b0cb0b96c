"""`aura check` and `aura schema`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from aura_py.cli import main

GOOD = """
[agent]
name = "{name}"
system_prompt = "Answer."
{more}

[agent.llm]
provider = "scripted"
model = "demo"
rules = [{{ say = "hello" }}]
"""


def write(folder: Path, name: str, more: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(GOOD.format(name=name, more=more))
    return path


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURA_DISABLE_DOTENV", "true")
    for name in ("CONFIG_PATH", "DEFAULT_AGENT", "AURA_CONFIG_STRICT"):
        monkeypatch.delenv(name, raising=False)


def test_agents_are_printed_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "first")
    write(tmp_path, "second", "hidden = true")
    assert main(["check", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["AGENT", "MODEL", "MCP", "SERVERS", "NOTES", "FILE"]
    assert lines[1].startswith("first   scripted/demo  -            scripted, not a language model")
    assert "hidden" in lines[2]
    assert lines[-1] == "2 agents, no problems"


def test_every_problem_of_every_file_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a", 'turn_depth = "deep"')
    write(tmp_path, "b", 'tempreature = 0.2\nmcp_filter = ["["]')
    (tmp_path / "c.toml").write_text("[agent\n")
    assert main(["check", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    for expected in ("a.toml:5", "b.toml:5", "b.toml:6", "c.toml:1", "4 errors in 3 files; nothing was started"):
        assert expected in captured.err


def test_a_script_with_a_bad_expression_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a")
    path.write_text(path.read_text().replace('{ say = "hello" }', "{ user = '(', say = 'x' }"))
    assert main(["check", str(path)]) == 1
    assert "rules" in capsys.readouterr().err


def test_unknown_keys_are_warnings_until_it_is_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a")
    path.write_text(path.read_text() + "\n[unheard_of]\nx = 1\n")
    assert main(["check", str(path)]) == 0
    assert "WARN-KEY01" in capsys.readouterr().err
    assert main(["check", str(path), "--strict"]) == 1


def test_json_holds_agents_or_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a")
    assert main(["check", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["diagnostics"] == []
    assert [(each["id"], each["provider"], each["file"]) for each in told["agents"]] == [("a", "scripted", str(path))]
    path.write_text("[agent]\n")
    assert main(["check", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["agents"]) == (False, [])
    assert {"code", "file", "line", "column", "key", "message", "fix", "severity"} == set(told["diagnostics"][0])


def test_without_a_configuration_there_is_a_friendly_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    told = capsys.readouterr().err
    assert "There is no `config.toml`" in told
    assert "CONFIG_PATH" in told


def test_a_path_that_does_not_exist_is_told_as_given_and_resolved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "nowhere.toml"]) == 1
    told = capsys.readouterr().err
    assert "CFG-F01" in told
    assert str(tmp_path / "nowhere.toml") in told


def test_config_path_of_the_environment_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIG_PATH", str(write(tmp_path, "named")))
    assert main(["check"]) == 0
    assert "named" in capsys.readouterr().out


def test_dotenv_beside_the_configuration_gives_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AURA_DISABLE_DOTENV")
    monkeypatch.setenv("A_DESCRIPTION", "to be removed afterwards")
    monkeypatch.delenv("A_DESCRIPTION")
    path = write(tmp_path, "a", 'description = "{{ env.A_DESCRIPTION }}"')
    (tmp_path / ".env").write_text("A_DESCRIPTION=from the file\n")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().err == ""


def test_no_secret_is_ever_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "sk-sentinel")
    path = tmp_path / "a.toml"
    path.write_text(
        '[agent]\nname = "a"\nsystem_prompt = ""\nturn_depth = "{{ env.A_SECRET }}"\n'
        '[agent.llm]\nprovider = "openai"\nmodel = "m"\n'
        'api_key = "{{ env.A_SECRET }}"\nbase_url = "{{ env.A_SECRET }}"\n'
    )
    for arguments in (["check", str(path)], ["check", str(path), "--json"]):
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert "sentinel" not in captured.out + captured.err


def test_the_schema_is_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))
