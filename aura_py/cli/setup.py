"""What every command does first: `.env` and settings; and how it says what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from aura_py.cli.terminal import colour_severities, printable
from aura_py.config import Diagnostic, InvalidConfiguration, render
from aura_py.config.dotenv import load_dotenv
from aura_py.config.settings import ServerSettings
from aura_py.errors import ConfigurationError

_DEFAULT = "config.toml"


def prepare(flags: Mapping[str, object], *, silent: bool = False) -> ServerSettings:
    """Settings from flags, environment, `.env` files and defaults.

    Args:
        flags: By field of the settings; `None` is a flag that was not given.
        silent: Print no warnings; somebody has.

    Raises:
        InvalidConfiguration: A value is not allowed.
        MissingConfiguration: Nobody named a configuration and there is none in the usual place.
        ConfigurationError: There is no working directory.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise ConfigurationError("The working directory does not exist any more; change to another one.") from None
    warnings = dict.fromkeys(load_dotenv())
    named = flags.get("config_path") or os.environ.get("CONFIG_PATH", "").strip()
    path = Path(str(named or _DEFAULT))
    warnings |= dict.fromkeys(load_dotenv(path))
    settings = ServerSettings.resolve(flags)
    if not silent:
        print_warnings([*warnings, *settings.warnings])
    if not named and not os.path.lexists(path):
        raise MissingConfiguration
    return settings


class MissingConfiguration(ConfigurationError):
    """There is no `config.toml` and nothing else was named."""

    def __init__(self) -> None:
        super().__init__(
            f"There is no `{_DEFAULT}` in `{Path.cwd()}`.\n"
            "  Name a file or directory: `aura serve PATH`, `aura check PATH`, `aura run --config PATH …`,\n"
            "  or set CONFIG_PATH. The files in `examples/minimal` show how little an agent needs."
        )


def print_refusal(error: ConfigurationError) -> int:
    """Prints what keeps a command from starting and returns its exit status."""
    if isinstance(error, InvalidConfiguration):
        _print(error.message)
        return error.exit_code
    _print(f"error: {error.message}")
    return 1


def print_warnings(warnings: Iterable[Diagnostic]) -> None:
    """Prints warnings of the configuration."""
    if found := list(warnings):
        _print(render(found, summary=False))


def _print(text: str) -> None:
    print(colour_severities(printable(text), sys.stderr), file=sys.stderr)
