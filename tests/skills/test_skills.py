"""Skills: what is offered, what is read, and what never is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from aura_py.agent.agent import Agent
from aura_py.agent.contract import Turn
from aura_py.config.models import Skills
from aura_py.events import OrchestratorToolCompleted, OrchestratorToolStarted, RunFinished, ToolCompleted
from aura_py.llm import build_model
from aura_py.mcp import McpPool
from aura_py.messages import ToolCall, user
from aura_py.run.engine import Engine
from aura_py.run.identity import new_context
from aura_py.skills import SkillLibrary
from aura_py.tools.contract import ToolOutcome
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import call_context
from tests.agent.test_agent import config as agent_config
from tests.orchestration.harness import answer, call, config, coordinator, open_harness, plan, step, submit, worker

CODE = "7F-4411"
"""Stands in a skill's body and nowhere else."""


def skill(source: Path, name: str, *, body: str = "", front: str = "", description: str = "") -> Path:
    directory = source / name
    directory.mkdir(parents=True)
    text = f"---\nname: {name}\ndescription: {description or f'About {name}.'}\n{front}---\n\n{body}\n"
    (directory / "SKILL.md").write_text(text)
    return directory


def library(source: Path, **settings: object) -> SkillLibrary:
    return SkillLibrary.open(Skills.model_validate({"local": [{"source": source}], **settings}))


async def run(skills: SkillLibrary, tool: str, **arguments: object) -> ToolOutcome:
    runner = ToolRunner(Toolset(skills.tools))
    return await runner.run(ToolCall("c", tool, orjson.dumps(arguments).decode()), call_context())


@pytest.fixture
def failover(tmp_path: Path) -> Path:
    """A skill with resources; its source lies beside a file that nobody may read."""
    directory = skill(tmp_path / "skills", "pg-failover", body=f"# Failover\nThe code is {CODE}.")
    (tmp_path / "secret.txt").write_text("outside")
    for path, data in {
        "references/deep/steps.md": b"\xef\xbb\xbfStep one.",
        "scripts/check.sh": b"echo ok",
        "assets/logo.png": b"\x89PNG\xff",
        "forms.md": b"Forms.",
        ".hidden": b"dot",
    }.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    (directory / "references" / "out").symlink_to(tmp_path / "secret.txt")
    (directory / "references" / "gone").symlink_to(tmp_path / "no-such-file")
    (directory / "inner.md").symlink_to(directory / "forms.md")
    return directory


async def test_a_skill_is_loaded_without_its_front_matter_and_lists_what_can_be_read(failover: Path) -> None:
    outcome = await run(library(failover.parent), "load_skill", name="pg-failover")
    assert outcome.ok
    body, _, listing = outcome.text.partition("\n\n## Skill resources\n")
    assert body == f"# Failover\nThe code is {CODE}."
    assert [line for line in listing.splitlines() if line.startswith("- ")] == [
        "- assets/logo.png (5 bytes)",
        "- forms.md (6 bytes)",
        "- inner.md (6 bytes)",
        "- references/deep/steps.md (12 bytes)",
        "- scripts/check.sh (7 bytes)",
    ]


async def test_an_edit_takes_effect_at_once(failover: Path) -> None:
    skills = library(failover.parent)
    (failover / "SKILL.md").write_text("---\r\nname: pg-failover\r\ndescription: d\r\n---\r\nNew text.\r\n")
    assert (await run(skills, "load_skill", name="pg-failover")).text.startswith("New text.\n\n## Skill resources")


@pytest.mark.parametrize("path", ["references/deep/steps.md", "forms.md", "inner.md", ".hidden", "./forms.md"])
async def test_every_text_file_inside_a_skill_can_be_read(failover: Path, path: str) -> None:
    outcome = await run(library(failover.parent), "read_skill_file", skill="pg-failover", path=path)
    assert outcome.ok
    assert outcome.text in ("Step one.", "Forms.", "dot")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "outside"),
        ("../../secret.txt", "outside"),
        ("references/../forms.md", "outside"),
        ("C:\\secret.txt", "outside"),
        ("..\\secret.txt", "outside"),
        ("references/out", "outside"),
        ("references/gone", "outside"),
        ("references/out/below", "outside"),
        ("forms.md\0", "outside"),
        ("missing.md", "has no file `missing.md`"),
        ("references", "cannot be read: Is a directory"),
        ("assets/logo.png", "is a binary file (5 bytes)"),
        ("", "`path`"),
        ("a" * 300, "has no file"),
    ],
)
async def test_a_path_that_cannot_be_read_is_told_in_a_sentence(failover: Path, path: str, words: str) -> None:
    outcome = await run(library(failover.parent), "read_skill_file", skill="pg-failover", path=path)
    assert not outcome.ok
    assert words in outcome.text
    assert str(failover) not in outcome.text


async def test_a_pipe_is_not_waited_for(failover: Path) -> None:
    os.mkfifo(failover / "pipe")
    outcome = await run(library(failover.parent), "read_skill_file", skill="pg-failover", path="pipe")
    assert "is not a file" in outcome.text


async def test_a_long_file_comes_in_parts_that_join_to_the_whole(failover: Path) -> None:
    text = "".join(f"line {number} äöü\n" for number in range(400))
    (failover / "long.md").write_text(text)
    skills = library(failover.parent, max_chars=1_000)
    read, offset = "", 0
    while True:
        part = await run(skills, "read_skill_file", skill="pg-failover", path="long.md", offset=offset)
        piece, more, _ = part.text.partition("\n\n[characters ")
        read, offset = read + piece, offset + len(piece)
        if not more:
            break
    assert read == text


async def test_an_unknown_skill_is_answered_with_the_ones_there_are(failover: Path) -> None:
    outcome = await run(library(failover.parent), "load_skill", name="nope")
    assert "there is no skill `nope`; the skills are `pg-failover`" in outcome.text
    outcome = await run(library(failover.parent), "load_skill", name="pg-failover", more=1)
    assert outcome.outcome == "schema_error"


def test_the_catalogue_is_sorted_stands_in_the_prompt_only_and_stays_bounded(tmp_path: Path) -> None:
    for number in range(60):
        skill(tmp_path, f"skill-{number:02}", description="word " * 200)
    skills = library(tmp_path)
    assert skills.prompt is not None
    assert len(skills.prompt) < 20_000
    lines = [line for line in skills.prompt.splitlines() if line.startswith("- ")]
    assert lines == sorted(lines)
    assert len(lines) == 60
    load = skills.tools[0]
    assert "skill-00" not in load.description
    parameters: Any = load.parameters
    assert parameters["properties"]["name"]["enum"][0] == "skill-00"


def test_without_skills_nothing_is_offered(tmp_path: Path) -> None:
    assert (SkillLibrary.open(None).prompt, SkillLibrary.open(None).tools) == (None, ())
    assert library(tmp_path).tools == ()


def test_a_broken_skill_is_left_out_with_an_error_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    skill(tmp_path, "good")
    skill(tmp_path, "bad", front="name: [\n")
    assert list(library(tmp_path).skills) == ["good"]
    assert "bad/SKILL.md:4` is not YAML" in caplog.text


async def test_an_agent_answers_with_what_only_its_skill_knows(failover: Path) -> None:
    rules: list[Any] = [
        {"after_tool": "load_skill", "say": "{{ result }}"},
        {
            "system": "- pg-failover: About pg-failover.",
            "tools": ["load_skill", "read_skill_file"],
            "tool_calls": [{"name": "load_skill", "arguments": {"name": "pg-failover"}}],
        },
    ]
    file = agent_config(rules, skills={"local": [{"source": failover.parent}]})
    async with McpPool() as mcp, Engine() as engine:
        agent = Agent(file, model=build_model(file.agent.llm, agent=file.id), mcp=mcp)
        events = engine.start(agent, Turn((user("help"),)), new_context(), agent=file.id).events()
        seen = [event async for batch in events for event in batch]
    assert isinstance(seen[-1], RunFinished)
    assert CODE in seen[-1].answer
    assert [event.name for event in seen if isinstance(event, ToolCompleted)] == ["load_skill"]


@pytest.mark.parametrize(
    ("own", "offered"),
    [(None, ["pg-failover"]), ({"local": []}, []), ("other", ["triage"])],
    ids=["inherits", "none", "replaces"],
)
async def test_a_worker_inherits_replaces_or_drops_the_skills_of_its_agent(
    failover: Path, tmp_path: Path, own: Any, offered: list[str]
) -> None:
    skill(tmp_path / "other", "triage")
    if own == "other":
        own = {"local": [{"source": tmp_path / "other"}]}
    rules = [
        coordinator("plan", plan(step("look"))),
        worker(submit()),
        coordinator("continue", answer("done")),
    ]
    settings = config(
        rules,
        workers={"alpha": {} if own is None else {"skills": own}},
        agent={"skills": {"local": [{"source": failover.parent}]}},
    )
    async with open_harness() as harness:
        transcript = await harness.run(settings)
    (asked,) = transcript.asked("worker")
    tools = {tool.name: tool.parameters for tool in asked.tools}
    names: Any = tools.get("load_skill", {"properties": {"name": {"enum": []}}})
    assert names["properties"]["name"]["enum"] == offered
    assert all(f"- {name}: " in asked.messages[0].text for name in offered)
    assert ("## Skills" in asked.messages[0].text) == bool(offered)
    assert all("- pg-failover: " in request.messages[0].text for request in transcript.asked("coordinator"))


async def test_skills_of_worker_and_coordinator_are_seen_in_events_that_pair_up(failover: Path) -> None:
    load = call("load_skill", name="pg-failover")
    rules = [
        {**coordinator("plan", plan(step("look"))), "after_tool": "load_skill"},
        coordinator("plan", load),
        {**worker(submit("{{ result }}")), "after_tool": "load_skill"},
        worker(load),
        coordinator("continue", answer("done")),
    ]
    settings = config(rules, agent={"skills": {"local": [{"source": failover.parent}]}})
    async with open_harness() as harness:
        transcript = await harness.run(settings)
    started = [each for each in transcript.all(OrchestratorToolStarted) if each.name == "load_skill"]
    completed = [each for each in transcript.all(OrchestratorToolCompleted) if each.name == "load_skill"]
    assert [(each.worker_id, each.task_id) for each in started] == [("main", None), ("alpha", 0)]
    assert [each.call_id for each in started] == [each.call_id for each in completed]
    assert all(each.ok and CODE in each.result for each in completed)
