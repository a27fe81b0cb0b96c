"""`WARN-FI01` for workers."""

from __future__ import annotations

import logging

import pytest

from tests.orchestration.harness import answer, config, coordinator, open_harness
from tests.servers.forking import server_command


async def test_a_workers_pattern_that_matches_nothing_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    mock = {"transport": "stdio", "cmd": server_command("mock")}
    workers = {"alpha": {"mcp_filter": ["mock_*", "lits_files"]}, "beta": {}}
    settings = config([coordinator("plan", answer())], servers={"mock": mock}, workers=workers)
    async with open_harness() as harness:
        orchestrator = harness.orchestrator(settings)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                await harness.run(orchestrator)
    transcript = [record.getMessage() for record in caplog.records if "WARN-FI01" in record.getMessage()]
    assert transcript == [
        "WARN-FI01 agent `team`: `lits_files` in `orchestration.worker.alpha.mcp_filter` matches no tool;"
        " did you mean `list_files`?"
    ]
