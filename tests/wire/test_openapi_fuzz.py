"""The server driven from its own description."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire.conftest import StartServer

pytestmark = pytest.mark.soak


def test_schemathesis_finds_no_answer_that_is_not_described(start: StartServer, tmp_path: Path) -> None:
    server = start("--default-agent", "ops")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance,response_headers_conformance"),
            *("--max-examples", "60", "--generation-deterministic", "--no-color", "--request-timeout", "20"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
