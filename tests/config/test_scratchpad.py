"""Prerequisites, overlays and the memory directory."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.config.files import AGENT, MINIMAL, agent, codes, found, only

MEMORY = "memory_dir = 'memory'\n"
WINDOW = "context_window = 1000\n"
ON = "[agent.scratchpad]\nenabled = true\n"
COORDINATOR = (
    "[orchestration]\nenabled = true\n[orchestration.timeouts]\n"
    "per_call_timeout_secs = 9\nstream_inactivity_timeout_secs = 3\n"
)
WORKER = "[orchestration.worker.w]\ndescription = 'd'\npreamble = 'p'\n"
WORKER_ON = WORKER + "scratchpad = { enabled = true }\n"
WORKER_LLM = "[orchestration.worker.w.llm]\nprovider = 'ollama'\nmodel = 'm'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MEMORY + MINIMAL + WINDOW + ON, []),
        (MINIMAL + WINDOW + ON, ["CFG-P01"]),
        (MEMORY + MINIMAL + ON, ["CFG-P02"]),
        (MINIMAL + "[agent.scratchpad]\nenabled = false\n", []),
        (MINIMAL + "[agent.scratchpad]\n", []),
        (MINIMAL + WINDOW + ON + "[orchestration]\nmemory_dir = 'legacy'\n", ["INFO-MEM01"]),
        (MEMORY + MINIMAL + COORDINATOR + WORKER_ON, ["CFG-P03"]),
        (MEMORY + MINIMAL + WINDOW + COORDINATOR + WORKER_ON, []),
        (MINIMAL + WINDOW + COORDINATOR + WORKER_ON, ["CFG-P01"]),
        (MEMORY + MINIMAL + WINDOW + COORDINATOR + WORKER_ON + WORKER_LLM, ["CFG-P03"]),
        (MEMORY + MINIMAL + WINDOW + COORDINATOR + WORKER_ON + WORKER_LLM + WINDOW, []),
        (MEMORY + MINIMAL + WINDOW + ON + COORDINATOR + WORKER + WORKER_LLM, ["CFG-P03"]),
        (MINIMAL + WORKER_ON, []),
        (MEMORY + MINIMAL + ON + COORDINATOR + WORKER + WORKER_LLM + WINDOW, ["CFG-P02"]),
    ],
)
def test_an_enabled_scratchpad_needs_a_directory_and_a_window(text: str, expected: list[str]) -> None:
    assert codes(found(text)) == expected


def test_the_worker_is_named_with_the_place_of_its_table() -> None:
    error = only(found(MEMORY + MINIMAL + WINDOW + COORDINATOR + WORKER_ON + WORKER_LLM))
    assert error.key == "orchestration.worker.w.llm.context_window"
    assert "'w'" in error.message
    assert error.line == 18


def test_a_workers_table_overlays_the_agents_key_by_key() -> None:
    text = MEMORY + MINIMAL + WINDOW + ON + "turn_depth_bonus = 1\n" + COORDINATOR + WORKER
    config = agent(text + "[orchestration.worker.w.scratchpad]\nmax_extraction_tokens = 4000\n")
    worker = config.orchestration.worker["w"].scratchpad
    assert worker is not None
    assert (worker.enabled, worker.turn_depth_bonus, worker.max_extraction_tokens) == (True, 1, 4000)
    inherited = agent(text).orchestration.worker["w"].scratchpad
    assert inherited == config.agent.scratchpad


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("memory_dir = 'top'\n" + MINIMAL + "[orchestration]\nmemory_dir = 'flat'\n", "top"),
        (MINIMAL + "[orchestration]\nmemory_dir = 'flat'\nartifacts = { memory_dir = 'deep' }\n", "flat"),
        (MINIMAL + "[orchestration]\nmemory_path = 'flat'\n", "flat"),
        (MINIMAL + "[orchestration.artifacts]\nmemory_path = 'deep'\n", "deep"),
        (MINIMAL + "[orchestration]\nenabled = false\n[orchestration.artifacts]\nmemory_dir = 'deep'\n", "deep"),
    ],
)
def test_the_memory_directory_is_resolved_once_for_everybody(text: str, expected: str, tmp_path: Path) -> None:
    assert agent(text).memory_dir == tmp_path / expected


def test_flat_artifact_keys_beat_the_table() -> None:
    artifacts = agent(
        MINIMAL
        + "[orchestration]\nresult_summary_length = 1\n"
        + "[orchestration.artifacts]\nresult_summary_length = 2\nsession_history_turns = 9\n"
    ).orchestration.artifacts
    assert (artifacts.result_summary_length, artifacts.session_history_turns) == (1, 9)


def test_the_directory_is_created_only_for_a_configuration_that_loads(tmp_path: Path) -> None:
    found(MEMORY + AGENT + "hidden = 3\n[agent.llm]\nprovider = 'ollama'\nmodel = 'm'\n" + WINDOW + ON)
    assert not (tmp_path / "memory").exists()
    agent(MEMORY + MINIMAL)
    assert not (tmp_path / "memory").exists()
    agent(MEMORY + MINIMAL + WINDOW + ON)
    assert stat.S_IMODE((tmp_path / "memory").stat().st_mode) == 0o700
    assert list((tmp_path / "memory").iterdir()) == []


def test_a_file_in_the_way_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("")
    error = only(found(MEMORY + MINIMAL + WINDOW + ON))
    assert error.code == "CFG-F06"
    assert str(tmp_path / "memory") in error.message


@pytest.mark.parametrize(("margin", "fails"), [("0", False), ("0.999", False), ("1", True), ("-0.1", True)])
def test_the_margin_is_a_share(margin: str, fails: bool) -> None:
    assert codes(found(MINIMAL + f"[agent.scratchpad]\ncontext_safety_margin = {margin}\n")) == ["CFG-P05"] * fails


def test_thresholds_keep_their_order_and_their_default() -> None:
    server = agent(
        MINIMAL
        + "[mcp.servers.a]\ntransport = 'sse'\nurl = 'https://a.example'\n"
        + "[mcp.servers.a.scratchpad]\n'*' = {}\n'logs_*' = { min_tokens = 10.0 }\n"
    ).mcp.servers["a"]
    assert [(name, each.min_tokens) for name, each in server.scratchpad.items()] == [("*", 5120), ("logs_*", 10)]
    assert codes(
        found(MINIMAL + "[mcp.servers.a]\ntransport='stdio'\ncmd=['a']\n[mcp.servers.a.scratchpad]\n'a[' = {}\n")
    ) == ["CFG-S08"]
