"""Parameters that cannot be honoured and the bounds of ``metadata``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from aura_py.server.openai import fields
from tests.server.rig import Reply, Rig, serving

UNHONOURED = [
    ("n", {"n": 2}),
    ("logprobs", {"logprobs": True}),
    ("top_logprobs", {"top_logprobs": 3}),
    ("audio", {"audio": {"voice": "x", "format": "wav"}, "modalities": ["text", "audio"]}),
    ("modalities", {"modalities": ["text", "audio"]}),
    ("include", {"include": ["message.output_text.logprobs"]}),
]
HONOURED: dict[str, object] = {"n": 1, "logprobs": False, "top_logprobs": 0, "modalities": ["text"], "include": []}


async def chat(rig: Rig, extra: Mapping[str, object]) -> Reply:
    return await rig.ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], **extra})


@pytest.mark.parametrize(("param", "extra"), UNHONOURED)
async def test_what_cannot_be_honoured_is_ignored_unless_the_server_is_strict(
    agents: Path, rig: Rig, param: str, extra: dict[str, object]
) -> None:
    assert (await chat(rig, extra)).status == 200
    async with serving(agents, default_agent="ops", strict_requests=True) as strict:
        asked = {"messages": [{"role": "user", "content": "hi"}], "input": "hi", **extra}
        for path in ("/v1/chat/completions", "/v1/responses"):
            refused = await strict.ask("POST", path, asked)
            assert (refused.status, refused.error()["param"]) == (400, param)


async def test_a_strict_server_serves_what_asks_for_nothing_special(agents: Path) -> None:
    async with serving(agents, default_agent="ops", strict_requests=True) as rig:
        assert (await chat(rig, HONOURED)).status == 200
        assert (await chat(rig, dict.fromkeys(HONOURED))).status == 200


def test_of_metadata_only_sixteen_short_string_pairs_are_kept() -> None:
    given: dict[str, object] = {f"k{i}": str(i) for i in range(20)}
    kept = fields.string_pairs({"metadata": {"number": 5, "l" * 65: "x", "long": "x" * 513, "null": None, **given}})
    assert kept == {f"k{i}": str(i) for i in range(16)}
    assert fields.string_pairs({"metadata": {"k" * 64: "x" * 512}}) == {"k" * 64: "x" * 512}


async def test_odd_metadata_is_never_an_error(rig: Rig) -> None:
    reply = await rig.chat(metadata={"a": {"b": [1]}, "c": None, "d": 1.5, "chat_session_id": "s"})
    assert (reply.status, reply.json()["metadata"]) == (200, {"chat_session_id": "s"})
