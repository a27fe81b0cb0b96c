"""What the commands' flags have in common: the boolean words, and the flags every command takes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import IO

import click

TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS = frozenset({"0", "false", "f", "no", "n", "off"})


class BooleanWord(click.ParamType[bool]):
    """A boolean written as in the environment (`config.md` §3.3)."""

    name = "bool"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        word = str(value).strip().lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            self.fail(f"`{value}` is not a boolean; use true or false.", param, ctx)
        return word in TRUE_WORDS


def coloured(stream: IO[str]) -> bool:
    """Whether colour is welcome: a terminal, and no `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def verbosity(function: Callable[..., int]) -> Callable[..., int]:
    """Adds `--verbose` and `--debug`."""
    function = click.option("-d", "--debug", is_flag=True, help="Log everything to standard error.")(function)
    return click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")(function)


def log_level(verbose: bool, debug: bool) -> int:
    if debug:
        return logging.DEBUG
    return logging.INFO if verbose else logging.WARNING
