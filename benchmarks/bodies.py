"""How long one large request holds up all others: the longest silence of the event loop while it is answered.

The app runs in process on the scripted model. Each body is sent several times, and the calmest time counts, because
everything else on the machine makes silences longer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import Row
from tests.server.rig import Rig, agent_file, serving

_TIMES = 5
_MIB = 1024 * 1024
_LARGEST = 16 * _MIB
_SDK = {"x-stainless-retry-count": "0"}
_PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.toml").write_text(
            agent_file("ops", "enable_client_tools = true", rules='rules = [{ say = "Well." }]')
        )
        async with serving(Path(folder)) as rig:
            await _silence(rig, "chat", orjson.dumps({"messages": [{"role": "user", "content": "hi"}]}))
            for size, limit_ms in ((4 * _MIB, 50), (_LARGEST - 1024, 200)):
                for name, kind, body in _bodies(size):
                    silence = min([await _silence(rig, kind, body) for _ in range(_TIMES)])
                    rows.append(
                        Row(
                            f"loop held by {len(body) / _MIB:.1f} MiB: {name}",
                            f"{silence * 1000:.0f} ms",
                            target=f"<= {limit_ms} ms",
                            met=silence * 1000 <= limit_ms,
                        )
                    )
    return rows


async def _silence(rig: Rig, kind: str, body: bytes) -> float:
    longest = 0.0
    over = False

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not over:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    ticking = asyncio.create_task(tick())
    await rig.ask("POST", _PATHS[kind], body, _SDK)
    over = True
    await ticking
    return longest


def _bodies(size: int) -> Iterator[tuple[str, str, bytes]]:
    """Bodies of at most ``size`` bytes, at the limits of what is taken, and far beyond them."""
    yield "one text", "chat", _chat("lorem ipsum, dolor " * (size // 19 - 10))
    yield "text full of JSON", "chat", _chat('{"a": [1,2]},' * (size // 18))
    yield "parts of 3,000", "chat", _chat(_filled(size, 50_000, lambda _: {"type": "text", "text": "x" * 3000}))
    yield "50,000 parts", "chat", _chat(_filled(size, 50_000, lambda _: {"type": "text", "text": "x"}))
    yield "10,000 messages", "chat", _messages(_filled(size, 9_999, _turn))
    yield "1,000 tools", "chat", _messages([_turn(0)], tools=_filled(size, 1_000, _tool))
    yield "10,000 items", "responses", _items(_filled(size, 9_998, _item))
    yield (
        "instructions, repeated thrice",
        "responses",
        orjson.dumps({"input": "hi", "stream": True, "instructions": "lorem ipsum, dolor " * (size // 19 - 10)}),
    )
    yield "too many parts", "chat", _chat([{"type": "text", "text": "x"}] * (size // 28))
    yield "too many values", "chat", b"[" + b"[]," * (size // 3 - 2) + b"[]]"


def _filled(size: int, most: int, make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    each = len(orjson.dumps(make(most))) + 1
    return [make(number) for number in range(min(most, size // each - 1))]


def _chat(content: object) -> bytes:
    return orjson.dumps({"messages": [{"role": "user", "content": content}]})


def _messages(turns: list[dict[str, Any]], **more: object) -> bytes:
    return orjson.dumps({"messages": [*turns, {"role": "user", "content": "hi"}], **more})


def _turn(number: int) -> dict[str, Any]:
    return {"role": ("user", "assistant")[number % 2], "content": "lorem ipsum " * 30}


def _tool(number: int) -> dict[str, Any]:
    properties = {f"field_{index}": {"type": "string", "description": "What it says. " * 8} for index in range(20)}
    function = {"name": f"tool_{number}", "parameters": {"type": "object", "properties": properties}}
    return {"type": "function", "function": function}


def _items(calls: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"input": [{"role": "user", "content": "hi"}, *calls, {"role": "user", "content": "hi"}]})


def _item(number: int) -> dict[str, Any]:
    call = {"call_id": f"call_{number // 2:08}"}
    if number % 2:
        return {"type": "function_call_output", **call, "output": "lorem ipsum " * 30}
    return {"type": "function_call", **call, "name": "read_file", "arguments": '{"path":"' + "x" * 300 + '"}'}
