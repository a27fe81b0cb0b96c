"""The stdio transport with large results and with a server that writes what it should not."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from aura_py.config.models import StdioServer
from aura_py.mcp import McpAttachment, McpPool, stdio
from tests.mcp.conftest import Calls, python_server, tool
from tests.mcp.test_pool import children, lives, until


@asynccontextmanager
async def attached(module: str, *options: str, fork: bool = True) -> AsyncIterator[McpAttachment]:
    async with McpPool() as pool:
        server = python_server(module, *options, fork=fork, tool_timeout_secs=20)
        attachment = await pool.attach({"it": server}, headers={})
        yield attachment
        await attachment.release()


async def test_the_cost_of_a_result_grows_with_its_size_and_no_faster(calls: Calls) -> None:
    async with attached("outputs") as attachment:
        spent = []
        for kilobytes in (2_000, 16_000):
            begin = time.process_time()
            outcome = await tool(attachment, "json_of").call({"kilobytes": kilobytes}, calls.context())
            spent.append(time.process_time() - begin)
            assert outcome.ok
            assert len(outcome.text) > kilobytes * 900
        assert spent[1] < 24 * max(spent[0], 0.02)


async def test_many_messages_in_one_chunk_arrive_in_order(calls: Calls) -> None:
    async with attached("careless") as attachment:
        with anyio.fail_after(20):
            outcome = await tool(attachment, "many").call({"count": 20_000}, calls.context())
        assert outcome.text == "all"


@pytest.mark.parametrize(
    ("name", "text"), [("bad_bytes", "before \ufffd\ufffd after"), ("surrogate", "before ? after")]
)
async def test_odd_bytes_do_not_cost_the_answer(calls: Calls, name: str, text: str) -> None:
    async with attached("careless") as attachment:
        outcome = await tool(attachment, name).call({}, calls.context())
        assert outcome.ok
        assert text in outcome.text


@pytest.mark.parametrize("name", ["nested", "bottomless", "broken"])
async def test_an_answer_that_cannot_be_read_fails_its_call_at_once(calls: Calls, name: str) -> None:
    async with attached("careless") as attachment:
        with anyio.fail_after(10):
            outcome = await tool(attachment, name).call({}, calls.context())
        assert not outcome.ok
        assert "not valid JSON" in outcome.text
        assert (await tool(attachment, "hello").call({}, calls.context())).text == "hello"


async def test_a_line_without_an_end_ends_the_connection(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "MAX_MESSAGE", 1 << 20)
    before = children()
    with anyio.fail_after(20):
        async with attached("careless") as attachment:
            outcome = await tool(attachment, "endless").call({}, calls.context())
            assert not outcome.ok
    assert children() == before


async def test_lines_that_are_no_messages_are_told_once(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="aura_py.mcp"):
        async with attached("careless") as attachment:
            assert (await tool(attachment, "hello").call({}, calls.context())).ok
    assert [record.message for record in caplog.records if "no JSON-RPC message" in record.message] == [
        "MCP server `it` wrote something to its output that is no JSON-RPC message; it is skipped"
    ]


@pytest.mark.parametrize("option", ["", "--slow-end"])
async def test_nothing_is_left_of_a_child_that_lingers(calls: Calls, option: str) -> None:
    before = children()
    with anyio.fail_after(60):
        async with attached("careless", option, fork=False) as attachment:
            assert (await tool(attachment, "hello").call({}, calls.context())).ok
        await until(lambda: children() == before)


@pytest.mark.parametrize("quiet", [False, True], ids=["holds the pipes", "holds none"])
async def test_what_a_child_has_started_ends_with_it(calls: Calls, quiet: bool) -> None:
    async with attached("careless", fork=False) as attachment:
        outcome = await tool(attachment, "grandchild").call({"quiet": quiet}, calls.context())
        assert lives(int(outcome.text))
    await until(lambda: not lives(int(outcome.text)))


async def test_a_crashed_child_is_quoted_with_its_last_words(calls: Calls) -> None:
    async with McpPool() as pool:
        server = python_server("careless", fork=False, env={"TOKEN": "s3cret-token"})
        attachment = await pool.attach({"it": server}, headers={})
        outcome = await tool(attachment, "crash").call({}, calls.context())
        await attachment.release()
    assert outcome.text == (
        "Tool execution failed: MCP server `it` went away during the call (the server's process ended with code 1; "
        "the last line of its stderr: OSError: the disk [31m is full; the token is ***)"
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise ImportError('no such\\nmodule')", "code 1; the last line of its stderr: module"),
        (
            "import sys; sys.exit('Error: x\\n    at y\\n\\nNode.js v22.1.0')",
            "code 1; the last line of its stderr: Error: x",
        ),
        ("raise SystemExit(4)", "the server's process ended with code 4"),
    ],
)
async def test_a_child_that_dies_at_its_start_says_why(script: str, words: str) -> None:
    async with McpPool() as pool:
        servers = {"it": StdioServer(cmd=(sys.executable, "-c", script))}
        attachment = await pool.attach(servers, headers={})
        await attachment.release()
    reason = attachment.statuses[0].reason
    assert reason is not None
    assert reason.endswith(words)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
async def test_a_child_ends_when_aura_is_killed() -> None:
    """The server ignores the end of its input, so only the signal can end it."""
    server = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)"
    script = (
        "import sys, anyio, logging\n"
        "from aura_py.config.models import StdioServer\n"
        "from aura_py.mcp import McpPool\n"
        "logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format='%(message)s')\n"
        "async def main():\n"
        "    async with McpPool() as pool:\n"
        f"        await pool.attach({{'it': StdioServer(cmd=(sys.executable, '-c', {server!r}))}}, headers={{}})\n"
        "anyio.run(main)\n"
    )
    with anyio.fail_after(60):
        async with await anyio.open_process([sys.executable, "-c", script]) as aura:
            assert aura.stdout is not None
            child = 0
            async for line in aura.stdout:
                found = re.search(rb"stderr of MCP server `it`: (\d+)", line)
                if found:
                    child = int(found[1])
                    break
            assert lives(child)
            aura.kill()
        await until(lambda: not lives(child))
