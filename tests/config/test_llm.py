"""Model tables."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from aura_py.config.models import PROVIDERS, OllamaLLM, OpenAILLM
from tests.config.files import AGENT, MINIMAL, agent, codes, found, only

REQUIRED = {
    "openai": "api_key = 'k'\n",
    "anthropic": "api_key = 'k'\n",
    "bedrock": "region = 'eu-central-1'\n",
    "gemini": "api_key = 'k'\n",
    "ollama": "",
    "openrouter": "api_key = 'k'\n",
}
OPTIONAL = {
    "api_key": ("'k'", {"bedrock", "ollama"}),
    "profile": ("'p'", {"bedrock"}),
    "region": ("'r'", set()),
    "base_url": ("'https://a.example'", set(PROVIDERS)),
    "max_tokens": ("10", set(PROVIDERS)),
    "context_window": ("10", set(PROVIDERS)),
    "temperature": ("0.5", set(PROVIDERS)),
    "reasoning_effort": ("'low'", {"openai"}),
    "fallback_tool_parsing": ("false", set(PROVIDERS)),
    "additional_params": ("{ a = 1 }", set(PROVIDERS)),
}


def table(provider: str, lines: str = "") -> str:
    return f"{AGENT}[agent.llm]\nprovider = '{provider}'\nmodel = 'm'\n{REQUIRED[provider]}{lines}"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("key", OPTIONAL)
def test_a_key_is_read_by_the_providers_that_have_it_and_refused_by_the_others(provider: str, key: str) -> None:
    value, providers = OPTIONAL[key]
    if key in REQUIRED[provider]:
        assert codes(found(table(provider))) == []
        assert codes(found(table(provider).replace(REQUIRED[provider], ""))) == ["CFG-S01"]
    elif provider in providers:
        assert codes(found(table(provider, f"{key} = {value}\n"))) == []
    else:
        error = only(found(table(provider, f"{key} = {value}\n")))
        assert error.code == "CFG-L04"
        assert f"`{key}`" in error.message


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh"])
def test_every_reasoning_effort_is_read(effort: str) -> None:
    llm = agent(table("openai", f"reasoning_effort = '{effort}'\n")).agent.llm
    assert isinstance(llm, OpenAILLM)
    assert llm.reasoning_effort == effort


def test_an_effort_on_another_provider_says_where_it_belongs() -> None:
    error = only(found(table("anthropic", "reasoning_effort = 'low'\n")))
    assert "only for `openai`" in error.message
    assert "additional_params" in error.fix


@pytest.mark.parametrize("word", ["OpenAI", " openai ", "OPENAI"])
def test_the_provider_may_come_in_any_letter_case(word: str) -> None:
    assert agent(table("openai").replace("'openai'", f"'{word}'")).agent.llm.provider == "openai"


def test_ollama_has_a_default_address_and_accepts_a_key() -> None:
    llm = agent(MINIMAL + "api_key = '{{ env.K }}'\n", env={"K": "key"}).agent.llm
    assert isinstance(llm, OllamaLLM)
    assert llm.base_url == "http://localhost:11434"
    assert llm.api_key == SecretStr("key")
    blank = agent(MINIMAL + "api_key = '{{ env.K }}'\n", env={"K": ""}).agent.llm
    assert isinstance(blank, OllamaLLM)
    assert blank.api_key is None


@pytest.mark.parametrize("url", ["localhost:11434", "//host", "https://", "https://a b", "https://a:99999"])
def test_an_address_that_is_no_url_is_an_error(url: str) -> None:
    assert codes(found(MINIMAL + f"base_url = '{url}'\n")) == ["CFG-L06"]


@pytest.mark.parametrize(("value", "warned"), [("0", False), ("2", False), ("2.01", True), ("-0.1", True)])
def test_a_temperature_outside_the_usual_range_is_a_warning(value: str, warned: bool) -> None:
    assert codes(found(MINIMAL + f"temperature = {value}\n")) == ["WARN-LLM01"] * warned


@pytest.mark.parametrize("key", ["model", "messages", "contents", "tools", "stream"])
def test_parameters_may_not_replace_what_aura_sends(key: str) -> None:
    assert codes(found(MINIMAL + f"additional_params = {{ {key} = 1 }}\n")) == ["CFG-L05"]


def test_fallbacks_are_complete_tables_in_order() -> None:
    text = table("openai") + "".join(
        f"[[agent.llm.fallback]]\nprovider = 'ollama'\nmodel = '{name}'\n" for name in "ab"
    )
    assert [each.model for each in agent(text).agent.llm.fallback] == ["a", "b"]
    nested = text + "[[agent.llm.fallback.fallback]]\nprovider = 'ollama'\nmodel = 'c'\n"
    assert codes(found(nested)) == ["CFG-S05"]
    incomplete = only(found(table("openai") + "[[agent.llm.fallback]]\nmodel = 'a'\n"))
    assert (incomplete.code, incomplete.key) == ("CFG-L02", "agent.llm.fallback[0].provider")
    assert "complete" in incomplete.fix


def test_every_problem_of_a_table_is_reported() -> None:
    text = f"{AGENT}[agent.llm]\nprovider = 'openai'\nmodel = ' '\napi_key = ''\nmax_tokens = 0\nregion = 'x'\n"
    assert codes(found(text)) == ["CFG-L06", "CFG-L03", "CFG-S03", "CFG-L04"]


def test_requests_may_override_what_the_file_allows() -> None:
    config = agent(MINIMAL.replace("[agent.llm]", "request_overrides = ['temperature', 'stop']\n[agent.llm]"))
    assert config.agent.request_overrides == ("temperature", "stop")
    assert codes(found(MINIMAL.replace("[agent.llm]", "request_overrides = ['model']\n[agent.llm]"))) == ["CFG-S10"]
