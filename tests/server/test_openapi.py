"""The described API beside the one that is served."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from aura_py.errors import RequestError
from aura_py.server.openai.chat_request import parse_chat
from aura_py.server.openai.responses_request import parse_responses
from aura_py.server.openai.sampling import sampling
from aura_py.server.openapi.document import openapi_document
from aura_py.server.openapi.events import EVENTS
from tests.server.rig import Rig

SNAPSHOTS = sorted((Path(__file__).parent / "snapshots").glob("*.txt"))
DOCUMENT = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not declare."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "properties" in found and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


CLOSED = {"components": {"schemas": closed(copy.deepcopy(SCHEMAS))}}


def check(name: str, value: object) -> None:
    validator = jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **CLOSED})
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    assert error is None, f"{name}: {error.message} at {error.json_path}"


def frames(text: str) -> Iterator[tuple[str, Any]]:
    """Event names, empty for chunks, and data."""
    for frame in text.split("\n\n"):
        head, _, data = frame.rpartition("data: ")
        if data.startswith("{"):
            yield head.removeprefix("event: ").strip(), json.loads(data)


async def test_the_document_needs_no_key(rig: Rig) -> None:
    reply = await rig.ask("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.json() == json.loads(json.dumps(DOCUMENT))


def test_every_route_is_described_and_nothing_else(rig: Rig) -> None:
    served = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in cast(Starlette, rig.app).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert served == described


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_every_frame_of_a_chat_stream_is_as_described(snapshot: Path) -> None:
    for name, data in frames(snapshot.read_text()):
        if name:
            check(EVENTS[name.removeprefix("aura.")].__name__, data)
        elif "error" in data:
            check("Error", data)
        else:
            # Most snapshots leave out what is the same in every chunk.
            check("ChatCompletionChunk", {"object": "chat.completion.chunk", "created": 1, **data})
            if event := data.get("aura"):
                fields = {key: value for key, value in event.items() if key != "type"}
                check(EVENTS[event["type"]].__name__, fields)


def test_every_event_has_been_seen() -> None:
    seen = {name for path in SNAPSHOTS for name, _ in frames(path.read_text()) if name}
    rare = {
        "notice",  # covered where a run is degraded
        *(f"orchestrator.{name}" for name in ("direct_answer", "clarification_needed", "replan_started")),
    }
    assert {f"aura.{name}" for name in set(EVENTS) - rare} <= seen


@pytest.mark.parametrize("text", ["hi", "list", "break", "cut"])
async def test_every_frame_of_a_response_is_as_described(rig: Rig, text: str) -> None:
    reply = await rig.ask("POST", "/v1/responses", {"stream": True, "input": text, "model": "ops"})
    found = list(frames(reply.text))
    assert found
    for name, data in found:
        assert name == data["type"]
        check("ResponseStreamEvent", data)


async def test_answers_are_as_described(rig: Rig) -> None:
    chat = {"model": "ops", "messages": [{"role": "user", "content": "hi"}]}
    check("ChatCompletion", (await rig.ask("POST", "/v1/chat/completions", chat)).json())
    check("Response", (await rig.ask("POST", "/v1/responses", {"model": "ops", "input": "hi"})).json())
    check("ModelList", (await rig.ask("GET", "/v1/models")).json())
    check("Model", (await rig.ask("GET", "/v1/models/ops")).json())
    check("Info", (await rig.ask("GET", "/aura/info")).json())
    check("Error", (await rig.ask("GET", "/nothing")).json())


# --- requests ------------------------------------------------------------------------------------------------------

PARSERS = {"ChatCompletionRequest": parse_chat, "ResponseRequest": parse_responses}
MINIMAL: dict[str, dict[str, Any]] = {
    "ChatCompletionRequest": {"messages": [{"role": "user", "content": "hi"}]},
    "ResponseRequest": {"input": "hi"},
}
LENIENT = {"metadata", "user", "safety_identifier", "instructions", "aura", "stream_options", "parallel_tool_calls"}
"""Fields of which a wrong type counts as absent, or whose inner fields do."""


class Watched(dict[str, Any]):
    """A body that notes which fields are read."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(body)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


OVERRIDES = ("temperature", "top_p", "max_tokens", "stop", "seed", "reasoning_effort", "response_format")


def parse(name: str, body: Mapping[str, Any], rig: Rig) -> None:
    agent = rig.state.catalog.configs[0].agent
    call = PARSERS[name](body)
    sampling(call.body, agent.model_copy(update={"request_overrides": OVERRIDES}))


@pytest.mark.parametrize("name", PARSERS)
def test_every_field_that_is_read_is_described(name: str, rig: Rig) -> None:
    body = Watched(MINIMAL[name])
    parse(name, body, rig)
    refused = {"previous_response_id", "conversation", "prompt", "background"}
    of_the_other = {"max_output_tokens", "input"} if name == "ChatCompletionRequest" else {"messages"}
    assert body.read - refused - of_the_other <= set(SCHEMAS[name]["properties"])


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in PARSERS for field in SCHEMAS[name]["properties"]]
)
def test_a_described_field_of_a_wrong_type_is_refused_by_name(name: str, field: str, rig: Rig) -> None:
    body = {**MINIMAL[name], field: 1.5 if field not in ("temperature", "top_p") else "x"}
    assert not jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    ).is_valid(body)
    if field in LENIENT:
        return
    with pytest.raises(RequestError) as refused:
        parse(name, body, rig)
    assert (refused.value.param or "").startswith(field)


def bodies(schema: Any) -> st.SearchStrategy[Any]:
    """Values that a schema of the document allows; of strings and numbers only plain ones."""
    if "$ref" in schema:
        return st.deferred(lambda: bodies(SCHEMAS[schema["$ref"].rpartition("/")[2]]))
    if "anyOf" in schema:
        return st.one_of([bodies(each) for each in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            required = set(schema.get("required", ()))
            fields = {key: bodies(value) for key, value in schema["properties"].items()}
            return st.fixed_dictionaries(
                {key: value for key, value in fields.items() if key in required},
                optional={key: value for key, value in fields.items() if key not in required},
            )
        case "object":
            return st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
        case "array":
            return st.lists(bodies(schema["items"]), min_size=schema.get("minItems", 0), max_size=2)
        case "string":
            return (
                st.just("data:x") if "pattern" in schema else st.text(min_size=schema.get("minLength", 0), max_size=5)
            )
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "integer":
            return st.integers(schema.get("minimum", -(2**53)), schema.get("maximum", 2**53))
        case "number":
            return st.floats(schema.get("minimum", -9), schema.get("maximum", 9))
    raise AssertionError(schema)


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_described_is_accepted(name: str, rig: Rig) -> None:
    @given(bodies(SCHEMAS[name]))
    def accepted(body: dict[str, Any]) -> None:
        refusal = None
        try:
            parse(name, body, rig)
        except RequestError as error:
            refusal = error
        # Which messages a conversation may end with is no matter of types.
        assert refusal is None or refusal.param in ("messages", "input"), refusal.message

    accepted()
