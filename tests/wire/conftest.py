"""Real servers for tests over real sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.server.rig import agent_file
from tests.wire.process import AuraServer


class StartServer(Protocol):
    def __call__(self, *flags: str, env: Mapping[str, str] | None = None, port: int = 0) -> AuraServer: ...


@pytest.fixture(scope="module")
def wire_agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wire") / "agents"
    directory.mkdir()
    (directory / "a.toml").write_text(agent_file("ops"))
    shelf = directory.parent / "shelf"
    shelf.mkdir()
    (shelf / "one.txt").write_text("1")
    files = agent_file("files", "hidden = true") + f'[tools]\nfilesystem = true\nfilesystem_root = "{shelf}"\n'
    (directory / "c.toml").write_text(files)
    (directory / "b.toml").write_text(agent_file("dev", "enable_client_tools = true"))
    return directory


@pytest.fixture
def start(wire_agents: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers over the module's agents; each is stopped and must exit cleanly."""
    running: list[AuraServer] = []

    def start_one(*flags: str, env: Mapping[str, str] | None = None, port: int = 0) -> AuraServer:
        running.append(AuraServer.start(wire_agents, tmp_path, *flags, env=env, port=port))
        return running[-1]

    yield start_one
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def server(wire_agents: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuraServer]:
    """One server for a module's tests."""
    running = AuraServer.start(wire_agents, tmp_path_factory.mktemp("server"), "--default-agent", "ops")
    yield running
    running.stop()
