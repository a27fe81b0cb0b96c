"""Flags of `aura serve` and the settings behind them are one list told twice; this holds them together."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.cli import main
from aura_py.cli.serve import FLAGS
from aura_py.config.settings import ServerSettings, setting_of

BY_FIELD = {flag.field: flag for flag in FLAGS}


def test_every_setting_with_a_flag_has_it() -> None:
    named = {
        field: setting.flag
        for field, info in ServerSettings.model_fields.items()
        if (setting := setting_of(info)) is not None and setting.flag and field != "config_path"
    }
    assert {flag.field: flag.name for flag in FLAGS} == named


@pytest.mark.parametrize("field", sorted(BY_FIELD))
def test_the_help_tells_the_variable_and_the_default(field: str) -> None:
    flag, info = BY_FIELD[field], ServerSettings.model_fields[field]
    setting = setting_of(info)
    assert setting is not None
    assert flag.variable == setting.variable
    if info.default not in (None, ()):
        told = info.default if not isinstance(info.default, float) else f"{info.default:g}"
        assert flag.default == (str(told).lower() if isinstance(told, bool) else str(told))
    assert flag.switch == (info.annotation is bool)


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
    monkeypatch.setattr("aura_py.cli.serving.start_logging", lambda _level: None)
    assert main(["serve", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr().err
    assert "CFG-D01" in told
    assert variable in told
    assert arguments[0].partition("=")[0] in told


def test_two_places_for_the_configuration_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path), "--config", str(tmp_path / "other")]) == 2
    assert "different places" in capsys.readouterr().err
