"""An SDK that gives up waiting and asks again has its work done once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.wire.process import AuraServer

ROOT = Path(__file__).parents[2]
AGENT = """
[agent]
name = "ops"
system_prompt = "Be brief."
[agent.llm]
provider = "scripted"
model = "demo"
[[agent.llm.rules]]
after_tool = "task_with_progress"
say = "All is done."
[[agent.llm.rules]]
after_tool = "open_ticket"
tool_calls = [{{ name = "task_with_progress", arguments = {{ duration_seconds = 2.5, steps = 1 }} }}]
[[agent.llm.rules]]
tool_calls = [{{ name = "open_ticket", arguments = {{ path = "{tickets}" }} }}]
[mcp.servers.mock]
transport = "stdio"
cmd = ["{python}", "-m", "tests.servers.mock"]
env = {{ PYTHONPATH = "{root}" }}
"""


@pytest.fixture(scope="module")
def ticketing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AuraServer, Path]]:
    home = tmp_path_factory.mktemp("grace")
    tickets = home / "tickets"
    (home / "ops.toml").write_text(AGENT.format(tickets=tickets, python=sys.executable, root=ROOT))
    running = AuraServer.start(home / "ops.toml", home, env={"AURA_RETRY_GRACE_SECS": "5"})
    yield running, tickets
    running.stop()


def test_a_time_out_and_its_retries_open_one_ticket(ticketing: tuple[AuraServer, Path]) -> None:
    server, tickets = ticketing
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=2, max_retries=10) as client:
        answer = client.chat.completions.create(model="ops", messages=[{"role": "user", "content": "Go"}])
    assert answer.choices[0].message.content == "All is done."
    assert tickets.read_text().splitlines() == ["ticket"]
