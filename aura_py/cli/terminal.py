"""What the commands have in common on their command lines and terminals."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

_SEVERITY = re.compile(r"^(?:error|warning|info)(?=[\[:])", re.MULTILINE)
_COLOURS = {"error": "1;31", "warning": "33", "info": "36"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """A text from elsewhere without what a terminal would obey; only ends of lines and tabs stay."""
    return _CONTROL.sub("", text)


def coloured(stream: IO[str]) -> bool:
    """Whether colour is welcome: a terminal, and no `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def colour_severities(text: str, stream: IO[str]) -> str:
    """Diagnostics with their severity in colour where it is welcome."""
    if not coloured(stream):
        return text
    return _SEVERITY.sub(lambda found: f"\x1b[{_COLOURS[found[0]]}m{found[0]}\x1b[0m", text)


class ConfigPath(click.Path):
    """A file or directory of agents; whether it is there and can be read is the loader's to say."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not os.fspath(value).strip():
            self.fail("The path is empty.", param, ctx)
        return super().convert(value, param, ctx)


def config_option(function: Callable[..., int]) -> Callable[..., int]:
    """Adds `--config`."""
    help_text = "File or directory of agents.  [env: CONFIG_PATH; default: config.toml]"
    return click.option("-c", "--config", type=ConfigPath(), help=help_text)(function)


def verbosity(function: Callable[..., int]) -> Callable[..., int]:
    """Adds `--verbose` and `--debug`."""
    function = click.option("-d", "--debug", is_flag=True, help="Log everything to standard error.")(function)
    return click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")(function)


def log_level(verbose: bool, debug: bool, *, usually: int = logging.WARNING) -> int:
    if debug:
        return logging.DEBUG
    return logging.INFO if verbose else usually
