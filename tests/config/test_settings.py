"""Settings of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import InvalidConfiguration
from aura_py.config.settings import ServerSettings, setting_of

SECRET = "0123456789abcdef0123456789abcdef"


def refused(env: dict[str, str], flags: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        ServerSettings.resolve(flags, env)
    assert SECRET[:20] not in str(caught.value)
    return [each.code for each in caught.value.diagnostics]


def test_defaults_are_those_of_the_table() -> None:
    settings = ServerSettings.resolve({}, {})
    assert (settings.config_path, settings.host, settings.port) == (Path("config.toml"), "127.0.0.1", 8080)
    assert (settings.tool_result_mode, settings.tool_result_max_length) == ("none", 1000)
    assert (settings.streaming_timeout_secs, settings.first_chunk_timeout_secs) == (900, 90)
    assert (settings.max_body_bytes, settings.heartbeat_secs) == (16 * 1024 * 1024, 10.0)
    assert (settings.api_keys, settings.cors_origins, settings.escape_hatch) == (None, (), True)


def test_a_flag_beats_a_variable_and_a_variable_the_default() -> None:
    env = {"PORT": "1", "HOST": "0.0.0.0"}
    settings = ServerSettings.resolve({"port": 2, "host": None, "config_path": ""}, env)
    assert (settings.port, settings.host, settings.config_path) == (2, "0.0.0.0", Path("config.toml"))


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_variable_is_unset(blank: str) -> None:
    names = [setting.variable for info in ServerSettings.model_fields.values() if (setting := setting_of(info))]
    assert ServerSettings.resolve({}, dict.fromkeys(names, blank)) == ServerSettings.resolve({}, {})


@pytest.mark.parametrize("word", ["1", "true", "T", " Yes ", "y", "ON"])
def test_true_has_many_words(word: str) -> None:
    assert ServerSettings.resolve({}, {"AURA_CUSTOM_EVENTS": word}).custom_events


@pytest.mark.parametrize("word", ["0", "False", "f", "no", "N", "off"])
def test_false_has_as_many(word: str) -> None:
    assert not ServerSettings.resolve({}, {"AURA_ESCAPE_HATCH": word}).escape_hatch


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "80a"),
        ("TOOL_RESULT_MODE", "Aura"),
        ("STREAMING_BUFFER_SIZE", "0"),
        ("STREAMING_TIMEOUT_SECS", "1.5"),
        ("AURA_CUSTOM_EVENTS", "maybe"),
        ("AURA_SERVER_URL", "example.org"),
        ("AURA_HEARTBEAT_SECS", "26"),
        ("AURA_HEARTBEAT_SECS", "nan"),
        ("AURA_MAX_BODY_BYTES", "0"),
    ],
)
def test_a_value_that_is_not_allowed_names_flag_variable_and_choices(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        ServerSettings.resolve({}, {variable: value})
    (each,) = caught.value.diagnostics
    assert (each.code, each.key, caught.value.exit_code) == ("CFG-D01", variable, 2)
    assert f"`{variable}`" in each.message
    assert "`--" in each.message
    assert each.fix.startswith("allowed: ")


def test_an_environment_only_toggle_with_another_word_keeps_its_default_and_warns() -> None:
    settings = ServerSettings.resolve({}, {"AURA_ESCAPE_HATCH": "maybe"})
    assert settings.escape_hatch
    assert [each.code for each in settings.warnings] == ["WARN-ENV03"]


def test_an_exporter_of_traces_is_told_that_it_will_get_none() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://s3cret@collector", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": " "}
    (warning,) = ServerSettings.resolve({}, env).warnings
    assert (warning.code, warning.key) == ("WARN-ENV04", "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert "s3cret" not in warning.message


def test_all_bad_values_are_reported_at_once() -> None:
    env = {"PORT": "x", "AURA_RELOAD": "maybe", "AURA_SESSION_STORE": "disk"}
    assert sorted(refused(env)) == ["CFG-D01", "CFG-D01", "CFG-D03"]


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"AURA_SESSION_STORE": "disk"}, ["CFG-D03"]),
        ({"AURA_SESSION_STORE": " Redis "}, ["CFG-D04", "CFG-N01"]),
        ({"AURA_SESSION_STORE": "valkey", "AURA_SESSION_STORE_URL": "redis://h"}, ["CFG-N01"]),
        (
            {
                "AURA_SESSION_STORE": "redis",
                "AURA_SESSION_STORE_URL": "redis://h",
                "AURA_SESSION_STORE_TASK_TTL_SECS": "-1",
            },
            ["CFG-D05", "CFG-N01"],
        ),
        ({"AURA_HITL_WEBHOOK_SECRET": SECRET}, ["CFG-N01"]),
        ({"AURA_HITL_WEBHOOK_SECRET": SECRET[:31]}, ["CFG-D06", "CFG-N01"]),
        ({"AURA_HITL_WEBHOOK_SECRET": ""}, ["CFG-D06", "CFG-N01"]),
        ({"AURA_HITL_WEBHOOK_SECRET_SECONDARY": SECRET}, ["CFG-D06", "CFG-N01"]),
        ({"AURA_HITL_WEBHOOK_TOLERANCE_SECS": "86401"}, ["CFG-D06", "CFG-N01"]),
        ({"AURA_ENABLE_A2A": "true"}, ["CFG-N01"]),
    ],
)
def test_what_is_not_built_is_refused_after_it_was_checked(env: dict[str, str], expected: list[str]) -> None:
    assert refused(env) == expected


def test_the_memory_store_needs_nothing() -> None:
    env = {"AURA_SESSION_STORE": "Memory", "AURA_SESSION_STORE_TASK_TTL_SECS": "x"}
    assert ServerSettings.resolve({}, env) == ServerSettings.resolve({}, {})


def test_keys_origins_and_addresses_are_read_as_written() -> None:
    settings = ServerSettings.resolve(
        {},
        {
            "AURA_API_KEYS": f"{SECRET},b",
            "AURA_CORS_ORIGINS": "https://a.example, https://b.example",
            "AURA_SERVER_URL": "https://a.example/",
        },
    )
    assert settings.api_keys is not None
    assert settings.api_keys.get_secret_value() == f"{SECRET},b"
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.server_url == "https://a.example"
    assert SECRET not in repr(settings)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "81")
    assert ServerSettings.resolve().port == 81
