"""What the documentation promises exists, and what exists is documented."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from starlette.routing import Route

from aura_py.config.settings import ServerSettings, setting_of
from aura_py.server.app import create_app
from docs.references.command_line import page
from docs.references.configuration import renewed
from docs.references.openapi import page as openapi_page

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), PROJECT / "README.md", *(PROJECT / "examples").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TOML_BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(path.read_text())}


def test_the_command_line_page_is_current() -> None:
    assert (DOCS / "cli.md").read_text() == page(), "run `make docs`"


def test_the_api_reference_is_current() -> None:
    assert (DOCS / "openapi.md").read_text() == openapi_page(), "run `make docs`"


def test_the_configuration_reference_is_current() -> None:
    text = (DOCS / "configuration.md").read_text()
    assert text == renewed(text), "run `make docs`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place) if place else path
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_toml_block_is_toml(path: Path) -> None:
    for block in TOML_BLOCK.findall(path.read_text()):
        tomllib.loads(block)


def test_every_page_is_in_the_index() -> None:
    listed = {target.partition("#")[0] for target in LINK.findall((DOCS / "index.md").read_text())}
    assert {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"index.md"} == listed


def test_every_setting_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text() + (DOCS / "cli.md").read_text()
    for name, info in ServerSettings.model_fields.items():
        setting = setting_of(info)
        if setting is not None:
            assert f"`{setting.variable}`" in text, name
            assert not setting.flag or f"`{setting.flag}`" in text, name


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    routes = {
        (method, re.sub(r"\{[^}]*\}", "{id}", route.path))
        for route in create_app_routes()
        for method in (route.methods or set()) - {"HEAD"}
    }
    told = set(re.findall(r"^\| `(GET|POST|DELETE) (/[^`]*)` \|", (DOCS / "http-api.md").read_text(), re.MULTILINE))
    assert told == routes


def create_app_routes() -> list[Route]:
    class Bare:
        settings = ServerSettings.resolve({}, {})

    app = create_app(Bare())  # type: ignore[arg-type]  # routes need no running services
    return [route for route in app.routes if isinstance(route, Route)]


def test_every_dependency_is_documented() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    text = (DOCS / "dependencies.md").read_text()
    for wanted in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name = re.split(r"[\[<>=; ]", wanted)[0]
        if not name.startswith("types-"):
            assert re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE), name


def test_every_task_of_the_makefile_says_what_it_does() -> None:
    text = (PROJECT / "Makefile").read_text()
    tasks = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())  # type: ignore[union-attr]
    assert tasks == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    for task in ("run", "test", "lint", "bench", "docs"):
        assert task in tasks


def test_ci_runs_the_linters_and_exactly_the_test_command_of_the_readme() -> None:
    commands = [line.split("#")[0].strip() for line in (PROJECT / ".ci" / "run").read_text().splitlines()]
    assert "make lint" in commands
    assert "make test" in commands
    assert "make test" in (PROJECT / "README.md").read_text()


def test_every_room_is_drawn_and_described() -> None:
    text = (DOCS / "architecture.md").read_text()
    rooms = [path.name for path in (PROJECT / "aura_py").iterdir() if (path / "__init__.py").exists()]
    words = [path.stem for path in (PROJECT / "aura_py").glob("*.py") if not path.stem.startswith("__")]
    drawing = text.partition("```mermaid")[2].partition("```")[0]
    for room in rooms:
        assert re.search(rf"^\s+{room}$", drawing, re.MULTILINE), room
        assert f"**`{room}`**" in text, room
    for word in words:
        assert word in drawing, word
