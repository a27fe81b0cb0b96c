"""Workers' scratchpads through the real server: each by its own settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import PROJECT
from tests.servers.forking import server_command
from tests.wire.test_scratchpad import FILE, Answer, ask, serving, toml

WORKERS = {
    "heir": "",
    "thrifty": "[orchestration.worker.thrifty.scratchpad]\nmax_extraction_tokens = 600\n",
    "plain": "[orchestration.worker.plain.scratchpad]\nenabled = false\n",
}


def rule(**fields: Any) -> str:
    return "[[agent.llm.rules]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in fields.items())


def call(name: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"name": name, "arguments": arguments}]


def team_file(memory: Path) -> str:
    tasks = [{"type": "task", "task": "look", "worker": name} for name in WORKERS]
    plan = {"goal": "g", "steps": [{"type": "parallel", "items": tasks}], "routing_rationale": "r"}
    finish = {"response": "done", "routing_rationale": "known"}
    rules = [
        rule(role="coordinator", phase="plan", tool_calls=call("create_plan", planning_summary="s", **plan)),
        rule(role="coordinator", phase="continue", tool_calls=call("respond_directly", **finish)),
        rule(role="worker", worker="plain", after_tool="json_of", tool_calls=submit("{{ result[:50] }}")),
        rule(role="worker", after_tool="json_of", tool_calls=call("head", file=FILE, lines=150)),
        rule(role="worker", after_tool="head", tool_calls=submit("{{ result[-600:] }}")),
        rule(role="worker", tool_calls=call("json_of", kilobytes=30)),
    ]
    workers = "".join(
        f"[orchestration.worker.{name}]\ndescription = {toml(name)}\npreamble = {toml(name)}\n{table}"
        for name, table in WORKERS.items()
    )
    return (
        f"memory_dir = {toml(str(memory))}\n"
        '[agent]\nname = "team"\nsystem_prompt = "Work."\nturn_depth = 10\n'
        "[agent.scratchpad]\nenabled = true\n"
        '[agent.llm]\nprovider = "scripted"\nmodel = "demo"\ncontext_window = 128000\n'
        + "".join(rules)
        + '[mcp.servers.outputs]\ntransport = "stdio"\n'
        + f"cmd = {toml(server_command('outputs'))}\n"
        + f"env = {{ PYTHONPATH = {toml(str(PROJECT))} }}\n"
        + '[mcp.servers.outputs.scratchpad]\n"*" = { min_tokens = 50 }\n'
        + "[orchestration]\nenabled = true\n"
        + workers
    )


def submit(result: str) -> list[dict[str, Any]]:
    return call("submit_result", summary="s", result=result, confidence="high")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("team")
    with serving(directory, team_file(directory / "memory")) as where:
        yield where, directory / "memory"


def results(answer: Answer) -> dict[str, str]:
    return {payload["worker_id"]: payload["result"] for payload in answer.named("aura.orchestrator.task_completed")}


async def test_a_workers_own_table_replaces_only_the_keys_it_names(team: tuple[str, Path]) -> None:
    where, _ = team
    answer = await ask(where, "go", "overrides", model="team")
    told = results(answer)
    assert "showing 150/" in told["heir"]
    assert "partial, go on with slice(" in told["thrifty"]
    assert told["plain"].startswith('{"results"')
    usage = {payload["agent_id"]: payload for payload in answer.named("aura.scratchpad_usage")}
    assert set(usage) == {"heir", "thrifty"}
    assert 0 < usage["thrifty"]["tokens_extracted"] <= 600 < usage["heir"]["tokens_extracted"]


async def test_workers_leave_only_what_their_run_keeps(team: tuple[str, Path]) -> None:
    where, memory = team
    await ask(where, "go", "kept", model="team")
    (run,) = [
        path for path in (memory / "anonymous" / "team" / "kept").iterdir() if path.is_dir() and not path.is_symlink()
    ]
    stored = [path.name for path in (run / "iteration-1" / "scratchpad").glob("task_*.json")]
    assert sorted(name.split("-")[1] for name in stored) == ["heir", "thrifty"]
