"""Every example and every configuration of the repository loads, and fits the published schema."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aura_py.config import load
from aura_py.config.models import AgentConfig
from aura_py.config.schema import json_schema

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = PROJECT / "examples"
SCHEMA = EXAMPLES / "agent.schema.json"
AGENTS = sorted(
    path
    for folder in (EXAMPLES, PROJECT / "configs")
    for path in folder.rglob("*.toml")
    if not path.name.endswith(".script.toml")
)
VARIABLE = re.compile(r"\{\{\s*env\.(\w+)")


def variables(path: Path) -> dict[str, str]:
    """A value for every variable that the file names."""
    urls = {name: "http://127.0.0.1:9/v1" for name in VARIABLE.findall(path.read_text()) if name.endswith("URL")}
    return dict.fromkeys(VARIABLE.findall(path.read_text()), "value") | urls


def shown(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", AGENTS, ids=shown)
def test_the_file_loads_strictly_given_its_variables(path: Path, tmp_path: Path) -> None:
    folders = {name: str(tmp_path) for name in variables(path) if name.endswith("_DIR")}
    loaded = load(path, env=variables(path) | folders, strict=True)
    assert len(loaded.agents) == 1
    assert [each.message for each in loaded.warnings] == []


@pytest.mark.parametrize("path", AGENTS, ids=shown)
def test_the_file_fits_the_schema_that_its_first_line_names(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("#:schema ")
    schema = (path.parent / first.removeprefix("#:schema ")).resolve()
    assert schema == SCHEMA
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(tomllib.loads(path.read_text()))


def test_the_schema_in_the_examples_is_current() -> None:
    written = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text() == written, "run `make docs`"


@pytest.mark.parametrize("folder", ["quickstart/agents", "complete"])
def test_the_directory_loads_as_one(folder: str) -> None:
    every = {name: value for path in (EXAMPLES / folder).glob("*.toml") for name, value in variables(path).items()}
    assert len(load(EXAMPLES / folder, env=every, strict=True).agents) >= 2


def test_the_reference_names_every_key() -> None:
    text = (EXAMPLES / "reference" / "agent.toml").read_text()
    scripts = {"rules"}  # documented in docs/scripted.md
    for key in keys_of(AgentConfig) - scripts - {"path"}:
        assert re.search(rf"\b{key}\b", text), key


def keys_of(model: type[Any]) -> set[str]:
    """Every key of a model and of the tables inside it, except those of scripts."""
    found: set[str] = set()
    waiting, seen = [model.model_json_schema()], set[str]()
    definitions = waiting[0].get("$defs", {})
    while waiting:
        schema = waiting.pop()
        found |= set(schema.get("properties", {}))
        for reference in re.findall(r'"#/\$defs/(\w+)"', json.dumps({**schema, "$defs": {}})):
            if reference not in seen and not reference.startswith("Script"):
                seen.add(reference)
                waiting.append(definitions[reference])
    return found


def test_switching_to_a_real_model_is_a_change_of_three_lines() -> None:
    minimal = tomllib.loads((EXAMPLES / "minimal" / "openai.toml").read_text())["agent"]["llm"]
    assert len(minimal) == 3
    quickstart = (EXAMPLES / "quickstart" / "agents" / "assistant.toml").read_text()
    three = "\n".join(f"{key} = {json.dumps(value)}" for key, value in minimal.items())
    changed, count = re.subn(r'provider = "scripted"\nmodel = ".*"\nscript = ".*"', three, quickstart)
    assert count == 1
    assert set(tomllib.loads(changed)["agent"]["llm"]) == {*minimal, "context_window"}


def test_the_minimal_examples_show_every_provider() -> None:
    shown_providers = {
        tomllib.loads(path.read_text())["agent"]["llm"]["provider"] for path in (EXAMPLES / "minimal").glob("*.toml")
    }
    schema = AgentConfig.model_json_schema()["$defs"]
    every = {each["properties"]["provider"]["const"] for name, each in schema.items() if name.endswith("LLM")}
    assert shown_providers == every


def test_the_example_environment_names_real_settings() -> None:
    from aura_py.config.settings import ServerSettings, setting_of

    settings = {found.variable for info in ServerSettings.model_fields.values() if (found := setting_of(info))}
    used = {name for path in AGENTS for name in VARIABLE.findall(path.read_text())}
    for name in re.findall(r"^#? ?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE):
        assert name in settings | used, name
