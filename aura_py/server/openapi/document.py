"""The document: routes, and the declarations of bodies as JSON Schema."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

from aura_py import __version__
from aura_py.server.openapi import answers, events, requests
from aura_py.server.wire_json import to_json

Schema: TypeAlias = dict[str, Any]

_REF: Final = "#/components/schemas/"
_DECLARED: Final = (
    requests.ChatCompletionRequest,
    requests.ResponseRequest,
    answers.Error,
    answers.ModelList,
    answers.ChatCompletion,
    answers.ChatCompletionChunk,
    answers.Response,
    answers.Info,
    answers.Live,
    answers.Ready,
    *events.EVENTS.values(),
)
_SESSION: Final = (
    ("X-Chat-Session-Id", "The session, unless `metadata.chat_session_id` names it."),
    ("Idempotency-Key", "A request with a key that was seen before gets the answer of the first."),
)
_EVENT_WISH: Final = ("X-Aura-Events", "`true` or `false`: vendor chunks with an `aura` key in the stream.")
_ERRORS: Final = {
    "400": "The request is malformed; `param` names the field.",
    "401": "A key is missing or wrong.",
    "404": "There is no such agent, run or path, or not for this caller.",
    "409": "The session is busy, or a key was used for another request.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "429": "The provider's limit is reached; `Retry-After` says when to ask again.",
    "502": "The provider or a required server failed.",
    "503": "The server is shutting down.",
    "504": "The run took too long.",
}


@cache
def serialised() -> bytes:
    """The document as it is sent."""
    return to_json(openapi_document())


def openapi_document() -> Schema:
    """The whole API as OpenAPI 3.1."""
    declared: dict[str, Any] = {each.__name__: each for each in _DECLARED}
    declared["ResponseStreamEvent"] = answers.ResponseStreamEvent
    own, shared = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(kind)) for name, kind in declared.items()],
        ref_template=_REF + "{model}",
    )
    schemas = {**shared["$defs"], **{name: schema for (name, _), schema in own.items() if "$ref" not in schema}}
    for schema in schemas.values():
        _drop_titles(schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aura",
            "version": __version__,
            "description": "Agents behind an OpenAI-compatible API. Named `aura.*` events of streams "
            f"(`AURA_CUSTOM_EVENTS`) carry: {', '.join(_event_line(name) for name in events.EVENTS)}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
        "security": [{"bearer": []}, {"x-api-key": []}, {"api-key": []}, {}],
    }


def _drop_titles(schema: Schema) -> None:
    """They only repeat the names of fields."""
    schema.pop("title", None)
    for each in schema.get("properties", {}).values():
        each.pop("title", None)


def _event_line(name: str) -> str:
    return f"`aura.{name}` {events.EVENTS[name].__name__}"


def _paths() -> Schema:
    return {
        "/v1/chat/completions": {
            "post": _operation(
                "createChatCompletion",
                "Ask an agent",
                "A stream of chunks that ends with `data: [DONE]`, or one JSON body; `stream` decides.",
                parameters=[_header(*each) for each in (*_SESSION, _EVENT_WISH)],
                body="ChatCompletionRequest",
                answer=_ref("ChatCompletion"),
                frames={"oneOf": [_ref("ChatCompletionChunk"), _ref("Error")]},
                errors=("400", "401", "404", "409", "413", "415", "429", "502", "503", "504"),
            )
        },
        "/v1/responses": {
            "post": _operation(
                "createResponse",
                "Ask an agent by the Responses API",
                "A stream of events, or one JSON body; `stream` decides. Nothing is stored.",
                parameters=[_header(*each) for each in _SESSION],
                body="ResponseRequest",
                answer=_ref("Response"),
                frames=_ref("ResponseStreamEvent"),
                errors=("400", "401", "404", "409", "413", "415", "429", "502", "503", "504"),
            )
        },
        "/v1/responses/{rest}": {
            method: _operation(
                f"{method}StoredResponse",
                "Stored responses, of which there are none",
                parameters=[_path("rest")],
                errors=("401", "404", "503"),
            )
            for method in ("get", "post", "delete")
        },
        "/v1/models": {
            "get": _operation(
                "listModels",
                "The agents that this caller may ask",
                answer=_ref("ModelList"),
                errors=("401", "503"),
            )
        },
        "/v1/models/{agent_id}": {
            "get": _operation(
                "getModel",
                "One agent; hidden ones too",
                parameters=[_path("agent_id")],
                answer=_ref("Model"),
                errors=("401", "404", "503"),
            )
        },
        "/aura/info": {
            "get": _operation(
                "getInfo",
                "Agents with their workers and servers",
                parameters=[
                    {
                        "name": "detail",
                        "in": "query",
                        "description": "Ask the servers for their tools, with the caller's own headers.",
                        "schema": {"enum": ["", "tools", "tools:summary"]},
                    }
                ],
                answer=_ref("Info"),
                errors=("400", "401", "503"),
            )
        },
        "/aura/runs/{run}": {
            "get": _operation(
                "getRun",
                "The answer of a run that outlives its client",
                "From its first byte, while the run goes on or for a while after it; the id is the `x-request-id` of "
                'the first answer, the agent has `on_disconnect = "continue"`.',
                parameters=[_path("run")],
                answer={"anyOf": [_ref("ChatCompletion"), _ref("Response")]},
                frames={"anyOf": [_ref("ChatCompletionChunk"), _ref("Error"), _ref("ResponseStreamEvent")]},
                errors=("401", "404", "409", "503"),
            )
        },
        "/health": {
            "get": _operation(
                "getHealth", "Whether the server works", answer={"type": "object"}, errors=("503",), open_to_all=True
            )
        },
        "/health/live": {
            "get": _operation(
                "getLive",
                "Whether the process answers, also while it is shutting down",
                answer=_ref("Live"),
                open_to_all=True,
            )
        },
        "/health/ready": {
            "get": _operation(
                "getReady",
                "Whether requests should come here",
                "503 while the server is shutting down or a required MCP server cannot be reached.",
                answer=_ref("Ready"),
                unready=_ref("Ready"),
                open_to_all=True,
            )
        },
        "/openapi.json": {
            "get": _operation(
                "getOpenApi", "This document", answer={"type": "object"}, errors=("503",), open_to_all=True
            )
        },
    }


def _operation(
    identity: str,
    summary: str,
    description: str = "",
    *,
    parameters: list[Schema] | None = None,
    body: str | None = None,
    answer: Schema | None = None,
    frames: Schema | None = None,
    unready: Schema | None = None,
    errors: tuple[str, ...] = (),
    open_to_all: bool = False,
) -> Schema:
    operation: Schema = {"operationId": identity, "summary": summary}
    if description:
        operation["description"] = description
    if open_to_all:
        operation["security"] = [{}]
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    responses: Schema = {}
    if answer is not None:
        content: Schema = {"application/json": {"schema": answer}}
        if frames is not None:
            content["text/event-stream"] = {"schema": _event(frames)}
        responses["200"] = {"description": "The answer.", "content": content}
    if unready is not None:
        responses["503"] = {"description": "Not now.", "content": {"application/json": {"schema": unready}}}
    for status in errors:
        responses[status] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": _ref("Error")}},
        }
    return operation | {"responses": responses}


def _event(data: Schema) -> Schema:
    """An event of a stream, whose data is JSON, except for the last one of a chat completion."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    properties = {"event": {"type": "string"}, "data": {"anyOf": [{"const": "[DONE]"}, text]}}
    return {"type": "object", "description": "One event.", "properties": properties, "required": ["data"]}


def _ref(name: str) -> Schema:
    return {"$ref": _REF + name}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
