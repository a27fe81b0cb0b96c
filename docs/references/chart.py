"""Writes what is made from the comments and defaults of the chart's values: their JSON Schema and their page.

``python -m docs.references.chart`` writes ``values.schema.json`` beside them and ``docs/chart-values.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
CHART = PROJECT / "deployment" / "helm" / "aura"
PAGE = PROJECT / "docs" / "chart-values.md"

_CHOICES = {
    "image.pullPolicy": ("Always", "IfNotPresent", "Never"),
    "server.logLevel": ("warning", "info", "debug"),
    "service.sessionAffinity": ("None", "ClientIP"),
    "service.type": ("ClusterIP", "NodePort", "LoadBalancer"),
    "streaming.toolResultMode": ("none", "open-web-ui", "aura"),
}
_LEAST = {"server.port": 1, "service.port": 1, "server.workers": 1, "autoscaling.minReplicas": 1}
_FREE = (
    "ingress.annotations",
    "strategy",
    "resources",
    "podSecurityContext",
    "securityContext",
)
"""Tables with defaults that are passed on whole to Kubernetes."""
_INTRODUCTION = """# Values of the chart

Every value of `deployment/helm/aura`, with its default. `values.schema.json` refuses unknown keys and wrong types. How
to use them is on the page about [deployment](deployment.md).

| value | default | meaning |
|---|---|---|
"""


@dataclass(slots=True, frozen=True)
class Value:
    """A value of the chart. ``default`` is ``None`` of a table that has values of its own."""

    path: str
    default: Any
    meaning: str
    table: bool


def values() -> Iterator[Value]:
    """Every value in the order of the file, each with the comment above it."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    opaque: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if opaque is not None and (indent > opaque or not line.strip()):
            continue
        opaque = None
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip("# "))
        elif found := re.match(r" *(\w+):", line):
            path = [each for each in path if each[0] < indent] + [(indent, found[1])]
            name = ".".join(key for _, key in path)
            default = _at(defaults, name)
            table = isinstance(default, dict) and bool(default) and name not in _FREE
            if not table:
                opaque = indent
            yield Value(name, default, " ".join(comment), table)
            comment = []
        else:
            comment = []


def schema() -> dict[str, Any]:
    """The JSON Schema of the values."""
    root: dict[str, Any] = _table()
    root["$schema"] = "http://json-schema.org/draft-07/schema#"
    root["properties"]["global"] = {"type": "object"}
    for value in values():
        *parents, name = value.path.split(".")
        place = root
        for parent in parents:
            place = place["properties"][parent]
        place["properties"][name] = _table() if value.table else _leaf(value)
    return root


def page() -> str:
    """The table of the values as Markdown."""
    rows = (f"| `{value.path}` | {_shown(value.default)} | {value.meaning} |" for value in values() if not value.table)
    return _INTRODUCTION + "\n".join(rows) + "\n"


def schema_text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def _at(defaults: Any, path: str) -> Any:
    for key in path.split("."):
        defaults = defaults[key]
    return defaults


def _table() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _leaf(value: Value) -> dict[str, Any]:
    about: dict[str, Any] = {"description": value.meaning}
    default = value.default
    if value.path in _CHOICES:
        return {**about, "enum": list(_CHOICES[value.path])}
    if isinstance(default, bool):
        return {**about, "type": "boolean"}
    if isinstance(default, int):
        return {**about, "type": "integer", "minimum": _LEAST.get(value.path, 0)}
    if value.path in ("agents.files", "secrets.values"):
        return {**about, "type": "object", "additionalProperties": {"type": "string"}}
    if value.path == "agents.values":
        return {**about, "type": "object", "additionalProperties": {"type": "object"}}
    kind = "string" if isinstance(default, str) else "array" if isinstance(default, list) else "object"
    return {**about, "type": kind}


def _shown(default: Any) -> str:
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= 60 else "see `values.yaml`"


if __name__ == "__main__":
    (CHART / "values.schema.json").write_text(schema_text())
    PAGE.write_text(page())
