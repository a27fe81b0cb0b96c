"""What does not stop by itself is ended."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.server.rig import agent_file
from tests.wire.process import STOP_SECONDS, AuraServer

KEY = "k-1"
LINE = f"ci sha256:{hashlib.sha256(KEY.encode()).hexdigest()}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_whose_reload_hangs_goes_on_serving_and_is_ended_by_force(tmp_path: Path, number: int) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops"))
    keys = tmp_path / "keys.txt"
    keys.write_text(LINE)
    server = AuraServer.start(tmp_path, tmp_path, "--api-keys-file", str(keys), "--shutdown-timeout-secs", "0")
    keys.unlink()
    os.mkfifo(keys)
    server.signal(signal.SIGHUP)
    writer = os.open(keys, os.O_WRONLY)  # opens when the server has opened it: from now on the reload waits for a line
    try:
        reply = httpx.get(f"{server.url}/v1/models", headers={"x-api-key": KEY}, timeout=30)
        assert reply.status_code == 200
        server.signal(number)
        server.signal(number)
        assert server.wait(STOP_SECONDS) == 1
    finally:
        os.close(writer)
        server.process.kill()
        server.stop()
    assert "something did not stop in time" in server.log
    assert "Traceback" not in server.log
