"""Sanitised schemas in the vendors' own types: what an SDK refuses would cost an agent all of its tools."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from anthropic.types import ToolParam
from botocore.validate import ParamValidator
from google.genai.types import FunctionDeclaration
from ollama import Tool
from openai.types.chat import ChatCompletionToolParam
from pydantic import TypeAdapter

from aura_py.llm.gemini.schema import readable
from aura_py.mcp.schemas import sanitize_schema

Schema = dict[str, Any]


def of(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


NODE = of(value={"type": "string"}, children={"type": "array", "items": {"$ref": "#/$defs/node"}})
SCHEMAS: dict[str, Schema] = {
    "nothing": {},
    "booleans": of(a=True, b=False, c={"type": "array", "items": True}),
    "unions": of(a={"type": ["string", "null"]}, b={"oneOf": [{"type": "integer"}, {"type": "null"}]}, c={}),
    "tree": {**of(root={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}},
    "draft 4": of(a={"type": "number", "minimum": 0, "exclusiveMinimum": True}, b={"type": "array", "items": [{}]}),
    "root union": {"oneOf": [of(a={"type": "string"}), {"$ref": "#/definitions/b"}], "definitions": {"b": of(b={})}},
    "odd words": of(a={"type": "any"}, b={"type": "STRING", "pattern": "(?<x>", "minLength": "1"}, c=None),
    "many values": of(a={"type": "string", "enum": [f"value {number}" for number in range(3000)]}),
    "maps": of(a={"type": "object", "additionalProperties": {"type": "string"}}, b={"patternProperties": {"^x": {}}}),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_vendor_takes_what_the_sanitiser_made(name: str) -> None:
    schema = sanitize_schema(SCHEMAS[name])
    FunctionDeclaration(name="t", description="d", parameters_json_schema=readable(schema))
    function: Schema = {"name": "t", "description": "d", "parameters": schema}
    Tool.model_validate({"type": "function", "function": function})
    TypeAdapter(ChatCompletionToolParam).validate_python({"type": "function", "function": function})
    TypeAdapter(ToolParam).validate_python({"name": "t", "input_schema": schema})
    converse = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("ConverseStream")
    tools = [{"toolSpec": {"name": "t", "description": "d", "inputSchema": {"json": schema}}}]
    report = ParamValidator().validate(
        {"modelId": "m", "messages": [], "toolConfig": {"tools": tools}}, converse.input_shape
    )
    assert not report.has_errors(), report.generate_report()
