"""The JSON Schema accepts what the loader accepts, and knows every key."""

from __future__ import annotations

import copy
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aura_py.config import json_schema, load
from aura_py.config.models import AgentConfig
from aura_py.config.schema import tables_below
from aura_py.config.tables import Table
from tests.config.files import ENV, MINIMAL, bent, found, toml, tree

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(
    path
    for folder in ("examples", "configs", "compose", "deployment")
    for path in (REPOSITORY / folder).rglob("*.toml")
    if not path.name.endswith(".script.toml")
)
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_shipped_file_validates(path: Path) -> None:
    VALIDATOR.validate(tomllib.loads(path.read_text()))


class AnyVariable(dict[str, str]):
    """An environment in which every variable is set to something that fits."""

    def get(self, key: str, default: object = None) -> str:
        if key.startswith("AURA_"):
            return super().get(key, "")
        if key == "POSTGRES_URL":
            return "postgresql://db"
        return "https://example.org" if "URL" in key else "true" if "HIDDEN" in key else "something-long"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_shipped_file_loads(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        path.read_text().replace('"/var/lib/aura', f'"{tmp_path}/memory').replace('"/tmp/aura', f'"{tmp_path}/memory')
    )
    monkeypatch.chdir(REPOSITORY)
    copied = tmp_path / path.parent.name / path.name
    shutil.copytree(path.parent, copied.parent)
    copied.write_text(text)
    assert load(copied, env=AnyVariable(AURA_MEMORY_DIR=f"{tmp_path}/memory")).agents


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("agent", "turn_depth"), "{{ env.N }}"),
        (("agent", "turn_depth"), " 12 "),
        (("agent", "turn_depth"), 12.0),
        (("agent", "hidden"), "true"),
        (("agent", "hidden"), "{{ env.H | default: 'false' }}"),
        (("agent", "llm", "provider"), "OpenAI"),
        (("agent", "llm", "temperature"), "0.5"),
        (("agent", "llm", "base_url"), ""),
        (("agent", "llm", "base_url"), "{{ env.U }}"),
        (("mcp", "servers", "web", "transport"), "{{ env.T }}"),
        (("orchestration", "quality_threshold"), 0.5),
        (("orchestration", "result_summary_length"), 5),
        (("unknown",), 1),
    ],
)
def test_what_the_loader_accepts_is_valid(path: tuple[str, ...], value: Any) -> None:
    env = {**ENV, "N": "3", "H": "true", "U": "https://a.example", "T": "sse"}
    document = bent(path, value)
    assert not [each for each in found(toml(document), env=env) if each.severity == "error"]
    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("agent", "turn_depth"), "many"),
        (("agent", "turn_depth"), -1),
        (("agent", "hidden"), "yes"),
        (("agent", "random"), 1),
        (("agent", "llm", "region"), "x"),
        (("agent", "llm", "provider"), "other"),
        (("mcp", "servers", "files", "url"), "https://a.example"),
        (("hitl", "enabled"), True),
        (("llm",), {}),
        (("orchestration", "workers"), {}),
        (("orchestration", "per_call_timeout_secs"), 3),
    ],
)
def test_what_the_loader_refuses_is_not_valid(path: tuple[str, ...], value: Any) -> None:
    document = bent(path, value)
    assert [each for each in found(toml(document), env=ENV) if each.severity == "error"]
    if path != ("mcp", "servers", "files", "url"):
        assert not VALIDATOR.is_valid(document)


def test_the_full_tree_loads_and_validates() -> None:
    document = copy.deepcopy(tree())
    assert not [each for each in found(toml(document), env=ENV) if each.severity == "error"]
    VALIDATOR.validate(document)
    assert found(MINIMAL) == ()


def test_every_key_is_described() -> None:
    tables = list(tables_below(Table(AgentConfig), set()))
    assert len(tables) > 30
    for table in tables:
        for name, key in table.keys.items():
            assert key.doc.endswith("."), (table.model, name)
