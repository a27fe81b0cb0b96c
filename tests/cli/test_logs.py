"""What the log may hold."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from aura_py.cli.logs import start_logging
from aura_py.errors import ProviderUnreachable

SECRET = "sk-in-the-request"


@pytest.fixture(autouse=True)
def same_logging_afterwards() -> Iterator[None]:
    root, ours, server = logging.getLogger(), logging.getLogger("aura_py"), logging.getLogger("uvicorn")
    handlers, levels = root.handlers[:], [each.level for each in (root, ours, server)]
    yield
    root.handlers[:] = handlers
    for each, level in zip((root, ours, server), levels, strict=True):
        each.setLevel(level)


@pytest.mark.parametrize("name", ["botocore.endpoint", "openai._base_client", "httpx", "mcp.client", "jinja2"])
def test_libraries_tell_warnings_only_even_where_their_own_level_is_lower(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_logging(logging.DEBUG)
    library = logging.getLogger(name)
    monkeypatch.setattr(library, "level", logging.DEBUG)
    library.debug("request with %s", SECRET)
    library.info("request with %s", SECRET)
    library.warning("slow")
    logging.getLogger("aura_py.llm").debug("ours")
    assert capsys.readouterr().err == f"WARNING {name}: slow\nDEBUG aura_py.llm: ours\n"


def test_the_level_asked_for_is_aura_s(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(logging.ERROR)
    logging.getLogger("aura_py.llm").warning("quiet")
    assert capsys.readouterr().err == ""


def test_a_traceback_holds_the_words_of_aura_s_own_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(logging.WARNING)
    try:
        try:
            raise ExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)])
        except* ValueError as error:
            raise ProviderUnreachable("nobody answers") from error
    except ExceptionGroup:
        logging.getLogger("aura_py").exception("it failed", exc_info=sys.exc_info())
    written = capsys.readouterr().err
    assert SECRET not in written
    assert "nobody answers" in written
    assert "ValueError" in written
    assert "KeyError" in written
    assert "test_logs.py" in written


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x1b[2K\x1b[1G", "\x85", "\u2028", "\u2029", "\u202e"])
def test_what_a_line_quotes_never_passes_for_another_line(end: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(logging.WARNING)
    forged = f"no such tool{end}ERROR aura_py.server: the key was accepted"
    log = logging.getLogger("aura_py")
    log.warning("tool `%s` failed", forged)
    try:
        raise ProviderUnreachable(forged)
    except ProviderUnreachable:
        log.exception("it failed")
    written = capsys.readouterr().err
    assert end not in written.replace("\n", "" if end == "\n" else "\n")
    lines = written.splitlines()
    assert lines[0].startswith("WARNING aura_py: tool `no such tool\\")
    assert not any(line.startswith("ERROR aura_py.server") for line in lines)
