"""`aura run`: one question, the same engine as the server, no HTTP."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Literal

import click

from aura_py.cli.terminal import config_option, verbosity

Output = Literal["text", "json", "events"]


def _a_number(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no number of seconds.")
    return value


@click.command("run", short_help="Ask an agent one question, without a server.")
@click.argument("question")
@click.option("--agent", metavar="NAME", help="Agent to ask: its alias or name. Needed when there are several.")
@config_option
@click.option("--session", metavar="ID", help="Session id, as a client would send it.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    callback=_a_number,
    metavar="SECONDS",
    help="Stop after this long, with exit status 124.  [env: STREAMING_TIMEOUT_SECS; default: 900]",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "events"]),
    default="text",
    show_default=True,
    help="text: the answer as it comes, tool activity on stderr; json: one object; events: one JSON line per event.",
)
@verbosity
def command(
    question: str,
    agent: str | None,
    config: Path | None,
    session: str | None,
    timeout: float | None,
    output: Output,
    verbose: bool,
    debug: bool,
) -> int:
    """Ask an agent one question, without a server. `-` reads the question from standard input.

    Only the answer goes to standard output; tool activity and problems go to standard error. A terminal gets the
    answer without control characters, everything else gets it as it is.

    AURA_EXTRA_HEADERS stands in for the headers of a request (headers_from_request): "Name: value, Name2: value2" or
    a JSON object.

    \b
    Exit status:
      0    answered
      1    the run failed, or the configuration cannot be used
      2    wrong usage
      3    the answer on standard output is incomplete
      124  out of time
      130  interrupted
    """
    if question == "-":
        question = sys.stdin.read()
    question = question.encode("utf-8", "replace").decode()  # arguments may hold bytes that are no text
    if not question.strip():
        raise click.UsageError("The question is empty.")

    from aura_py.cli.oneshot import ask

    return ask(
        question,
        agent=agent,
        config=config,
        session=session,
        timeout=timeout,
        output=output,
        verbose=verbose,
        debug=debug,
    )
