"""`aura check` and `aura schema`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from aura_py.cli import main
from tests.cli.processes import aura, on_terminal

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
    for name in ("CONFIG_PATH", "DEFAULT_AGENT", "AURA_CONFIG_STRICT", "AURA_API_KEYS", "AURA_API_KEYS_FILE"):
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


def test_a_terminal_gets_columns_that_fit_and_colour_unless_it_is_unwelcome(tmp_path: Path) -> None:
    write(tmp_path, "first", 'description = "d"\nalias = "a/\\u001b[31mred"')
    status, shown = on_terminal("check", tmp_path, columns=60)
    assert status == 0
    assert "\x1b[1m" in shown
    assert "\x1b[31m" not in shown
    status, plain = on_terminal("check", tmp_path, columns=60, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 60
    assert "a/[31mred  scripted/demo" in plain
    assert aura("check", tmp_path).stdout.count("\n") == 4


def test_a_terminal_sees_severities_in_colour(tmp_path: Path) -> None:
    path = write(tmp_path, "a", "turn_depth = -1")
    status, shown = on_terminal("check", path)
    assert (status, shown.startswith("\x1b[1;31merror\x1b[0m[CFG-S03] ")) == (1, True)
    assert on_terminal("check", path, env={"NO_COLOR": "1"})[1].startswith("error[CFG-S03] ")
    assert aura("check", path).stderr.startswith("error[CFG-S03] ")


def test_json_is_json_also_when_there_is_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], [each["code"] for each in told["diagnostics"]]) == (False, ["CFG-F01"])


def test_keys_that_no_request_could_carry_are_found_before_the_server_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a")
    monkeypatch.setenv("AURA_API_KEYS_FILE", str(tmp_path / "nowhere"))
    assert main(["check", str(path)]) == 1
    assert "CFG-D08" in capsys.readouterr().err
    monkeypatch.setenv("AURA_API_KEYS_FILE", "")
    monkeypatch.setenv("AURA_API_KEYS", "reader:sk-sentinel")
    assert main(["check", str(path)]) == 0


def test_every_model_that_cannot_be_built_is_told_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text(
            f'[agent]\nname = "{name}"\nsystem_prompt = "p"\n[agent.llm]\nprovider = "bedrock"\nmodel = "m"\n'
            'region = "eu-central-1"\nprofile = "nobodys"\n'
        )
    assert main(["check", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert all(f"error[CFG-L07] {tmp_path}/{name}.toml  agent.llm" in told for name in "ab")
    assert told.endswith("2 errors in 2 files; nothing was started\n")


def test_checking_creates_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "a", "[agent.scratchpad]\nenabled = true")
    path.write_text(f'memory_dir = "{tmp_path}/memory"\n{path.read_text()}context_window = 9000\n')
    assert main(["check", str(tmp_path)]) == 0
    assert not (tmp_path / "memory").exists()
