"""Scripts are checked with the agent that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import InvalidConfiguration, load
from aura_py.config.models import ScriptedLLM
from tests.config.files import AGENT, agent, codes, found, found_at, only, write

SCRIPTED = AGENT + "[agent.llm]\nprovider = 'scripted'\nmodel = 'demo'\n"
NAMED = SCRIPTED + "script = 'a.script.toml'\n"
RULE = "[[rules]]\n"


def script(text: str) -> ScriptedLLM:
    write(text, Path("a.script.toml"))
    llm = agent(NAMED).agent.llm
    assert isinstance(llm, ScriptedLLM)
    return llm


def problems(text: str) -> list[str]:
    write(text, Path("a.script.toml"))
    return codes(found(NAMED))


def test_a_script_is_read_beside_its_agent() -> None:
    write(NAMED, Path("agents/a.toml"))
    write("[[rules]]\nuser = 'hi (?P<who>.+)'\nsay = 'Hello {{ who }}'\n", Path("agents/a.script.toml"))
    (config,) = load(Path("agents"), env={}).agents
    assert isinstance(config.agent.llm, ScriptedLLM)
    assert config.agent.llm.rules[0].say == "Hello {{ who }}"


def test_every_key_of_a_rule_is_read() -> None:
    llm = script(
        """
[[rules]]
user = "a"
system = "b"
role = "worker"
worker = "w*"
tools = ["files_*"]
after_tool = "read_*"
after_error = true
call = 2
phase = "continue"
say = "{{ result | head(3) }}"
reasoning = "because"
as_text = true
format = "hermes"
finish = "length"
usage = { input = 1, output = 2, cached = 3, reasoning = 4 }
delay_ms = 1
jitter_ms = 2
error = { status = 503, code = "busy", message = "no", after_chars = 3 }
hang = false
times = 2
[[rules.tool_calls]]
name = "read_file"
arguments = { path = "{{ user }}", deep = [{ n = 1, t = "{{ call }}" }] }
"""
    )
    rule = llm.rules[0]
    assert (rule.role, rule.phase, rule.format, rule.finish, rule.times) == (
        "worker",
        "continue",
        "hermes",
        "length",
        2,
    )
    assert rule.tool_calls[0].arguments == {"path": "{{ user }}", "deep": [{"n": 1, "t": "{{ call }}"}]}
    assert rule.error is not None
    assert rule.error.status == 503


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("[[rules]]\nuser = '('\n", "CFG-S11", 2),
        ("[[rules]]\nsay = '{{ a'\n", "CFG-S12", 2),
        ("[[rules]]\nreasoning = '{% for %}'\n", "CFG-S12", 2),
        ("[[rules]]\nsay = '{{ a | unheard_of }}'\n", "CFG-S12", 2),
        ("[[rules]]\ntool_calls = [{ name = 'a', arguments = { b = ['{{'] } }]\n", "CFG-S12", 2),
        ("[[rules]]\nsays = 'a'\n", "CFG-S05", 2),
        ("[[rules]]\n[[rules]]\nrole = 'boss'\n", "CFG-S10", 3),
        ("[[rules]]\ncall = 0\n", "CFG-S03", 2),
        ("[[rules]]\nworker = '['\n", "CFG-S08", 2),
        ("[[rules]]\ntool_calls = [{ arguments = {} }]\n", "CFG-S01", 2),
        ("[[rule]]\n", "CFG-S05", 1),
        ("rules = 3\n", "CFG-S02", 1),
        ("[[rules]\n", "CFG-T01", 1),
    ],
)
def test_a_mistake_in_a_script_is_reported_in_the_script(text: str, code: str, line: int) -> None:
    write(text, Path("a.script.toml"))
    each = next(each for each in found(NAMED) if each.code == code)
    assert (each.file is not None and each.file.name, each.line) == ("a.script.toml", line)


def test_every_filter_of_the_language_is_known() -> None:
    assert (
        problems(RULE + "say = '{{ data | json }}{{ data | tojson }}{{ a | head(3) | lines | number | upper }}'\n")
        == []
    )


def test_a_script_that_is_not_there_is_an_error_of_the_agent() -> None:
    each = only(found(NAMED))
    assert (each.code, each.key) == ("CFG-F03", "agent.llm.script")


def test_exactly_one_of_script_and_rules_is_given() -> None:
    write(RULE, Path("a.script.toml"))
    assert codes(found(SCRIPTED)) == ["CFG-S01"]
    assert codes(found(NAMED + "[[agent.llm.rules]]\nsay = 'a'\n")) == ["CFG-S07"]
    assert codes(found(SCRIPTED + "[[agent.llm.rules]]\nsay = 'a'\n")) == []
    assert codes(found(SCRIPTED + "script = 3\n")) == ["CFG-S02"]
    assert codes(found(SCRIPTED + "script = '{{ env.NOPE }}'\n")) == ["CFG-V01"]


def test_a_script_is_no_agent_of_its_directory_but_its_mistakes_count() -> None:
    write(NAMED, Path("agents/a.toml"))
    write("[[rules]]\nuser = '('\n", Path("agents/a.script.toml"))
    write("not toml", Path("agents/unused.script.toml"))
    assert codes(found_at(Path("agents"))) == ["CFG-S11"]


@pytest.mark.parametrize(
    "text", ["{{ " + "(" * 500 + " }}", "{% if a %}" * 300, "{{ 9" + "**9" * 200 + " }}", "{{ '\\ud800' }}"]
)
def test_an_absurd_template_is_no_crash(text: str) -> None:
    assert set(problems(f"{RULE}say = '''{text}'''\n")) <= {"CFG-S12"}


@pytest.mark.parametrize("place", ["../secret.toml", "{elsewhere}/secret.toml", "link.toml"])
def test_a_script_outside_of_its_agents_directory_is_not_opened(place: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write("not = [toml", elsewhere / "secret.toml")
    write("not = [toml", Path("secret.toml"))
    path = write(SCRIPTED + f"script = '{place.format(elsewhere=elsewhere)}'\n", Path("agents/a.toml"))
    Path("agents/link.toml").symlink_to(elsewhere / "secret.toml")
    with pytest.raises(InvalidConfiguration) as refused:
        load(path, env={})
    each = only(refused.value.diagnostics)
    assert (each.code, each.key) == ("CFG-F03", "agent.llm.script")
    assert "outside of the directory" in each.message
