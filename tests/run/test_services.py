"""What the process hands to its agents, and what it does before the first request."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from aura_py.agent.contract import Turn
from aura_py.config.settings import ServerSettings
from aura_py.events import RunFinished
from aura_py.llm.contract import ChatModel
from aura_py.messages import user
from aura_py.run.catalog import Catalog
from aura_py.run.identity import new_context
from aura_py.run.services import Services

AGENT = """
[agent]
name = "{name}"
system_prompt = "x"
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
say = "hello"
"""
TEAM = """
memory_dir = "{memory}"
[agent]
name = "team"
system_prompt = "x"
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
tool_calls = [{{ name = "respond_directly", arguments = {{ response = "hi", routing_rationale = "simple" }} }}]
[orchestration]
enabled = true
[orchestration.worker.one]
description = "d"
preamble = "p"
"""


async def ask(services: Services, catalog: Catalog, agent: str) -> RunFinished:
    served = catalog.get(agent)
    assert served is not None
    run = services.engine.start(served.runnable, Turn((user("go"),)), new_context(session_id="s1"), agent=agent)
    events = [event async for batch in run.events() for event in batch]
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1]


@pytest.mark.parametrize("switched_on", [True, False])
async def test_the_prompt_journal_switch_reaches_orchestrations(tmp_path: Path, switched_on: bool) -> None:
    file = tmp_path / "team.toml"
    file.write_text(TEAM.format(memory=tmp_path / "memory"))
    async with Services(ServerSettings(prompt_journal=switched_on)) as services:
        catalog = Catalog.load(file, services)
        assert (await ask(services, catalog, "team")).answer == "hi"
    assert bool(list((tmp_path / "memory").rglob("prompt-journal.md"))) is switched_on


async def test_warming_up_neither_fails_on_a_missing_server_nor_needs_one(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        AGENT.format(name="a")
        + '[mcp.servers.gone]\ntransport = "stdio"\ncmd = ["/nonexistent/server"]\nrequired = true\n'
    )
    async with Services(ServerSettings()) as services:
        catalog = Catalog.load(file, services)
        await services.warm(catalog.configs)


@pytest.mark.parametrize(("mcp_filter", "started"), [("[]", False), ('["x*"]', True)])
async def test_servers_whose_every_tool_is_filtered_out_are_not_started_early(
    tmp_path: Path, mcp_filter: str, started: bool
) -> None:
    file, mark = tmp_path / "agent.toml", tmp_path / "started"
    command = json.dumps([sys.executable, "-c", f"open({str(mark)!r}, 'w')"])
    agent = AGENT.format(name="a").replace("[agent.llm]", f"mcp_filter = {mcp_filter}\n[agent.llm]", 1)
    file.write_text(f'{agent}[mcp.servers.local]\ntransport = "stdio"\ncmd = {command}\n')
    async with Services(ServerSettings()) as services:
        await services.warm(Catalog.load(file, services).configs)
    assert mark.exists() is started


MANY_TOOLS = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        version = message["params"]["protocolVersion"]
        server = {"name": "many", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
    elif message.get("method") == "tools/list":
        result = {"tools": [{"name": f"t{n}", "inputSchema": {"type": "object"}} for n in range(129)]}
    elif "id" in message:
        error = {"code": -32601, "message": "unknown"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
        continue
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


@pytest.mark.parametrize("filtered", [False, True])
async def test_more_tools_than_most_providers_take_are_told_at_load(
    filtered: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "many.py").write_text(MANY_TOOLS)
    file = tmp_path / "agent.toml"
    text = AGENT.format(name="a")
    if filtered:
        text = text.replace("[agent.llm]", 'mcp_filter = ["t1*"]\n[agent.llm]', 1)
    command = json.dumps([sys.executable, str(tmp_path / "many.py")])
    file.write_text(f'{text}\n[mcp.servers.many]\ntransport = "stdio"\ncmd = {command}\n')
    async with Services(ServerSettings()) as services:
        catalog = Catalog.load(file, services)
        await services.warm(catalog.configs)
    assert ("agent `a` offers 129 tools of MCP servers" in caplog.text) is not filtered


async def test_models_that_a_reload_replaced_are_closed_and_the_new_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(AGENT.format(name="a"))
    closed: list[ChatModel] = []
    async with Services(ServerSettings()) as services:
        old, new = Catalog.load(file, services), Catalog.load(file, services)
        monkeypatch.setattr("aura_py.llm.resilience.ResilientModel.aclose", _recording(closed))
        await services.retire(old.configs)
        assert len(closed) == 1
        assert (await ask(services, new, "a")).answer == "hello"
    assert len(closed) == 2


def _recording(closed: list[ChatModel]) -> object:
    async def aclose(model: ChatModel) -> None:
        closed.append(model)

    return aclose
