"""The flags of `aura serve`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from aura_py.cli import main
from aura_py.cli.serve import command
from aura_py.config.settings import ServerSettings, setting_of

OPTIONS = {each.name: each for each in command.params if isinstance(each, click.Option)}
SETTINGS = {
    name: (setting, info)
    for name, info in ServerSettings.model_fields.items()
    if (setting := setting_of(info)) is not None and setting.flag and name != "config_path"
}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_with_a_flag_is_told_with_its_variable_and_default(name: str) -> None:
    setting, info = SETTINGS[name]
    option = OPTIONS[name]
    assert setting.flag in option.opts
    default = info.default
    told = (
        str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else default
    )
    told = "none" if default in (None, ()) else told
    assert f"[env: {setting.variable}; default: {told}]" in (option.help or "")
    assert (option.flag_value == "true") == (info.annotation is bool)


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["--port", "high"], "PORT"),
        (["--port", "70000"], "PORT"),
        (["--reload=perhaps"], "AURA_RELOAD"),
        (["--tool-result-mode", "loud"], "TOOL_RESULT_MODE"),
        (["--streaming-buffer-size", "0"], "STREAMING_BUFFER_SIZE"),
        (["--heartbeat-secs", "60"], "AURA_HEARTBEAT_SECS"),
    ],
)
def test_a_value_that_is_not_allowed_is_status_2_and_names_flag_and_variable(
    arguments: list[str],
    variable: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AURA_DISABLE_DOTENV", "true")
    monkeypatch.setattr("aura_py.cli.serve.start_logging", lambda _level, process: None)
    assert main(["serve", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr().err
    assert "CFG-D01" in told
    assert variable in told
    assert arguments[0].partition("=")[0] in told


def test_two_places_for_the_configuration_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path), "--config", str(tmp_path / "other")]) == 2
    assert "different places" in capsys.readouterr().err
