"""Writes the API reference: ``python -m docs.references.openapi docs/openapi.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aura_py.server.openapi.document import openapi_document

_INTRODUCTION = """# OpenAPI

`GET /openapi.json` describes the whole API as OpenAPI 3.1, without a key; generators of clients and testing tools read
it. This page is made from it. What the fields do is on the [page of the API](http-api.md).
"""


def page() -> str:
    """The reference as Markdown."""
    document = openapi_document()
    lines = [_INTRODUCTION, "## Operations", ""]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            lines += _operation(path, method, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield ""
    yield operation["summary"] + ". " + operation.get("description", "")
    yield ""
    for parameter in operation.get("parameters", ()):
        about = f": {parameter['description']}" if "description" in parameter else ""
        yield f"- `{parameter['name']}` ({parameter['in']}){about}"
    if "requestBody" in operation:
        yield f"- body: {_type(operation['requestBody']['content']['application/json']['schema'])}"
    for status, answer in operation["responses"].items():
        kinds = [_answer(kind, content["schema"]) for kind, content in answer["content"].items()]
        yield f"- {status}: {answer['description']} {'; '.join(kinds)}"
    yield ""


def _answer(kind: str, schema: dict[str, Any]) -> str:
    if kind != "text/event-stream":
        return _type(schema)
    return f"stream of {_type(schema['properties']['data']['anyOf'][1]['contentSchema'])}"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if "description" in schema:
        yield schema["description"]
        yield ""
    if "properties" not in schema:
        yield _type(schema)
        yield ""
        return
    required = schema.get("required", ())
    yield "| field | type | |"
    yield "|---|---|---|"
    for field, value in schema["properties"].items():
        about = value.get("description", "") or next(
            (each["description"] for each in value.get("anyOf", ()) if "description" in each), ""
        )
        shown = _type(value).replace("|", "\\|")
        yield f"| `{field}`{'' if field in required else ' (optional)'} | {shown} | {about} |"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(each) for each in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "anything")
    return f"array of {_type(schema['items'])}" if kind == "array" and "items" in schema else str(kind)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
