"""Side requests of chat UIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.server.side_requests import cleaned
from tests.server.rig import Rig, agent_file, serving

LIBRECHAT = "Provide a concise, 5-word-or-less title for the conversation, using title case."
OPEN_WEB_UI = '### Task:\nGenerate a title.\n### Output:\nJSON format: { "title": "…" }'


async def test_a_title_for_open_web_ui_is_bare_json_from_one_call_without_thinking(rig: Rig) -> None:
    reply = await rig.chat(OPEN_WEB_UI)
    message = reply.json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": '{"title": "Ports"}', "refusal": None}


async def test_a_side_request_may_stream_when_its_header_says_so(rig: Rig) -> None:
    headers = {"x-aura-task": "title_generation"}
    reply = await rig.chat(OPEN_WEB_UI, stream=True, headers=headers)
    assert r'"content":"{\"title\": \"Ports\"}"' in reply.text
    assert "reasoning_content" not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_an_ordinary_stream_is_never_taken_for_a_side_request(rig: Rig) -> None:
    assert "```" in (await rig.chat(OPEN_WEB_UI, stream=True)).text


@pytest.mark.parametrize("stream", [True, False])
async def test_a_side_request_through_the_responses_api_is_answered_the_same_way(rig: Rig, stream: bool) -> None:
    headers = {"x-aura-task": "title_generation"}
    reply = await rig.ask("POST", "/v1/responses", {"input": OPEN_WEB_UI, "stream": stream}, headers)
    assert r'"text":"{\"title\": \"Ports\"}"' in reply.text
    assert "summary_text" not in reply.text
    assert "Sure, here it is" not in reply.text


EMOJI = "Your task is to reflect the speaker's likely facial expression through a fitting emoji. Interpret emotions"
SYNTHESIS = (
    'You have been provided with a set of responses from various models to the latest user query: "hi"\n\n'
    "Your task is to synthesize these responses into a single, high-quality response."
)
LABEL = "Write a short label describing what this block of agent activity accomplished. It appears as"
HEADER = "You write the one-line header above a group of tool calls an AI agent just made. Say what"
RULES = """
[[agent.llm.rules]]
system = "Be brief"
say = "the agent"

[[agent.llm.rules]]
system = "label describing"
say = "a label"
reasoning = "hm"

[[agent.llm.rules]]
say = "Sure:\\n```text\\n{{ user | length }} characters\\n```"
reasoning = "hm"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.toml").write_text(agent_file("ops", rules=RULES))
    return tmp_path


@pytest.mark.parametrize("text", [EMOJI, HEADER, LABEL])
async def test_emojis_and_activity_labels_are_side_requests(directory: Path, text: str) -> None:
    async with serving(directory) as rig:
        reply = await rig.chat(text)
    assert reply.json()["choices"][0]["message"]["content"] == f"{len(text)} characters"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_a_label_is_written_under_the_system_message_that_asks_for_it(directory: Path, path: str) -> None:
    system, question = {"role": "system", "content": LABEL}, {"role": "user", "content": "- look() → 42"}
    key = "input" if path.endswith("responses") else "messages"
    async with serving(directory) as rig:
        assert '"a label"' in (await rig.ask("POST", path, {key: [system, question]})).text
        assert "the agent" in (await rig.ask("POST", path, {key: [{**system, "content": "Obey"}, question]})).text


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_made_of_several_models_answers_is_whole_and_may_stream(directory: Path, stream: bool) -> None:
    async with serving(directory) as rig:
        text = (await rig.chat(SYNTHESIS, stream=stream)).text
    assert "the agent" not in text
    assert "```text" in text
    assert "hm" not in text


WANTS_A_TOOL = """
[[agent.llm.rules]]
call = 1
say = "Open ports"
tool_calls = [{ name = "look" }]

[[agent.llm.rules]]
say = "a second call"
"""
TEAM = """
[orchestration]
enabled = true

[orchestration.worker.scout]
description = "Looks."
preamble = "Look."
"""


@pytest.mark.parametrize("team", ["", TEAM])
async def test_a_side_request_is_one_model_call_also_when_the_model_wants_a_tool(tmp_path: Path, team: str) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", rules=WANTS_A_TOOL + team))
    async with serving(tmp_path) as rig:
        choice = (await rig.chat(LIBRECHAT)).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Open ports", "stop")


@pytest.mark.parametrize(("policy", "status"), [("refuse", 403), ("agent", 200)])
async def test_an_agent_may_refuse_side_requests_or_answer_them_itself(
    tmp_path: Path, policy: str, status: int
) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", f'side_requests = "{policy}"'))
    async with serving(tmp_path) as rig:
        reply = await rig.chat(LIBRECHAT)
        assert reply.status == status
        if status == 200:
            assert "Sure, here it is" in reply.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("answer", "json", "expected"),
    [
        ("Disk Space On Db1", False, "Disk Space On Db1"),
        ('"Disk Space"', False, "Disk Space"),
        ("Title: Disk Space", False, "Disk Space"),
        ("Here is a title:\nDisk Space", False, "Disk Space"),
        ("<think>hm\n</think>\nDisk Space", False, "Disk Space"),
        ("```\nDisk Space\n```", False, "Disk Space"),
        ('Sure:\n```json\n{"tags": ["a"]}\n```', True, '{"tags": ["a"]}'),
        ('Well, {"a": {"b": 1}} it is', True, '{"a": {"b": 1}}'),
        ("no object", True, "no object"),
        ("", False, ""),
        ("A first line\nand a second one\nand more", False, "A first line\nand a second one\nand more"),
    ],
)
def test_answers_are_cleaned(answer: str, json: bool, expected: str) -> None:
    assert cleaned(answer, json=json) == expected
