from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aura_py.config.positions import Positions
from tests.config.files import toml

TEXT = '''# [commented.out]
top = 1
"quoted key" = "a # b"
multi = """
[not.a.table]
key = 1
"""  # comment
literal = \'\'\'
x = "\'\'\' # and on
[a]  # comment
b.c.d = [
  1, # one
  { e = "]", "f g" = [[2], 3] },
]
[[a.list]]
name = "first"
[[a.list]]
name = "second"
[a.list.sub]
deep = {}
[ "spaced" . \'key\' ]
x = 1979-05-27 07:32:00
'''


def test_every_key_stands_where_it_is_written() -> None:
    positions = Positions(TEXT)
    assert positions.of(("top",)) == (2, 1)
    assert positions.of(("quoted key",)) == (3, 1)
    assert positions.of(("literal",)) == (8, 1)
    assert positions.of(("a",)) == (10, 1)
    assert positions.of(("a", "b", "c")) == (11, 3)
    assert positions.of(("a", "b", "c", "d")) == (11, 5)
    assert positions.of(("a", "b", "c", "d", 1, "f g")) == (13, 14)
    assert positions.of(("a", "b", "c", "d", 1, "f g", 0, 0)) == (13, 24)
    assert positions.of(("a", "list", 1, "name")) == (18, 1)
    assert positions.of(("a", "list", 1, "sub", "deep")) == (20, 1)
    assert positions.of(("spaced", "key", "x")) == (22, 1)


def test_what_is_not_written_stands_where_its_table_does() -> None:
    assert Positions(TEXT).of(("a", "list", 1, "sub", "absent", "below")) == (19, 1)
    assert Positions(TEXT).of(("nowhere",)) is None


def test_columns_count_characters_after_windows_line_ends() -> None:
    assert Positions('a = "é"\r\nb = { c = "é", d = 1 }').of(("b", "d")) == (2, 16)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        items: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return found
    return found + [each for step, item in items for each in paths(item, (*path, step))]


keys = st.text(min_size=1, max_size=5).filter(lambda text: text.isprintable())
values = st.recursive(
    st.text(max_size=8).filter(lambda text: text.isprintable()) | st.integers(0, 99) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=4))
def test_every_path_of_a_document_has_a_place_of_its_own(tree: dict[str, Any]) -> None:
    text = toml(tree)
    parsed = tomllib.loads(text)
    positions = Positions(text)
    found = [positions.of(path) for path in paths(parsed)]
    assert None not in found
    assert len(set(found)) == len(found)


@given(st.text(alphabet="ab.=[]{}\"'\\#,\n \t1", max_size=60))
def test_the_scanner_never_fails(text: str) -> None:
    Positions(text).of(("a", "b"))
