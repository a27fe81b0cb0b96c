"""Pages in browsers reach a loopback server only under names that are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.rig import serving

PAGE = {"origin": "http://evil.example", "host": "evil.example:8080"}


@pytest.mark.parametrize("browser", [{"origin": "null"}, {"sec-fetch-site": "same-origin"}])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, 200) for name in ("localhost", "LocalHost:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]")),
        *(
            (name, 200)
            for name in ("a.localhost", "localhost.", "host.docker.internal:8080", "aura.test", "AURA.test.")
        ),
        *((name, 403) for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0")),
        *((name, 403) for name in ("xlocalhost", "192.168.1.1", "[::2]", "", "evil.example:localhost")),
    ],
)
async def test_a_browser_names_a_host_that_is_known(
    agents: Path, browser: dict[str, str], host: str, status: int
) -> None:
    async with serving(agents, allowed_hosts="aura.test") as rig:
        for path in ("/v1/models", "/health"):
            reply = await rig.ask("GET", path, headers={**browser, "host": host})
            assert reply.status == status
            if status == 403:
                assert reply.error()["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"host": "evil.example"}),
        ({"host": "0.0.0.0"}, PAGE),
        ({"api_keys": "alpha"}, {**PAGE, "x-api-key": "alpha"}),
        ({"allowed_hosts": "*"}, PAGE),
    ],
)
async def test_other_clients_and_servers_are_not_concerned(
    agents: Path, settings: dict[str, str], headers: dict[str, str]
) -> None:
    async with serving(agents, **settings) as rig:
        assert (await rig.ask("GET", "/v1/models", headers=headers)).status == 200
