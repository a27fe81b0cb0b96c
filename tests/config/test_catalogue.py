"""Every code of the catalogue is reached, says what it must, and never shows a resolved value."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura_py.config import Diagnostic, render, render_json
from aura_py.config.settings import ServerSettings
from tests.config.catalogue import CASES, SENTINEL, Case
from tests.config.files import found_at, write

ELSEWHERE = {
    "CFG-F01": "test_reading",
    "CFG-F02": "test_reading",
    "CFG-F03": "test_reading",
    "CFG-F04": "test_reading",
    "CFG-N01": "test_loading",
    "CFG-D01": "test_settings",
    "CFG-D03": "test_settings",
    "CFG-D04": "test_settings",
    "CFG-D05": "test_settings",
    "CFG-D06": "test_settings",
    "WARN-ENV01": "test_dotenv",
    "CFG-X01": "test_knowledge",
    "WARN-PATH01": "test_skills",
    "WARN-ENV03": "test_settings",
    "WARN-ENV04": "test_settings",
}


def run(case: Case) -> tuple[Diagnostic, ...]:
    for name, text in case.files.items():
        write(text, Path(name))
    path = Path() if not case.text else write(case.text)
    if case.code == "WARN-SEC02":
        path.chmod(0o644)
    settings = ServerSettings(**case.settings) if case.settings else None
    return found_at(path, env=case.env, settings=settings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_is_reported_with_its_code_its_place_and_the_words_people_search_for(case: Case) -> None:
    found = [each for each in run(case) if each.code == case.code]
    assert found, run(case)
    each = found[0]
    assert each.fix
    said = " ".join([each.message, each.key, each.fix, str(each.file)])
    for word in case.words:
        assert word in said
    assert each.severity == {"CFG": "error", "WARN": "warning", "INFO": "info"}[case.code.partition("-")[0]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_report_shows_a_resolved_value(case: Case) -> None:
    diagnostics = run(case)
    assert SENTINEL not in render(diagnostics)
    assert SENTINEL not in render_json(diagnostics)


@pytest.mark.parametrize("case", [case for case in CASES if case.code.startswith("CFG")], ids=lambda case: case.id)
def test_one_mistake_is_reported_once(case: Case) -> None:
    wrong = [each for each in run(case) if each.severity == "error"]
    assert [each.code for each in wrong] == [case.code]


def test_every_code_that_the_room_can_report_has_a_case() -> None:
    import re

    room = Path(__file__).parents[2] / "aura_py" / "config"
    named = {
        code for file in room.rglob("*.py") for code in re.findall(r'"((?:CFG|WARN|INFO)-[A-Z]+\d+)"', file.read_text())
    }
    tested = {case.code for case in CASES} | set(ELSEWHERE)
    assert named == tested | {"CFG-D02"}
