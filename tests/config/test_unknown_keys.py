"""Unknown, misplaced and retired keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.models import AgentSection
from aura_py.config.spelling import near_miss
from tests.config.files import AGENT, LLM, MINIMAL, agent, codes, found, only

ORCHESTRATION = MINIMAL + "[orchestration]\n"


@pytest.mark.parametrize(
    "key", ["temperature", "max_tokens", "reasoning_effort", "context_window", "additional_params"]
)
def test_a_model_option_in_the_agent_table_is_told_where_it_went(key: str) -> None:
    error = only(found(AGENT + f"{key} = 1\n" + LLM))
    assert error.code == "CFG-S09"
    assert f"`{key}`" in error.message
    assert "[agent.llm]" in error.fix
    assert error.line == 4


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        (AGENT + "mcp_filters = []\n" + LLM, "CFG-S05", "agent.mcp_filters"),
        (MINIMAL + "random_field = 1\n", "CFG-S05", "agent.llm.random_field"),
        (MINIMAL + "[orchestration.timeouts]\nper_call = 1\n", "CFG-S05", "orchestration.timeouts.per_call"),
        (
            MINIMAL + "[hitl]\nrequire_aproval = []\nroute = { mode = 'conversational' }\n",
            "CFG-S05",
            "hitl.require_aproval",
        ),
        (MINIMAL + "[hitl]\nenabled = false\nroute = { mode = 'conversational' }\n", "CFG-S05", "hitl.enabled"),
        (
            MINIMAL + "[hitl.route]\nmode = 'conversational'\nurl = 'https://a.example'\n",
            "CFG-S05",
            "hitl.route.url",
        ),
        (MINIMAL + "[orchestration.workers.a]\n", "CFG-S09", "orchestration.workers"),
        (
            MINIMAL + "[orchestration.worker.a]\ndescription='d'\npreamble='p'\nmcp_filters=[]\n",
            "CFG-S06",
            "orchestration.worker.a.mcp_filters",
        ),
        (
            MINIMAL + "[mcp.servers.a]\ntransport='sse'\nurl='https://a.example'\nheaders-from-request={}\n",
            "CFG-S06",
            "mcp.servers.a.headers-from-request",
        ),
        (MINIMAL + "[mcp]\nsanitise_schemas = true\n", "CFG-S06", "mcp.sanitise_schemas"),
        ("Memory_Dir = 'a'\n" + MINIMAL, "CFG-S06", "Memory_Dir"),
        (MINIMAL + "[orchestration]\nmemory_pth = 'a'\n", "CFG-S06", "orchestration.memory_pth"),
    ],
)
def test_a_misspelt_key_is_an_error(text: str, code: str, key: str) -> None:
    error = only(found(text))
    assert (error.code, error.key, error.severity) == (code, key, "error")


@pytest.mark.parametrize(
    "table",
    [
        "llm",
        "workers.a",
        "orchestrator",
        "scratchpad",
        "skills",
        "llm_config",
        "vector_store",
        "vector_stores",
        "mcp_servers.a",
        "mcpServers.a",
        "servers.a",
        "mcp.mcpServers.a",
        "mcp.server.a",
        "session_store",
        "server",
        "orchestration.workers.a",
    ],
)
def test_a_table_of_an_old_layout_is_told_its_new_place(table: str) -> None:
    error = only(found(f"{MINIMAL}[{table}]\n"))
    assert error.code == "CFG-S09"
    assert error.fix


@pytest.mark.parametrize("key", ["num_ctx", "num_predict", "seed", "top_k", "top_p", "think"])
def test_a_provider_option_beside_the_model_is_sent_to_the_parameters(key: str) -> None:
    error = only(found(MINIMAL + f"{key} = 1\n"))
    assert error.code == "CFG-S09"
    assert "additional_params" in error.fix


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("per_call_timeout_secs", "timeouts"),
        ("stream_inactivity_timeout_secs", "timeouts"),
        ("max_session_runs", "artifacts"),
        ("show_tool_reasoning_in_continuation", "artifacts"),
    ],
)
def test_a_flat_orchestration_key_without_a_flat_form_is_told_its_table(key: str, table: str) -> None:
    error = only(found(ORCHESTRATION + f"{key} = 1\n"))
    assert error.code == "CFG-S09"
    assert f"[orchestration.{table}]" in error.fix


@pytest.mark.parametrize(
    "key", ["quality_threshold", "max_iterations", "max_phases", "max_consecutive_duplicate_tool_calls"]
)
def test_a_retired_key_loads_with_a_warning_even_in_strict_mode(key: str) -> None:
    assert codes(found(ORCHESTRATION + f"{key} = 0.7\n", strict=True)) == ["WARN-KEY02"]


def test_an_unknown_key_is_a_warning_until_strict_mode_makes_it_an_error() -> None:
    text = f"foo_bar = 1\n{MINIMAL}"
    assert [each.severity for each in found(text)] == ["warning"]
    assert [each.severity for each in found(text, strict=True)] == ["error"]
    assert [each.severity for each in found(text, env={"AURA_CONFIG_STRICT": "yes"})] == ["error"]
    assert agent(text).id == "Helper"


def test_the_legacy_llm_table_beside_the_new_one_says_what_to_delete() -> None:
    error = only(found(MINIMAL + "[llm]\nprovider = 'openai'\n"))
    assert "delete the top-level one" in error.fix


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Headers", "headers"),
        ("headers-from-request", "headers_from_request"),
        ("header", "headers"),
        ("haeders", "headers"),
        ("urls", "url"),
        ("ur", None),
        ("transprot", "transport"),
        ("something_else", None),
    ],
)
def test_a_near_miss_is_a_slip_of_the_finger(key: str, expected: str | None) -> None:
    assert near_miss(key, ["headers", "headers_from_request", "url", "transport"]) == expected


KEYS = sorted(name for name in AgentSection.model_fields if len(name) > 5)


@given(
    st.sampled_from(KEYS),
    st.integers(0, 5),
    st.sampled_from("aeqz_"),
    st.sampled_from(["drop", "add", "swap", "change"]),
)
def test_one_slip_in_a_key_is_found(key: str, place: int, letter: str, slip: str) -> None:
    before, at, after = key[:place], key[place], key[place + 1 :]
    slipped = {
        "drop": before + after,
        "add": before + letter + at + after,
        "change": before + letter + after,
        "swap": before + after[:1] + at + after[1:],
    }[slip]
    assert near_miss(slipped, KEYS) is not None


def test_a_remedy_names_tables_as_a_file_does() -> None:
    text = AGENT + "[agent.llm]\nprovider = 'scripted'\nmodel = 'm'\n[[agent.llm.rules]]\ntool_calls = { name = 'a' }\n"
    assert only(found(text)).fix == "write `[[agent.llm.rules.tool_calls]]`"
