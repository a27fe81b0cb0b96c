"""Public names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.mcp.names import names_of_server, resolve_collisions, sanitize_name


@pytest.mark.parametrize(
    ("native", "public"),
    [
        ("list pods", "list_pods"),
        ("fs/read.file", "fs_read_file"),
        ("__status__", "status"),
        ("3d_render", "tool_3d_render"),
        ("***", "tool_"),
        ("get-item", "get-item"),
        ("größe", "gr__e"),
    ],
)
def test_names_are_sanitised_as_specified(native: str, public: str) -> None:
    assert sanitize_name(native) == public


def test_a_name_that_is_cut_ends_in_a_hash_of_the_whole() -> None:
    one, other = sanitize_name("a" * 70), sanitize_name("a" * 71)
    assert len(one) == len(other) == 64
    assert one.startswith("a" * 55 + "_")
    assert one != other
    assert sanitize_name("a" * 64) == "a" * 64


def test_names_of_one_server_never_meet() -> None:
    assert names_of_server(["a b", "a_b", "c"])[1:] == ["a_b", "c"]
    assert names_of_server(["a b", "a_b"])[0].startswith("a_b_")
    one, other = names_of_server(["größe", "grüße"])
    assert one != other
    assert names_of_server(["grüße", "größe"]) == [other, one]


@given(st.lists(st.text(max_size=90), max_size=20, unique=True))
def test_every_name_is_legal_distinct_and_independent_of_order(natives: list[str]) -> None:
    names = names_of_server(natives)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert len(set(names)) == len(names)
    assert dict(zip(natives, names, strict=True)) == dict(
        zip(reversed(natives), names_of_server(natives[::-1]), strict=True)
    )


def test_the_first_server_keeps_the_name_and_the_warning_names_both(caplog: pytest.LogCaptureFixture) -> None:
    names = resolve_collisions((("logs", ("search", "tail")), ("web docs", ("search", "fetch"))))
    assert names == (("search", "tail"), (None, "fetch"))
    assert "WARN-MCP03" in caplog.text
    assert "`logs`" in caplog.text
    assert "`web docs`" in caplog.text


def test_built_in_names_are_never_taken() -> None:
    assert resolve_collisions((("files", ("read_file", "stat")),), frozenset({"read_file"})) == (
        ("files_read_file", "stat"),
    )


def test_a_prefixed_tool_does_not_take_the_name_of_another() -> None:
    names = resolve_collisions((("b", ("x",)), ("c", ("b_x", "x"))), frozenset({"x"}))
    assert names[1] == ("b_x", "c_x")
    assert (names[0][0] or "").startswith("b_x_")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from(["x", "a_x", "b_x"]), unique=True))))
def test_names_of_all_servers_never_meet(servers: list[tuple[str, list[str]]]) -> None:
    named = [(f"{name}{index}", tuple(tools)) for index, (name, tools) in enumerate(servers)]
    resolved = [name for names in resolve_collisions(tuple(named), frozenset({"x"})) for name in names if name]
    assert len(set(resolved)) == len(resolved)
    assert "x" not in resolved
