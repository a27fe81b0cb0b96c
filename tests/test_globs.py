from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.globs import Glob, GlobError, any_match


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("logs_search", "logs_search", True),
        ("logs_search", "Logs_search", False),
        ("logs", "logs_search", False),
        ("*", "", True),
        ("**", "anything", True),
        ("logs_*", "logs_", True),
        ("*_logs_*", "a_logs_b", True),
        ("a*b*c", "aXbYbZc", True),
        ("a*b*c", "aXbYbZ", False),
        ("?", "", False),
        ("?", "x", True),
        ("a?c", "abbc", False),
        ("[abc]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("[!a-c]x", "dx", True),
        ("[!a-c]x", "ax", False),
        ("[]a]x", "]x", True),
        ("[a-]x", "-x", True),
        (r"[\]]x", "]x", True),
        ("k8s_{apply,delete}_*", "k8s_delete_pod", True),
        ("k8s_{apply,delete}_*", "k8s_get_pod", False),
        ("{a*,b}c", "axxc", True),
        ("{a*,b}c", "bxc", False),
        ("{a,{b,c}}d", "cd", True),
        ("{,x}y", "y", True),
        ("a,b", "a,b", True),
        (r"\*x", "*x", True),
        (r"\*x", "ax", False),
        ("É*", "état", False),
        ("é*", "état", True),
    ],
)
def test_a_pattern_covers_the_whole_name(pattern: str, name: str, expected: bool) -> None:
    assert Glob(pattern).matches(name) is expected


@pytest.mark.parametrize(
    ("pattern", "position"),
    [("[", 1), ("a[b", 2), ("a{b", 2), ("{a,{b}", 1), ("a}", 2), ("a\\", 2), ("[z-a]", 2), ("[a\\", 1)],
)
def test_a_malformed_pattern_says_where(pattern: str, position: int) -> None:
    with pytest.raises(GlobError) as caught:
        Glob(pattern)
    assert caught.value.position == position
    assert f"position {position}" in str(caught.value)


def test_any_of_several_patterns_is_enough() -> None:
    assert any_match(["a_*", "b_*"], "b_1")
    assert not any_match([], "b_1")


def test_patterns_compare_by_their_text() -> None:
    assert Glob("a*") == Glob("a*")
    assert len({Glob("a*"), Glob("a*"), Glob("b")}) == 2


def test_many_stars_against_a_very_long_name_come_to_an_end() -> None:
    assert not Glob("a*" * 30 + "b").matches("a" * 1_000_000)


def test_a_pattern_that_is_absurdly_large_is_a_glob_error() -> None:
    with pytest.raises(GlobError, match="too large"):
        Glob("{" + ",".join(f"[!{chr(each)}]?" * 9 for each in range(300, 9000)) + "}")


def test_half_of_a_surrogate_pair_is_a_character_like_any_other() -> None:
    assert Glob("a?b").matches("a\ud83db")
    assert not Glob("a").matches("a\ud83d")


def test_a_star_covers_ends_of_lines() -> None:
    assert Glob("a*[!x]").matches("a\nb\n")


@given(st.text(alphabet="ab*?[]{}!-,\\", max_size=20), st.text(alphabet="ab", max_size=20))
def test_any_text_is_a_pattern_or_a_glob_error(pattern: str, name: str) -> None:
    position = 1
    try:
        Glob(pattern).matches(name)
    except GlobError as error:
        position = error.position
    assert 1 <= position <= max(1, len(pattern))


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=10))
def test_stars_and_question_marks_mean_what_a_regular_expression_says(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
    assert Glob(pattern).matches(name) == bool(re.fullmatch(expression, name))


@given(st.lists(st.text(alphabet="ab*", max_size=4), min_size=1, max_size=3), st.text(alphabet="ab", max_size=6))
def test_braces_mean_any_of_the_alternatives(alternatives: list[str], name: str) -> None:
    joined = "a{" + ",".join(alternatives) + "}b"
    assert Glob(joined).matches(name) == any(Glob(f"a{each}b").matches(name) for each in alternatives)


@given(st.text(max_size=20))
def test_escaped_text_matches_itself_only(text: str) -> None:
    pattern = "".join("\\" + char for char in text)
    assert Glob(pattern).matches(text)
    assert not Glob(pattern).matches(text + "x")
