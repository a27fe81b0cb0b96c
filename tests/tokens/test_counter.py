"""Token counting."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_py.tokens import TokenCounter, counter_for, vocabulary

published: Any = import_module("tiktoken_ext.openai_public")
SHIPPED = TokenCounter("o200k_base")
DIGEST = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def test_the_shipped_vocabulary_is_the_published_one() -> None:
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(vocabulary.tokens()))
    assert hashlib.sha256(b"".join(lines)).hexdigest() == DIGEST


def test_the_encoding_is_defined_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = {token: rank for rank, token in enumerate(vocabulary.tokens())}

    def shipped(_address: str, expected_hash: str) -> dict[bytes, int]:
        assert expected_hash == DIGEST
        return ranks

    monkeypatch.setattr(published, "load_tiktoken_bpe", shipped)
    definition = published.o200k_base()
    assert definition["pat_str"] == vocabulary.PATTERN
    assert definition["special_tokens"] == vocabulary._SPECIAL
    assert max(map(len, ranks)) == vocabulary.LONGEST_TOKEN


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("hello world", 2), ("Grüße 🌍", 5), ("<|endoftext|>", 1), ("a<|fim|>b", 7)]
)
def test_known_counts(text: str, count: int) -> None:
    assert SHIPPED.count(text) == count


@pytest.mark.parametrize(
    ("provider", "model", "encoding", "factor"),
    [
        ("openai", "gpt-4o", "o200k_base", 1),
        ("openai", "gpt-4", "cl100k_base", 1),
        ("openai", "something-new", "o200k_base", 1),
        ("openrouter", "openai/gpt-4o-mini", "o200k_base", 1),
        ("ollama", "llama3", "o200k_base", 1),
        ("gemini", "gemini-2.5-pro", "o200k_base", 1),
        ("anthropic", "claude-sonnet-4", "cl100k_base", Fraction(11, 10)),
        ("bedrock", "eu.anthropic.claude-sonnet-4", "cl100k_base", Fraction(11, 10)),
        ("bedrock", "amazon.nova-pro", "o200k_base", 1),
        ("openrouter", "anthropic/Claude-Sonnet-4", "cl100k_base", Fraction(11, 10)),
    ],
)
def test_the_counter_of_a_provider(provider: str, model: str, encoding: str, factor: Fraction) -> None:
    assert counter_for(provider, model) == TokenCounter(encoding, Fraction(factor))


def test_an_encoding_that_is_not_in_the_cache_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(vocabulary, "_encodings", {})
    assert vocabulary.encoding("cl100k_base").name == "o200k_base"


def test_a_damaged_cache_is_never_mended_from_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address = vocabulary._PUBLISHED.format(name="cl100k_base").encode()
    (tmp_path / hashlib.sha1(address, usedforsecurity=False).hexdigest()).write_bytes(b"broken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(vocabulary, "_encodings", {})
    assert vocabulary.encoding("cl100k_base").name == "o200k_base"


def test_a_factor_rounds_up() -> None:
    assert TokenCounter("o200k_base", Fraction(11, 10)).count("hello world") == 3


@pytest.mark.parametrize("text", ["a" * 1_000_000, " " * 1_000_000, "\n" * 1_000_000, "ab" * 300_000, "é" * 300_000])
def test_a_megabyte_of_one_thing_is_counted(text: str) -> None:
    assert 0 < SHIPPED.count(text) <= len(text.encode())


def test_texts_longer_than_a_piece_are_counted_exactly() -> None:
    text = "The quick brown fox (no. 7) jumped over 1,234 lazy dogs; didn't it?\n\n" * 2000
    assert SHIPPED.count(text) == len(vocabulary.encoding("o200k_base").encode(text))


def test_the_question_whether_it_is_more_does_not_encode_everything() -> None:
    huge = "word " * 20_000_000
    assert SHIPPED.exceeds(huge, 1000)
    assert SHIPPED.exceeds(huge, 500_000)
    assert not SHIPPED.exceeds("short", 1000)


def test_a_short_text_is_judged_without_the_vocabulary() -> None:
    code = (
        "from aura_py.tokens import vocabulary, counter_for;"
        "assert not counter_for('ollama', 'x').exceeds('hello', 100);"
        "assert counter_for('ollama', 'x').exceeds('x' * 100000, 100);"
        "assert not vocabulary._encodings"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


_texts: Any = st.text(max_size=200) | st.lists(
    st.sampled_from(["word ", "  ", "\n", "漢字", "<|endoftext|>", "x" * 50, "12345", "\ud83d"]), max_size=30
).map("".join)


@given(text=_texts, limit=st.integers(-2, 60))
def test_the_short_answers_agree_with_the_count(text: str, limit: int) -> None:
    count = SHIPPED.count(text)
    assert SHIPPED.exceeds(text, limit) == (count > limit)
    up_to = SHIPPED.count_up_to(text, limit)
    assert up_to == count if count <= limit else up_to > limit
