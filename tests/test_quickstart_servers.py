"""The quickstart's MCP servers, through the protocol."""

from __future__ import annotations

import ast
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client import Client
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from examples.quickstart import desk_server, files_server


async def ask(server: MCPServer, name: str, **arguments: Any) -> dict[str, Any]:
    async with Client(server) as client:
        result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def refused(server: MCPServer, name: str, **arguments: Any) -> str:
    async with Client(server) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    return str(result.content)


# --- the desk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("37% of 1240", "458.8"),
        ("0.1 + 0.2", "0.3"),
        ("2^100", "1267650600228229401496703205376"),
        ("-(3 - 5) * 4", "8"),
        ("7 % 3", "1"),
        ("50%", "0.5"),
        ("1,240 * 2", "2480"),
        ("7 // 2", "3"),
        ("2 ** -2", "0.25"),
    ],
)
async def test_arithmetic_is_exact(expression: str, result: str) -> None:
    answer = await ask(desk_server.build_server(), "calculate", expression=expression)
    assert answer["result"] == result
    assert answer["exact"] is True


async def test_a_fraction_without_an_end_is_cut_and_says_so() -> None:
    answer = await ask(desk_server.build_server(), "calculate", expression="1/3")
    assert answer == {"expression": "1/3", "result": "0." + "3" * 28, "exact": False}


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').getcwd()",
        "(lambda: 1)()",
        "9**9**9",
        "1/0",
        "x + 1",
        "",
        "1 +",
        "True + 1",
        "'a' * 3",
        "1" * 501,
    ],
)
async def test_what_is_not_arithmetic_is_refused_in_a_sentence(expression: str) -> None:
    assert "Traceback" not in await refused(desk_server.build_server(), "calculate", expression=expression)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    return f"({left} {draw(st.sampled_from('+-*'))} {right})"


@given(expressions())
def test_every_sum_and_product_agrees_with_fractions(expression: str) -> None:
    class ToFractions(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            text = ast.Constant(str(node.value))
            return ast.Call(ast.Name("Fraction", ast.Load()), [text], [])

    tree = ast.fix_missing_locations(ToFractions().visit(ast.parse(expression, mode="eval")))
    wanted = eval(compile(tree, "expression", "eval"), {"Fraction": Fraction})
    assert desk_server.evaluate(expression) == wanted


@given(st.text(max_size=40))
def test_no_text_does_anything_but_calculate_or_refuse(text: str) -> None:
    try:
        desk_server.evaluate(text)
    except ToolError:
        pass


@pytest.mark.parametrize("place", ["Tokyo", "tokyo", "Asia/Tokyo", " asia/tokyo "])
async def test_a_city_finds_its_time_zone(place: str) -> None:
    answer = await ask(desk_server.build_server(), "current_time", place=place)
    assert (answer["place"], answer["zone"], answer["utc_offset"]) == ("Tokyo", "Asia/Tokyo", "+09:00")


async def test_an_unknown_place_is_refused_with_advice() -> None:
    assert "Asia/Tokyo" in await refused(desk_server.build_server(), "current_time", place="Atlantis")


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(-2000, 2000))
def test_working_days_agree_with_counting_them(start: date, span: int) -> None:
    end = start + timedelta(days=span)
    first, last = min(start, end), max(start, end)
    counted = sum((first + timedelta(days=step)).weekday() < 5 for step in range((last - first).days))
    answer = desk_server.difference(start, end)
    assert (answer.days, answer.working_days) == (span, counted)


async def test_a_day_is_described() -> None:
    assert await ask(desk_server.build_server(), "describe_day", day="2024-02-29") == {
        "date": "2024-02-29",
        "weekday": "Thursday",
        "week": 9,
        "day_of_year": 60,
        "leap_year": True,
    }


async def test_a_date_that_does_not_exist_is_refused() -> None:
    assert "2023-02-29" in await refused(desk_server.build_server(), "describe_day", day="2023-02-29")


# --- the files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("outside")
    root = tmp_path / "shelf"
    (root / "notes").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("needle")
    (root / ".env").write_text("KEY=needle")
    (root / "a.py").write_text("first\nneedle here\nlast\n")
    (root / "notes" / "b.py").write_text("a Needle\n" * 3)
    (root / "notes" / "c.bin").write_bytes(b"\xff\xfe\x00needle")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    return root


async def test_files_are_listed_without_hidden_ones_and_links(shelf: Path) -> None:
    answer = await ask(files_server.build_server(shelf), "list_files")
    assert [(each["path"], each["kind"]) for each in answer["entries"]] == [("a.py", "file"), ("notes", "folder")]


async def test_files_are_counted_and_the_largest_named(shelf: Path) -> None:
    answer = await ask(files_server.build_server(shelf), "count_files", pattern="*.py")
    assert (answer["count"], answer["total_size"]) == (2, 50)
    assert answer["largest"][0] == {"path": "notes/b.py", "size": 27}


async def test_a_search_counts_all_matches_and_shows_some(shelf: Path) -> None:
    answer = await ask(files_server.build_server(shelf), "search_files", text="needle", limit=2)
    assert (answer["count"], answer["files"]) == (4, 2)
    assert answer["matches"] == [
        {"path": "a.py", "line": 2, "text": "needle here"},
        {"path": "notes/b.py", "line": 1, "text": "a Needle"},
    ]


async def test_lines_of_a_file_are_read(shelf: Path) -> None:
    answer = await ask(files_server.build_server(shelf), "show_file", path="a.py", first_line=2, lines=1)
    assert answer == {"path": "a.py", "first_line": 2, "last_line": 2, "total_lines": 3, "text": "needle here"}


async def test_lines_around_a_text_are_shown(shelf: Path) -> None:
    answer = await ask(files_server.build_server(shelf), "show_file", path="a.py", around="LAST", lines=9)
    assert (answer["first_line"], answer["text"]) == (1, "first\nneedle here\nlast")
    assert "contains" in await refused(files_server.build_server(shelf), "show_file", path="a.py", around="absent")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "link.txt", "/etc/passwd", ".env", ".git/config", "notes/../../secret.txt", "notes/c.bin"]
)
async def test_nothing_outside_hidden_or_binary_is_read(shelf: Path, path: str) -> None:
    said = await refused(files_server.build_server(shelf), "show_file", path=path)
    assert "outside\\n" not in said
    assert "needle" not in said


@given(path=st.text(max_size=30))
def test_no_path_leads_outside(path: str) -> None:
    root = Path(__file__).parent
    try:
        found = files_server.Folder(root).locate(path)
    except ToolError:
        return
    assert found.is_relative_to(root)
