"""What the commands have in common on their command lines and terminals."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import IO

import click


def coloured(stream: IO[str]) -> bool:
    """Whether colour is welcome: a terminal, and no `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def verbosity(function: Callable[..., int]) -> Callable[..., int]:
    """Adds `--verbose` and `--debug`."""
    function = click.option("-d", "--debug", is_flag=True, help="Log everything to standard error.")(function)
    return click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")(function)


def log_level(verbose: bool, debug: bool, *, usually: int = logging.WARNING) -> int:
    if debug:
        return logging.DEBUG
    return logging.INFO if verbose else usually
