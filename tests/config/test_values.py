"""Lenient numbers and booleans for every key, strings, lists, paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aura_py.config.models import AgentConfig
from aura_py.config.numbers import Boolean, Float, Integer
from aura_py.config.tables import Table, TableList, TableMap, Variant
from aura_py.config.values import ValueType
from tests.config.files import AGENT, ENV, LLM, MINIMAL, agent, bent, codes, found, toml

Path_ = tuple[str | int, ...]

WHERE: dict[str, str | int] = {
    "mcp.servers": "web",
    "orchestration.worker": "reader",
    "mcp.servers.web.scratchpad": "*",
}


def keys_of(table: Table, path: Path_, value_types: type[ValueType]) -> Iterator[Path_]:
    for name, key in (*table.keys.items(), *table.legacy.items()):
        here = (*path, name)
        if isinstance(key.value_type, value_types):
            yield here
        yield from below(key.reader, here, value_types)


def below(value_type: ValueType, path: Path_, value_types: type[ValueType]) -> Iterator[Path_]:
    if isinstance(value_type, Table):
        yield from keys_of(value_type, path, value_types)
    elif isinstance(value_type, TableMap):
        yield from below(value_type.entry, (*path, WHERE[".".join(map(str, path))]), value_types)
    elif isinstance(value_type, TableList) and path == ("vector_stores",):
        yield from below(value_type.entry, (*path, 1), value_types)
    elif isinstance(value_type, Variant):
        chosen = {"provider": "openai", "transport": "http_streamable", "type": "bedrock_kb", "mode": "conversational"}
        yield from keys_of(value_type.tables[chosen[value_type.tag]], path, value_types)


INTEGERS = sorted(set(keys_of(Table(AgentConfig), (), Integer)), key=str)
BOOLEANS = sorted(set(keys_of(Table(AgentConfig), (), Boolean)), key=str)
FLOATS = sorted(set(keys_of(Table(AgentConfig), (), Float)), key=str)


def dotted(path: Path_) -> str:
    return ".".join(map(str, path))


def errors_of(path: Path_, value: Any) -> list[str]:
    return [each.code for each in found(toml(bent(path, value)), env={**ENV, "V": "7"}) if each.severity == "error"]


def test_the_lists_below_cover_the_tables() -> None:
    assert len(INTEGERS) > 40
    assert len(BOOLEANS) > 15
    assert len(FLOATS) == 4
    assert ("orchestration", "worker", "reader", "turn_depth") in INTEGERS
    assert ("agent", "llm", "max_tokens") in INTEGERS
    assert ("mcp", "servers", "web", "required") in BOOLEANS


@pytest.mark.parametrize("path", INTEGERS, ids=dotted)
def test_every_integer_takes_whole_floats_and_digits_and_refuses_the_rest(path: Path_) -> None:
    for good in (7, 7.0, "7", " 1_0 ", "{{ env.V }}"):
        assert errors_of(path, good) == [], good
    for bad in (3.14, -1, -1.0, float("nan"), float("inf"), 2**63):
        assert len(errors_of(path, bad)) == 1, bad
    wrong: Any
    for wrong in ("", "seven", "1.5", True, [], {}):
        assert errors_of(path, wrong) == ["CFG-S02"], wrong


@pytest.mark.parametrize("path", BOOLEANS, ids=dotted)
def test_every_boolean_takes_true_and_false_as_words_and_refuses_the_rest(path: Path_) -> None:
    for good in (True, False, "true", " false "):
        assert not {"CFG-S02", "CFG-S04"} & set(errors_of(path, good)), good
    bad: Any
    for bad in ("True", "yes", "on", "1", "", "  ", 1, []):
        assert "CFG-S04" in errors_of(path, bad), bad


@pytest.mark.parametrize("path", FLOATS, ids=dotted)
def test_every_float_takes_integers_and_numeric_strings_and_refuses_the_rest(path: Path_) -> None:
    for good in (0, 0.5, "0.5", " .25 "):
        assert errors_of(path, good) == [], good
    bad: Any
    for bad in (float("nan"), float("inf"), "x", "", "nan", True, []):
        assert len(errors_of(path, bad)) == 1, bad


@pytest.mark.parametrize("value", ["1" * 1_000_000 + "x", " " * 1_000_000 + "x", "1_" * 500_000])
def test_a_text_of_any_length_is_no_number_at_once(value: str) -> None:
    """In quadratic time it takes longer than pytest allows."""
    text = MINIMAL + f'temperature = "{value}"\nmax_tokens = "{value}"\n'
    assert codes(found(text)) == ["CFG-S02", "CFG-S02"]


def test_zero_means_zero() -> None:
    assert agent(AGENT + "turn_depth = '0.0'\n".replace("'", "") + LLM).agent.turn_depth == 0


@pytest.mark.parametrize("value", ["3", "true", "[]", "{}"])
def test_a_string_is_never_made_from_something_else(value: str) -> None:
    assert codes(found(AGENT + f"alias = {value}\n" + LLM)) == ["CFG-S02"]


def test_blank_optional_strings_are_absent() -> None:
    config = agent(
        "memory_dir = ' '\n" + AGENT + "alias = ''\ndescription = ' '\nmodel_owner = ''\n" + LLM + "base_url = ''\n"
    )
    assert (config.memory_dir, config.agent.alias, config.agent.description) == (None, None, None)
    assert config.agent.model_owner == "ollama"
    assert config.agent.llm.provider == "ollama"
    assert config.agent.llm.base_url == "http://localhost:11434"


def test_a_lone_string_for_a_list_gets_a_hint() -> None:
    each = found(AGENT + "mcp_filter = 'a'\n" + LLM)[0]
    assert (each.code, each.fix) == ("CFG-S02", 'wrap it in brackets: `mcp_filter = ["…"]`')


def test_an_empty_list_is_not_an_absent_one() -> None:
    assert agent(AGENT + "mcp_filter = []\n" + LLM).agent.mcp_filter == ()
    assert agent(MINIMAL).agent.mcp_filter is None


def test_paths_start_at_the_working_directory_and_a_tilde_is_a_tilde(tmp_path: Path) -> None:
    Path("agents").mkdir()
    config = agent("memory_dir = '~/m'\n" + MINIMAL)
    assert config.memory_dir == tmp_path / "~" / "m"


def test_parameters_are_plain_json() -> None:
    params = agent(
        MINIMAL
        + "[agent.llm.additional_params]\nwhen = 2026-01-02T03:04:05Z\nday = 2026-01-02\nat = 03:04:05\nx = [{a=1.5}]\n"
    ).agent.llm.additional_params
    assert params == {"when": "2026-01-02T03:04:05+00:00", "day": "2026-01-02", "at": "03:04:05", "x": [{"a": 1.5}]}


@pytest.mark.parametrize("value", ["nan", "inf", "9223372036854775808"])
def test_parameters_that_json_cannot_carry_are_errors(value: str) -> None:
    assert codes(found(MINIMAL + f"additional_params = {{ a = [{value}] }}\n")) == ["CFG-S03"]
