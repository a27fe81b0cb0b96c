"""Images and models that cannot see."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from aura_py.agent.contract import Description, Turn
from aura_py.config import load
from aura_py.context import RunContext
from aura_py.errors import UnsupportedContent
from aura_py.events import Event
from aura_py.messages import ImagePart, Message, TextPart
from aura_py.run.catalog import ServedAgent
from aura_py.server.vision import replace_unsupported_images
from tests.server.rig import agent_file, serving

IMAGE = ImagePart("https://example.com/a.png")


class Blind:
    """An agent whose model takes text only."""

    def describe(self) -> Description:
        return Description("ops", "local", "text-only", None, orchestrated=False, images=False)

    async def run(self, turn: Turn, context: RunContext) -> AsyncGenerator[list[Event], None]:
        yield []


@pytest.fixture
def blind(tmp_path: Path) -> ServedAgent:
    (tmp_path / "a.toml").write_text(agent_file("ops"))
    return ServedAgent(load(tmp_path / "a.toml").agents[0], Blind())


def test_an_image_for_a_model_that_cannot_see_is_refused(blind: ServedAgent) -> None:
    with pytest.raises(UnsupportedContent) as refused:
        replace_unsupported_images((Message("user", (TextPart("What is this?"), IMAGE)),), blind)
    assert refused.value.code == "unsupported_content"


def test_an_agent_may_want_a_note_in_the_place_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", 'images = "note"'))
    noted = ServedAgent(load(tmp_path / "a.toml").agents[0], Blind())
    parts = replace_unsupported_images((Message("user", (TextPart("What is this?"), IMAGE)),), noted)[0].content
    assert parts[0] == TextPart("What is this?")
    assert isinstance(parts[1], TextPart)
    assert "cannot see" in parts[1].text


async def test_an_orchestration_sees_what_its_coordinators_model_sees(tmp_path: Path) -> None:
    worker = '[orchestration]\nenabled = true\n[orchestration.worker.w]\ndescription = "d"\npreamble = "p"\n'
    (tmp_path / "a.toml").write_text(agent_file("ops") + worker)
    (tmp_path / "b.toml").write_text(agent_file("single"))
    async with serving(tmp_path) as rig:
        team, single = (served.runnable.describe() for served in rig.state.catalog.served)
        assert team.orchestrated
        assert team.images == single.images


def test_an_image_in_a_result_becomes_a_note(blind: ServedAgent) -> None:
    messages = (Message("user", (TextPart("hi"),)), Message("tool", (IMAGE,), tool_call_id="1"))
    assert "cannot see" in replace_unsupported_images(messages, blind)[1].text


class Seeing(Blind):
    """An agent whose provider carries images; whether its model sees them is for the file to say."""

    def describe(self) -> Description:
        return Description("ops", "local", "any", None, orchestrated=False, images=True)


@pytest.mark.parametrize("policy", ["auto", "note", "refuse"])
def test_the_file_decides_where_the_provider_carries_images(tmp_path: Path, policy: str) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", f'images = "{policy}"'))
    served = ServedAgent(load(tmp_path / "a.toml").agents[0], Seeing())
    asked = (Message("user", (TextPart("What is this?"), IMAGE)),)
    if policy == "refuse":
        with pytest.raises(UnsupportedContent):
            replace_unsupported_images(asked, served)
    else:
        kept = replace_unsupported_images(asked, served)[0].content[1]
        assert isinstance(kept, ImagePart) is (policy == "auto")


ATTACHMENTS = [
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "file", "file": {"filename": "report.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    {"type": "input_file", "filename": "report.pdf"},
    {"type": "input_video", "input_video": {"data": "AAAA"}},
    {"type": "input_hologram", "data": "AAAA"},
    {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
]


@pytest.mark.parametrize("part", ATTACHMENTS, ids=lambda part: str(part["type"]))
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_what_no_model_can_be_given_is_refused_or_noted_as_the_file_says(
    tmp_path: Path, part: dict[str, object], path: str
) -> None:
    (tmp_path / "a.toml").write_text(agent_file("strict"))
    (tmp_path / "b.toml").write_text(agent_file("lenient", 'images = "note"'))
    conversation = [{"role": "user", "content": [{"type": "text", "text": "hi "}, part]}]
    key = "input" if path.endswith("responses") else "messages"
    async with serving(tmp_path) as rig:
        refused = await rig.ask("POST", path, {"model": "strict", key: conversation})
        assert (refused.status, refused.error()["code"]) == (400, "unsupported_content")
        assert refused.error()["param"] == f"{key}[0].content[1]"
        assert f"`{part['type']}`" in refused.error()["message"]
        noted = await rig.ask("POST", path, {"model": "lenient", key: conversation})
        assert noted.status == 200
        assert "You said hi [a " in noted.text
        assert "that this model cannot be given]" in noted.text


async def test_a_file_in_a_result_is_never_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", "enable_client_tools = true"))
    tools = [{"type": "function", "function": {"name": "read_file"}}]
    call = {"id": "call_1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
    conversation = [
        {"role": "user", "content": "use it"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [ATTACHMENTS[1]]},
    ]
    async with serving(tmp_path) as rig:
        reply = await rig.ask("POST", "/v1/chat/completions", {"messages": conversation, "tools": tools})
        assert "It says [a file that this model cannot be given]" in reply.text
