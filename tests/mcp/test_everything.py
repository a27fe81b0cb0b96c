"""The reference servers in TypeScript, where node and a package registry are at hand."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from aura_py.config.models import McpServer, StdioServer
from aura_py.mcp import McpPool
from aura_py.messages import ImagePart
from tests.mcp.conftest import Calls, http_server, sse_server, tool

pytestmark = pytest.mark.slow


def installed(home: Path, package: str) -> str:
    """The script of a server, installed into ``home``."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(home), package]
    try:
        done = subprocess.run(command, capture_output=True, timeout=90, text=True)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {package} within 90 s")
    script: Path = home / "node_modules" / package / "dist" / "index.js"
    if done.returncode or not script.exists():
        pytest.skip(f"npm could not install {package} (exit code {done.returncode})")
    return str(script)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    return installed(tmp_path_factory.mktemp("everything"), "@modelcontextprotocol/server-everything")


@pytest.fixture(scope="module")
def filesystem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return installed(tmp_path_factory.mktemp("filesystem"), "@modelcontextprotocol/server-filesystem")


@contextmanager
def listening(script: str, transport: str, port: int = 0) -> Iterator[int]:
    if not port:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
    process = subprocess.Popen(
        ["node", script, transport],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait(10)


async def listens(port: int) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.05)
            else:
                return


async def check(server: McpServer, calls: Calls) -> None:
    async with McpPool() as pool:
        attachment = await pool.attach({"everything": server}, headers={})
        echo = await tool(attachment, "echo").call({"message": "hello"}, calls.context())
        total = await tool(attachment, "get-sum").call({"a": 2, "b": 3}, calls.context())
        image = await tool(attachment, "get-tiny-image").call({}, calls.context(images=True))
        weather = await tool(attachment, "get-structured-content").call({"location": "Chicago"}, calls.context())
        long = tool(attachment, "trigger-long-running-operation")
        done = await long.call({"duration": 0.4, "steps": 4}, calls.context("long"))
        wrong = await tool(attachment, "get-sum").call({"a": "two"}, calls.context())
        await attachment.release()
    assert echo.text == "Echo: hello"
    assert "5" in total.text
    assert isinstance(image.attachments[0], ImagePart)
    assert image.attachments[0].url.startswith("data:image/png;base64,")
    assert set(json.loads(weather.text)) == {"temperature", "conditions", "humidity"}
    assert done.ok
    assert [event.progress for event in calls.progress if event.call_id == "long"] == [1, 2, 3, 4]
    assert wrong.outcome == "schema_error"


async def test_over_stdio(everything: str, calls: Calls) -> None:
    await check(StdioServer(cmd=("node", everything)), calls)


async def test_over_streamable_http(everything: str, calls: Calls) -> None:
    with listening(everything, "streamableHttp") as port:
        await listens(port)
        await check(http_server(f"http://127.0.0.1:{port}/mcp"), calls)


async def test_over_legacy_sse(everything: str, calls: Calls) -> None:
    with listening(everything, "sse") as port:
        await listens(port)
        await check(sse_server(f"http://127.0.0.1:{port}/sse"), calls)


async def test_a_restarted_server_is_opened_anew(everything: str, calls: Calls) -> None:
    async with McpPool() as pool:
        with listening(everything, "streamableHttp") as port:
            await listens(port)
            attachment = await pool.attach({"everything": http_server(f"http://127.0.0.1:{port}/mcp")}, headers={})
            echo = tool(attachment, "echo")
            assert (await echo.call({"message": "before"}, calls.context())).ok
        with listening(everything, "streamableHttp", port):
            await listens(port)
            outcome = await echo.call({"message": "after"}, calls.context())
            await attachment.release()
    assert outcome.text == "Echo: after"


async def test_a_file_is_read_as_its_text(filesystem: str, calls: Calls, tmp_path: Path) -> None:
    text = "".join(f'line {number} says "hello"\n' for number in range(2000))
    (tmp_path / "notes.txt").write_text(text)
    async with McpPool() as pool:
        server = StdioServer(cmd=("node", filesystem, str(tmp_path)))
        attachment = await pool.attach({"files": server}, headers={})
        read = await tool(attachment, "read_text_file").call({"path": str(tmp_path / "notes.txt")}, calls.context())
        listed = await tool(attachment, "list_directory").call({"path": str(tmp_path)}, calls.context())
        await attachment.release()
    assert read.text == text
    assert listed.text == "[FILE] notes.txt"
