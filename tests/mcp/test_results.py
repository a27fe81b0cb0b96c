"""From a server's answer to an outcome."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import CallToolResult, ImageContent

from aura_py.mcp import McpAttachment, McpPool
from aura_py.mcp.results import bound_error, shape_result
from aura_py.messages import ImagePart, JsonObject
from aura_py.tools.contract import ToolOutcome
from tests.mcp.conftest import Calls, http_server, python_server, tool
from tests.servers.contents import PIXEL

TEXT = {"type": "text", "text": "kept"}
ODD = "[Unsupported content type]"


async def answers(name: str, *arguments: JsonObject, images: bool = False) -> list[ToolOutcome]:
    calls = Calls()
    async with McpPool() as pool:
        attachment: McpAttachment = await pool.attach({"contents": python_server("contents")}, headers={})
        found = [await tool(attachment, name).call(given, calls.context(images=images)) for given in arguments]
        await attachment.release()
    return found


async def test_every_kind_of_content_becomes_text() -> None:
    wanted = {
        "text": "one\ntwo",
        "nothing": "",
        "image": f"[Image: image/png ({len(PIXEL)})]",
        "audio": f"[Audio: audio/wav ({len(PIXEL)})]",
        "link": "[Resource link: report (file:///r.txt)]",
        "resource": "inside",
        "json": '{"a":1}',
        "latin": "[Binary resource: file:///b (not valid UTF-8)]",
        "torn": "[Binary resource: file:///b (invalid base64)]",
        "binary": "[Binary resource: file:///b (mime: application/pdf)] (12 bytes)",
        "unknown": "[Binary resource: file:///b (mime: unknown)] (1 bytes)",
    }
    found = await answers("show", *({"kind": kind} for kind in wanted))
    assert {kind: outcome.text for kind, outcome in zip(wanted, found, strict=True)} == wanted
    assert all(outcome.ok and outcome.attachments == () for outcome in found)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"structuredContent": {"a": 1}}, '{\n  "a": 1\n}'),
        ({"content": [TEXT], "structuredContent": {"content": "kept"}}, "kept"),
        ({"content": [TEXT], "structuredContent": {"anything": "kept"}}, "kept"),
        (
            {
                "content": [{"type": "text", "text": "a\nb"}, {"type": "text", "text": "c"}],
                "structuredContent": {"x": "a\nb\nc\n"},
            },
            "a\nb\nc\n",
        ),
        ({"content": [TEXT], "structuredContent": {"content": "other"}}, '{\n  "content": "other"\n}'),
        ({"content": [TEXT], "structuredContent": {"content": "kept", "n": 1}}, '{\n  "content": "kept",\n  "n": 1\n}'),
        ({"structuredContent": [1, 2]}, "[\n  1,\n  2\n]"),
        ({"content": [TEXT], "structuredContent": "odd"}, "kept"),
        ({"content": "kept"}, "kept"),
        ({"content": TEXT}, "kept"),
        ({"content": None, "isError": None, "_meta": 3}, ""),
        ({"content": [{"type": "hologram"}, TEXT, 5, {"type": "text"}]}, f"{ODD}\nkept\n{ODD}\n{ODD}"),
        ({"content": [{**TEXT, "annotations": {"audience": ["robot"], "priority": 7}, "_meta": "x"}]}, "kept"),
        ({"content": [{"type": "image", "data": "AAAA"}]}, "[Image: unknown (4)]"),
        ({"content": [{"type": "resource", "resource": {"text": "kept", "annotations": 3}}]}, "kept"),
        (
            {"content": [{"type": "resource_link", "uri": "file:///r", "icons": 1}]},
            "[Resource link: file:///r (file:///r)]",
        ),
    ],
)
async def test_a_careless_result_is_still_the_result_of_the_call(result: dict[str, Any], text: str) -> None:
    calls = Calls()
    async with McpPool() as pool:
        attachment = await pool.attach({"it": python_server("careless")}, headers={})
        outcome = await tool(attachment, "verbatim").call({"result": result}, calls.context())
        await attachment.release()
    assert (outcome.ok, outcome.text) == (True, text)


async def test_a_large_result_is_not_held_against_its_schema(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls()
    async with McpPool() as pool:
        attachment = await pool.attach({"it": python_server("careless")}, headers={})
        verbatim = tool(attachment, "verbatim")
        large: JsonObject = {"result": {"structuredContent": {"rows": ["not a number"] * 20_000}}}
        small: JsonObject = {"result": {"structuredContent": {"rows": ["not a number"]}}}
        assert (await verbatim.call(large, calls.context())).ok
        assert "breaks the output schema" not in caplog.text
        assert (await verbatim.call(small, calls.context())).ok
        assert "breaks the output schema of `verbatim`: `rows[0]`" in caplog.text
        await attachment.release()


@pytest.mark.parametrize(
    ("mime", "data", "seen"),
    [
        ("image/png", PIXEL, True),
        ("image/tiff", PIXEL, False),
        ("image/png", "no base64!", False),
        ("image/png", "", False),
        ("image/png", "A" * 5_000_004, False),
    ],
)
def test_models_get_no_image_that_their_provider_would_refuse(mime: str, data: str, seen: bool) -> None:
    result = CallToolResult(content=[ImageContent(type="image", data=data, mime_type=mime)])
    outcome = shape_result("it", "camera", result, unwrap=False, images=True)
    assert outcome.text == f"[Image: {mime} ({len(data)})]"
    assert bool(outcome.attachments) is seen


async def test_a_long_resource_is_cut_at_a_character() -> None:
    (outcome,) = await answers("show", {"kind": "long"})
    body, _, notice = outcome.text.partition("\n\n")
    assert len(body.encode()) == 100_000
    assert notice == "[Resource truncated: showing 100000 of 120000 bytes]"


async def test_models_that_see_get_images() -> None:
    (outcome,) = await answers("show", {"kind": "image"}, images=True)
    assert outcome.attachments == (ImagePart(f"data:image/png;base64,{PIXEL}"),)
    assert outcome.text.startswith("[Image: image/png")


async def test_structured_content_beats_text() -> None:
    (outcome,) = await answers("structured", {})
    assert outcome.text == '{\n  "ü": [\n    1,\n    2\n  ]\n}'
    assert outcome.structured == {"ü": [1, 2]}


async def test_small_errors_are_whole_and_large_ones_bounded() -> None:
    small, large = await answers("failing", {"size": 100}, {"size": 50_000})
    assert small.text == "Tool returned an error: " + "é" * 50
    assert "[tool error truncated: " in large.text
    assert " of 50000 bytes omitted]" in large.text
    assert len(large.text.encode()) <= 8192 + 128
    assert {small.outcome, large.outcome} == {"tool_error"}
    assert not small.ok


async def test_wrapped_results_are_unwrapped_and_long_text_is_not_cut(mock_http: str) -> None:
    calls = Calls()
    async with McpPool() as pool:
        attachment = await pool.attach({"mock": http_server(mock_http)}, headers={})
        metrics = await tool(attachment, "list_metrics").call({}, calls.context())
        echo = await tool(attachment, "mock_tool").call({"message": "a\nb"}, calls.context())
        big = await tool(attachment, "big_text").call({"size": 60_000}, calls.context())
        await attachment.release()
    assert metrics.text == '[\n  "cpu.user",\n  "cpu.system",\n  "memory.used"\n]'
    assert metrics.structured == {"result": ["cpu.user", "cpu.system", "memory.used"]}
    assert echo.text == "Mock tool received: a\nb"
    assert len(big.text) == 60_000


@given(st.text(alphabet="aé漢😀", max_size=300), st.integers(1, 200))
def test_a_bounded_error_keeps_both_ends(piece: str, times: int) -> None:
    text = piece * times
    bounded = bound_error(text)
    if len(text.encode()) <= 8192:
        assert bounded == text
    else:
        head, marker, tail = bounded.split("\n\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert marker.startswith("[tool error truncated: ")
        assert len(bounded.encode()) <= 8192 + 128


async def test_a_result_that_breaks_its_output_schema_counts_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls()
    async with McpPool() as pool:
        attachment = await pool.attach({"old": python_server("legacy")}, headers={})
        outcome = await tool(attachment, "liar").call({}, calls.context())
        await attachment.release()
    assert outcome.ok
    assert outcome.structured == {"n": "many"}
    assert "breaks the output schema of `liar`" in caplog.text
