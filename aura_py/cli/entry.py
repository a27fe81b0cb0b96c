"""The `aura` group. A command's module is imported when that command is used, and not before."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from aura_py import __version__
from aura_py.cli import exits

COMMANDS = {
    "serve": ("aura_py.cli.serve", "Serve a file or a directory of agents behind an OpenAI-compatible API."),
    "check": ("aura_py.cli.check", "Validate a file or a directory and print its agents."),
    "run": ("aura_py.cli.run", "Ask an agent one question, without a server."),
    "schema": ("aura_py.cli.schema", "Print the JSON Schema of the agent file."),
}


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Agents from TOML files, served as models behind an OpenAI-compatible API.",
)
@click.version_option(__version__, "-V", "--version", prog_name="aura", message="%(prog)s %(version)s")
def aura() -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; never raises."""
    try:
        return _invoke(arguments)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except BaseExceptionGroup as group:
        if group.split(BrokenPipeError)[1] is not None:
            raise
        return _unread()


def _unread() -> int:
    """Whoever read our output has gone; the interpreter must not complain about it when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exits.FAILED


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        status = aura.main(arguments, prog_name="aura", standalone_mode=False)
    except click.Abort:
        return exits.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return exits.USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status if isinstance(status, int) else exits.OK
