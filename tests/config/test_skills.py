"""Discovery of skills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aura_py.config import InvalidConfiguration, load
from aura_py.config.skills import discover, split
from tests.config.files import MINIMAL, agent, codes, found, found_at, only, write

SKILLS = MINIMAL + "[[agent.skills.local]]\nsource = 'skills'\n"


def skill(name: str, *, source: str = "skills", front: str = "", body: str = "Body.") -> None:
    write(f"---\nname: {name}\ndescription: About {name}.\n{front}---\n{body}\n", Path(source) / name / "SKILL.md")


def test_directories_with_a_skill_file_are_skills_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b-skill", "a1", "c"):
        skill(name)
    Path("skills/empty").mkdir()
    Path("skills/plain.md").write_text("---")
    write("x", Path("skills/lower/skill.md"))
    skill("linked", source="elsewhere")
    (tmp_path / "skills" / "linked").symlink_to(tmp_path / "elsewhere" / "linked")
    cards, problems = discover([Path("skills")])
    assert [card.name for card in cards] == ["a1", "b-skill", "c", "linked"]
    assert problems == ()
    assert agent(SKILLS).agent.skills is not None


def test_other_fields_are_tolerated_and_delimiters_are_whole_lines() -> None:
    skill("a", front="license: MIT\nallowed-tools: [x]\nmetadata:\n  note: one --- two\n", body="---\nrest")
    cards, problems = discover([Path("skills")])
    assert (len(cards), problems) == (1, ())
    assert split("\n ---\na: 1---2\n---\nbody\n---\n") == ("a: 1---2", "body\n---\n")


def test_the_first_source_wins() -> None:
    skill("a", source="one")
    skill("a", source="two")
    cards, problems = discover([Path("one"), Path("two")])
    assert cards[0].directory.parent.name == "one"
    assert [each.code for each in problems] == ["WARN-SK01"]


def test_every_broken_skill_is_reported_at_start_with_its_file() -> None:
    write("---\nname: Bad\ndescription: d\n---\n", Path("skills/Bad/SKILL.md"))
    write("nothing", Path("skills/none/SKILL.md"))
    write(b"\xff", Path("skills/bytes/SKILL.md"))
    found_ = found(SKILLS)
    assert sorted(codes(found_)) == ["CFG-K03", "CFG-K04", "CFG-K07"]
    assert all("SKILL.md" in each.message for each in found_)


@pytest.mark.parametrize(
    "front", ["name: 3\ndescription: d", "- a", "name: a", "a: &x [*x]\nb: !!python/object:os.x {}"]
)
def test_front_matter_without_its_fields_is_an_error(front: str) -> None:
    write(f"---\n{front}\n---\n", Path("skills/a/SKILL.md"))
    assert codes(found(SKILLS)) == ["CFG-K06"]


def test_a_description_is_measured_in_characters() -> None:
    write(f"---\nname: a\ndescription: {'é' * 1024}\n---\n", Path("skills/a/SKILL.md"))
    assert codes(found(SKILLS)) == []


def test_the_skills_of_a_worker_count_only_when_it_works() -> None:
    worker = "[orchestration.worker.w]\ndescription='d'\npreamble='p'\nskills.local=[{source='nowhere'}]\n"
    assert codes(found(MINIMAL + worker)) == []
    on = "[orchestration]\nenabled = true\ntimeouts = { per_call_timeout_secs = 9 }\n"
    each = found(MINIMAL + on + worker)[0]
    assert (each.code, each.key) == ("CFG-K02", "orchestration.worker.w.skills.local[0].source")


def test_an_empty_source_is_refused_without_a_scratchpad_too() -> None:
    assert codes(found(SKILLS.replace("'skills'", "' '"))) == ["CFG-K01"]


def test_a_source_is_looked_for_beside_the_file_then_in_the_working_directory(tmp_path: Path) -> None:
    text = MINIMAL + "[[agent.skills.local]]\nsource = 'skills'\n"
    file = write(text, Path("agents/agent.toml"))
    skill("here")
    (each,) = found_at(file)
    assert (each.code, each.severity) == ("WARN-PATH01", "warning")
    skill("beside", source="agents/skills")
    assert found_at(file) == ()
    skills = load(file, env={}).agents[0].agent.skills
    assert skills is not None
    assert [each.source for each in skills.local] == [tmp_path / "agents" / "skills"]


def test_a_server_leaves_a_broken_skill_out_and_a_check_or_a_strict_server_does_not() -> None:
    write("---\nname: Bad\ndescription: d\n---\n", Path("skills/Bad/SKILL.md"))
    file = write(SKILLS)
    (each,) = load(file, env={}, skip_broken_skills=True).warnings
    assert (each.code, each.severity) == ("CFG-K07", "warning")
    assert "the skill `Bad` is left out" in each.message
    assert "Bad/SKILL.md:2`" in each.message
    for strict in (False, True):
        with pytest.raises(InvalidConfiguration):
            load(file, env={}, strict=strict, skip_broken_skills=strict)


def test_a_pipe_in_place_of_a_skill_is_not_opened() -> None:
    Path("skills/pipe").mkdir(parents=True)
    os.mkfifo("skills/pipe/SKILL.md")
    each = only(found(SKILLS))
    assert (each.code, "neither a file nor a directory" in each.message) == ("CFG-K03", True)
