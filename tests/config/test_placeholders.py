"""``{{ env.X }}``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.file_report import FileReport
from aura_py.config.models import OllamaLLM, StdioServer
from aura_py.config.placeholders import substitute
from tests.config.files import AGENT, LLM, MINIMAL, agent, codes, found, only


def prompt(template: str, **env: str) -> str:
    return agent(AGENT.replace('"Help."', f"'''{template}'''") + LLM, env=env).agent.system_prompt


@pytest.mark.parametrize(
    "template",
    [
        "{{ env.X }}",
        "{{env.X}}",
        "{{  env.X  }}",
        "{{\nenv.X\n}}",
        '{{ env.X|default:"y" }}',
        "{{env.X | default: 'y'}}",
    ],
)
def test_every_spelling_of_a_placeholder_is_resolved(template: str) -> None:
    assert prompt(f"<{template}>", X="v") == "<v>"


def test_lower_case_names_are_names() -> None:
    assert prompt("{{ env.my_key2 }}", my_key2="v") == "v"


@pytest.mark.parametrize(
    "text", ["{{ X }}", "{{ ENV.X }}", "{{ user.name }}", "{% env %}", "{ env.X }", "{{#if env.X}}"]
)
def test_other_templates_stay_as_they_are(text: str) -> None:
    assert prompt(text) == text


def test_several_placeholders_stand_in_one_string() -> None:
    assert prompt("a {{ env.A }} b {{ env.B }} c", A="1", B="2") == "a 1 b 2 c"


@pytest.mark.parametrize(
    "value", ['"', "\\", "\\n", "\n", "{{ env.Y }}", "= [", "'''", '"""', "a\u2028b", "] # x", " padded "]
)
def test_a_value_is_data_and_survives_unchanged(value: str) -> None:
    assert prompt("<{{ env.X }}>", X=value, Y="never") == f"<{value}>"


def test_a_default_is_for_unset_variables_only() -> None:
    assert prompt("<{{ env.X | default: 'd' }}>") == "<d>"
    assert prompt("<{{ env.X | default: '' }}>") == "<>"
    assert prompt("<{{ env.X | default: 'd' }}>", X="v") == "<v>"
    assert prompt("<{{ env.X | default: 'd' }}>", X="") == "<>"


def test_an_escaped_placeholder_is_literal_text() -> None:
    assert prompt("{{! env.X }} {{!env.Y | default: 'a' }}") == "{{ env.X }} {{env.Y | default: 'a' }}"


def test_a_comment_is_never_looked_into() -> None:
    assert agent(f"# {{{{ env.NOPE }}}}\n{MINIMAL}temperature = 1 # {{{{ env.NOPE }}}}\n").id == "Helper"


def test_all_missing_variables_of_a_file_are_one_error() -> None:
    text = AGENT.replace("Help.", "{{ env.B }} {{ env.A }}") + LLM + "base_url = '{{ env.B }}'\n"
    error = only(found(text))
    assert error.code == "CFG-V01"
    assert error.message.index("`B`") < error.message.index("`A`")
    assert error.message.count("`B`") == 1
    assert "agent.llm.base_url" in error.message


def test_sections_that_are_switched_off_are_resolved_too() -> None:
    text = (
        MINIMAL
        + "[orchestration]\nenabled = false\n[orchestration.worker.a]\ndescription = '{{ env.X }}'\npreamble = 'p'\n"
    )
    assert codes(found(text)) == ["CFG-V01"]


def test_names_of_tables_are_resolved_and_shown_as_written() -> None:
    text = MINIMAL + '[mcp.servers."{{ env.TEAM }}-logs"]\ntransport = "stdio"\ncmd = ["a"]\n'
    assert list(agent(text, env={"TEAM": "ops"}).mcp.servers) == ["ops-logs"]
    error = only(found(text.replace('["a"]', "[]"), env={"TEAM": "ops"}))
    assert error.key == 'mcp.servers."{{ env.TEAM }}-logs".cmd'
    assert error.line == 9


def test_numbers_and_booleans_come_from_variables_but_parameters_stay_text() -> None:
    config = agent(
        AGENT
        + 'turn_depth = "{{ env.N }}"\nhidden = "{{ env.B }}"\n'
        + LLM
        + 'temperature = "{{ env.T }}"\nadditional_params = { seed = "{{ env.N }}" }\n',
        env={"N": "12", "B": "true", "T": "0.5"},
    )
    assert (config.agent.turn_depth, config.agent.hidden, config.agent.llm.temperature) == (12, True, 0.5)
    assert config.agent.llm.additional_params == {"seed": "12"}


@pytest.mark.parametrize(
    "text", ["{{ env.my-key }}", "{{ env . X }}", "{{ env.X", "{{ env.X | default: 'a }}", "{{env}}"]
)
def test_a_near_miss_is_an_error_outside_prose_and_a_warning_inside(text: str) -> None:
    assert codes(found(f"{MINIMAL}base_url = '''{text}'''\n")) == ["CFG-V03"]
    inside = AGENT.replace('"Help."', f"'''{text}'''") + LLM
    assert codes(found(inside)) == ["WARN-ENV02"]
    assert prompt(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "turn_depth = {{ env.X }}",
        "turn_depth = 1{{env.X}}",
        "mcp_filter = ['a', {{ env.X }}]",
        "mcp_filter = [\n'a',\n{{ env.X | default: 'b' }}\n]",
        "[mcp.servers.{{ env.X }}]",
        "{{ env.X }} = 1",
    ],
)
def test_a_placeholder_outside_a_string_is_told_to_go_inside_one(line: str) -> None:
    error = only(found(f"[agent]\n{line}\n"))
    assert error.code == "CFG-T01"
    assert "put it in quotes" in error.fix
    assert "put it in quotes" not in only(found("[agent]\nname = '{{ env.X }}' 1\n")).fix


@pytest.mark.parametrize(
    "lines",
    [
        "[agent.llm]\nmax_tokens = '{{ env.X }}'\n",
        "[agent.llm]\ntemperature = '{{ env.X }}'\n",
        "[agent.llm]\nfallback_tool_parsing = '{{ env.X }}'\n",
        "images = '{{ env.X }}'\n[agent.llm]\n",
        "[mcp.servers.a]\ntransport = '{{ env.X }}'\n[agent.llm]\n",
        "[agent.llm]\nprovider = '{{ env.X }}'\n",
    ],
)
def test_a_variable_that_is_set_to_nothing_is_told_to_be_empty(lines: str) -> None:
    rest = "model = 'm'\n" + ("" if "provider" in lines else "provider = 'ollama'\n")
    error = only(found(AGENT + lines + rest, env={"X": ""}))
    assert "`X` is set but empty" in error.message
    assert "set but empty" not in found(AGENT + lines + rest, env={"X": "?"})[0].message


def test_texts_of_inline_scripts_are_prose() -> None:
    rules = "[[agent.llm.rules]]\nsay = '{{ env_name }}'\n"
    assert codes(found(AGENT + "[agent.llm]\nprovider = 'scripted'\nmodel = 'm'\n" + rules)) == ["WARN-ENV02"]


def test_credentials_and_headers_are_stripped_and_other_values_are_not() -> None:
    config = agent(
        AGENT.replace("Help.", "{{ env.V }}")
        + '[agent.llm]\nprovider = "openai"\nmodel = "m"\napi_key = "{{ env.K }}"\n'
        + '[mcp.servers.a]\ntransport = "sse"\nurl = "https://a.example"\n'
        + 'headers = { Authorization = "Bearer {{ env.K }}" }\n',
        env={"K": "secret-key\n", "V": " v\n"},
    )
    assert config.agent.system_prompt == " v\n"
    assert config.agent.llm.provider == "openai"
    assert config.agent.llm.api_key.get_secret_value() == "secret-key"
    server = config.mcp.servers["a"]
    assert server.transport == "sse"
    assert server.headers["Authorization"].get_secret_value() == "Bearer secret-key"


@given(st.text(max_size=60), st.text(max_size=10))
def test_no_text_makes_substitution_fail_and_text_without_braces_is_untouched(text: str, value: str) -> None:
    result = substitute({"key": text}, {"X": value}, FileReport(Path()))
    if "{{" not in text:
        assert result == {"key": text}


@given(st.text(alphabet="{} env.X!|default:'\"\n", max_size=60))
def test_nothing_that_looks_like_a_placeholder_makes_substitution_fail(text: str) -> None:
    substitute({text: [text, {"a": text}]}, {"X": "value"}, FileReport(Path()))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_value_replaces_exactly_its_placeholder(before: str, value: str, after: str) -> None:
    before, after = before.replace("{", ""), after.replace("{", "")
    result = substitute({"key": f"{before}{{{{ env.X }}}}{after}"}, {"X": value}, FileReport(Path()))
    unencodable = not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value)
    assert unencodable or result["key"] == before + value + after


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ("${OPENAI_BASE}", "OPENAI_BASE"),
        ("https://${HOST}/v1", "HOST"),
        ("${env:HOST}", "HOST"),
        ("${input:HOST}", "HOST"),
        ("$HOST", "HOST"),
        ("${HOST:-localhost}", "HOST"),
        ("{{ OPENAI_BASE }}", "OPENAI_BASE"),
    ],
)
def test_another_programs_placeholder_is_answered_with_auras(value: str, variable: str) -> None:
    each = only(found(f"{MINIMAL}base_url = '{value}'\n", env={variable: "https://example.org"}))
    assert (each.code, each.key) == ("CFG-V03", "agent.llm.base_url")
    assert f"{{{{ env.{variable} }}}}" in each.fix


def test_a_dollar_and_a_brace_stay_where_they_mean_something_else() -> None:
    server = "[mcp.servers.a]\ntransport = 'stdio'\ncmd = ['sh', '-c', 'exec server --home ${HOME}']\n"
    loaded = agent(MINIMAL.replace("Help.", "Write ${NAME}.") + "additional_params = { stop = '${END}' }\n" + server)
    assert loaded.agent.system_prompt == "Write ${NAME}."
    assert loaded.agent.llm.additional_params == {"stop": "${END}"}
    assert isinstance(loaded.mcp.servers["a"], StdioServer)
    assert loaded.mcp.servers["a"].cmd[-1] == "exec server --home ${HOME}"


@pytest.mark.parametrize("value", ["pa$$WORD", "$lower", "US$", "$1"])
def test_a_dollar_sign_that_names_no_variable_is_text(value: str) -> None:
    llm = agent(MINIMAL + f"api_key = '{value}'\n").agent.llm
    assert isinstance(llm, OllamaLLM)
    assert llm.api_key is not None
    assert llm.api_key.get_secret_value() == value


@pytest.mark.parametrize("text", ["${a-", "{{ env", "{{ ", "{{ env.A | default: '", "$A"])
def test_what_looks_like_many_placeholders_is_read_in_linear_time(text: str) -> None:
    """In quadratic time it takes longer than pytest allows."""
    many = text * (300_000 // len(text))
    report = FileReport(Path())
    substitute({"agent": {"system_prompt": many, "cmd": many}}, {"A": "1"}, report)
