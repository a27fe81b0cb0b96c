"""``tool_choice`` in every form that OpenAI's two endpoints know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aura_py.errors import RequestError
from aura_py.llm.contract import NamedTool, ToolChoice
from aura_py.server.openai.tools import tool_choice
from tests.server.rig import agent_file, serving

PATHS = ("/v1/chat/completions", "/v1/responses")
RULES = """
[[agent.llm.rules]]
tools = ["alpha"]
say = "alpha of {{ tools | length }}"

[[agent.llm.rules]]
say = "no alpha of {{ tools | length }}"
"""


def conversation(path: str, text: str = "hi") -> dict[str, Any]:
    return {"input" if path.endswith("responses") else "messages": [{"role": "user", "content": text}]}


def function(path: str, name: str) -> dict[str, Any]:
    if path.endswith("responses"):
        return {"type": "function", "name": name}
    return {"type": "function", "function": {"name": name}}


def allowed(path: str, mode: str, *names: str) -> dict[str, Any]:
    choice = {"mode": mode, "tools": [function(path, name) for name in names]}
    if path.endswith("responses"):
        return {"type": "allowed_tools", **choice}
    return {"type": "allowed_tools", "allowed_tools": choice}


@pytest.mark.parametrize(
    ("given", "choice", "names"),
    [
        (None, "auto", None),
        ("auto", "auto", None),
        ("none", "none", None),
        ("required", "required", None),
        ({"type": "function", "function": {"name": "a"}}, NamedTool("a"), None),
        ({"type": "function", "name": "a"}, NamedTool("a"), None),
        (allowed(PATHS[0], "auto", "a", "b"), "auto", {"a", "b"}),
        (allowed(PATHS[1], "required", "a"), "required", {"a"}),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "image_generation"}]}, "auto", set()),
        ({"type": "custom", "custom": {"name": "a"}}, "auto", None),
        ({"type": "custom", "name": "a"}, "auto", None),
        ({"type": "mcp", "server_label": "deep"}, "auto", None),
        ({"type": "mcp", "server_label": "deep", "name": "a"}, NamedTool("a"), None),
        ({"type": "file_search"}, "auto", None),
        ({"type": "web_search_preview_2025_03_11"}, "auto", None),
        ({"type": "computer_use_preview"}, "auto", None),
        ({"type": "code_interpreter"}, "auto", None),
        ({"type": "shell"}, "auto", None),
        ({"type": "apply_patch"}, "auto", None),
    ],
)
def test_every_valid_form_is_read(given: object, choice: ToolChoice, names: set[str] | None) -> None:
    assert tool_choice({"tool_choice": given}) == (choice, names)


@pytest.mark.parametrize(
    "given",
    [
        "sometimes",
        7,
        [],
        {},
        {"type": "function"},
        {"type": "nonsense"},
        {"type": "allowed_tools"},
        {"type": "allowed_tools", "mode": "none", "tools": []},
        {"type": "allowed_tools", "mode": "auto", "tools": "a"},
        {"type": "allowed_tools", "mode": "auto", "tools": ["a"]},
        {"type": "allowed_tools", "allowed_tools": 3},
    ],
)
def test_other_forms_are_the_callers_mistake(given: object) -> None:
    with pytest.raises(RequestError) as raised:
        tool_choice({"tool_choice": given})
    assert (raised.value.param or "").startswith("tool_choice")


@pytest.mark.parametrize("path", PATHS)
async def test_only_allowed_tools_are_offered(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops", "enable_client_tools = true", RULES))
    tools = [function(path, name) for name in ("alpha", "beta", "gamma")]
    async with serving(tmp_path) as rig:
        for names, said in ((("alpha", "beta"), "alpha of 2"), (("gamma",), "no alpha of 1"), ((), "no alpha of 0")):
            body = {**conversation(path), "tools": tools, "tool_choice": allowed(path, "auto", *names)}
            assert f'"{said}"' in (await rig.ask("POST", path, body)).text


@pytest.mark.parametrize(
    ("overrides", "said"), [("", "alpha of 3"), ('request_overrides=["tool_choice"]', "alpha of 1")]
)
async def test_the_agents_own_tools_are_restricted_where_the_file_lets_the_caller_choose(
    tmp_path: Path, overrides: str, said: str
) -> None:
    text = agent_file("ops", f"enable_client_tools = true\n{overrides}", RULES) + "\n[tools]\nfilesystem = true\n"
    (tmp_path / "a.toml").write_text(text)
    body = {
        **conversation(PATHS[0]),
        "tools": [function(PATHS[0], name) for name in ("alpha", "beta")],
        "tool_choice": allowed(PATHS[0], "auto", "alpha"),
    }
    async with serving(tmp_path) as rig:
        assert f'"{said}"' in (await rig.ask("POST", PATHS[0], body)).text


async def test_a_stored_prompt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("ops"))
    async with serving(tmp_path) as rig:
        reply = await rig.ask("POST", "/v1/responses", {"input": "hi", "prompt": {"id": "pmpt_1"}})
        assert (reply.status, reply.error()["param"]) == (400, "prompt")
        assert (await rig.ask("POST", "/v1/responses", {"input": "hi", "prompt": None})).status == 200


OUT_OF_RANGE: list[tuple[Mapping[str, object], str]] = [
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.5}, "top_p"),
    ({"seed": 2**63}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"stop": [1]}, "stop"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort"),
    ({"reasoning_effort": ["high"]}, "reasoning_effort"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": "y"}}}, "response_format"),
]
RESPONSES: list[tuple[Mapping[str, object], str]] = [
    ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
    ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
    ({"max_output_tokens": "many"}, "max_output_tokens"),
]
EVERY = (
    'request_overrides = ["temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "tool_choice",'
    ' "reasoning_effort"]'
)


@pytest.mark.parametrize(
    ("path", "given", "param"),
    [(PATHS[0], *case) for case in OUT_OF_RANGE] + [(PATHS[1], *case) for case in RESPONSES],
)
async def test_a_bad_value_is_a_400_that_names_it_where_the_file_listens_to_it(
    tmp_path: Path, path: str, given: Mapping[str, object], param: str
) -> None:
    (tmp_path / "a.toml").write_text(agent_file("open", EVERY))
    (tmp_path / "b.toml").write_text(agent_file("closed"))
    async with serving(tmp_path) as rig:
        reply = await rig.ask("POST", path, {**conversation(path), **given, "model": "open"})
        assert (reply.status, reply.error()["param"]) == (400, param)
        assert (await rig.ask("POST", path, {**conversation(path), **given, "model": "closed"})).status == 200


async def test_values_at_the_bounds_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(agent_file("open", EVERY))
    good: dict[str, Any] = {"temperature": 2, "top_p": 0, "seed": -(2**63), "stop": "", "max_tokens": 0}
    async with serving(tmp_path) as rig:
        assert (await rig.chat("hi", **good, response_format={"type": "text"})).status == 200


REFUSING = """
[[agent.llm.rules]]
error = { status = 400, message = "temperature: must be between 0 and 1 for this model" }
"""


@pytest.mark.parametrize("path", PATHS)
async def test_a_provider_that_refuses_the_callers_value_is_a_400_that_names_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.toml").write_text(agent_file("open", EVERY, REFUSING))
    async with serving(tmp_path) as rig:
        reply = await rig.ask("POST", path, {**conversation(path), "temperature": 1.5})
        assert (reply.status, reply.error()["param"]) == (400, "temperature")
        assert "does not take `temperature` as the request sets it" in reply.error()["message"]
        others = await rig.ask("POST", path, conversation(path))
        assert others.status == 502


REFUSING_EFFORT = """
[[agent.llm.rules]]
error = { status = 400, message = "reasoning_effort is not supported by this model" }
"""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_parameter_has_the_callers_name(tmp_path: Path, stream: bool) -> None:
    (tmp_path / "a.toml").write_text(agent_file("open", EVERY, REFUSING_EFFORT))
    for path, given, name in (
        (PATHS[0], {"reasoning_effort": "high"}, "reasoning_effort"),
        (PATHS[1], {"reasoning": {"effort": "high"}}, "reasoning.effort"),
    ):
        async with serving(tmp_path) as rig:
            reply = await rig.ask("POST", path, {**conversation(path), **given, "stream": stream})
            assert (reply.status, reply.error()["param"]) == (400, name)
            assert f"does not take `{name}` as the request sets it" in reply.error()["message"]
