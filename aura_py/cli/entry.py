"""The `aura` group. A command's module is imported when that command is used, and not before."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from aura_py import __version__
from aura_py.cli import exits

COMMANDS = {
    "serve": ("aura_py.cli.serve", "Serve a file or a directory of agents behind an OpenAI-compatible API."),
    "check": ("aura_py.cli.check", "Validate a file or a directory and print its agents."),
    "run": ("aura_py.cli.run", "Ask an agent one question, without a server."),
    "health": ("aura_py.cli.health", "Ask a running server whether it is ready."),
    "index": ("aura_py.cli.index", "Fill a vector store from its sources."),
    "search": ("aura_py.cli.search", "Search a vector store as an agent would."),
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


_CANNOT_WRITE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; never raises."""
    _prepare_streams()
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except OSError as error:
        if not _cannot_write(error):
            raise
        return _report_lost_output(error)
    except BaseExceptionGroup as group:
        if group.split(_cannot_write)[1] is not None:
            raise
        return _report_lost_output(_innermost(group))


def serve_main() -> int:
    """`aura-web-server`, another name of `aura serve`."""
    sys.argv[1:1] = ["serve"]
    return main()


def _prepare_streams() -> None:
    """Every stream is open, whoever started us, and takes any text, whatever its encoding."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # What is opened next would get this number, and the event loop does not survive that.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if number else "replace")


def _cannot_write(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _CANNOT_WRITE


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _report_lost_output(error: BaseException) -> int:
    """Our output is lost; the interpreter must not complain about it again when it flushes at exit."""
    if isinstance(error, OSError) and error.errno != errno.EPIPE:
        with suppress(OSError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
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
