"""One run without a server: load, choose, start, print, and answer with an exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import click

from aura_py.agent.contract import Turn
from aura_py.cli import exits
from aura_py.cli.extra_headers import extra_headers
from aura_py.cli.logs import start_logging
from aura_py.cli.printers import End, EventPrinter, JsonPrinter, Printer, TextPrinter
from aura_py.cli.setup import prepare, print_refusal, print_warnings
from aura_py.cli.terminal import log_level, printable
from aura_py.errors import ConfigurationError, RunCancelled, RunTimeout
from aura_py.events import RunFailed, RunFinished
from aura_py.messages import Message, TextPart
from aura_py.run.catalog import Catalog, ServedAgent
from aura_py.run.engine import Run
from aura_py.run.identity import new_context
from aura_py.run.services import Services

if TYPE_CHECKING:
    from aura_py.config.settings import ServerSettings

_SIGNALS = {signal.SIGINT: exits.INTERRUPTED, signal.SIGTERM: exits.TERMINATED}


def ask(
    question: str,
    *,
    agent: str | None,
    config: Path | None,
    session: str | None,
    timeout: float | None,
    output: Literal["text", "json", "events"],
    verbose: bool,
    debug: bool,
) -> int:
    """Runs one turn and returns the exit status."""
    start_logging(log_level(verbose, debug, usually=logging.ERROR))  # what matters is printed with the answer
    try:
        settings = prepare({"config_path": config})
        return anyio.run(
            _ask, settings, question, agent, session, timeout, output, backend_options={"use_uvloop": True}
        )
    except ConfigurationError as error:
        return print_refusal(error)


async def _ask(
    settings: ServerSettings,
    question: str,
    agent: str | None,
    session: str | None,
    timeout: float | None,
    output: Literal["text", "json", "events"],
) -> int:
    services = Services(settings)
    catalog = Catalog.load(settings.config_path, services)
    print_warnings(catalog.warnings)
    served = choose(catalog, agent, settings.default_agent)
    limits = services.limits()
    if timeout is not None:
        limits = replace(limits, total=timeout)
    context = new_context(session_id=session, headers=extra_headers(os.environ), limits=limits)
    turn = Turn((Message("user", (TextPart(question),)),))
    printer = _printer(output, served)
    interrupted: list[int] = []
    async with services:
        run = services.engine.start(served.runnable, turn, context, agent=served.id)
        with _cancel_on_signals(run, interrupted):
            end = await _show_events(run, printer)
        printer.end(run.context, end)
        await run.closed()
    return interrupted[0] if interrupted else status(end, has_text=printer.has_text)


def choose(catalog: Catalog, wanted: str | None, default_agent: str | None) -> ServedAgent:
    """The agent to ask: by name, alias or id in any letter case; without a name the default or the only one.

    Raises:
        click.UsageError: No agent, or more than one, can be meant.
    """
    names = ", ".join(f"`{each.id}`" for each in catalog.visible) or "only hidden ones"
    if wanted is None:
        if len(catalog.served) > 1 and default_agent is None:
            raise click.UsageError(f"There are several agents; choose one with --agent: {names}.")
        return catalog.select(None, default_agent)
    exact = catalog.get(wanted)
    if exact is not None:
        return exact
    folded = wanted.casefold()
    found = [each for each in catalog.served if folded in {each.id.casefold(), each.config.agent.name.casefold()}]
    if len(found) == 1:
        return found[0]
    if len(catalog.served) == 1:
        print(f"warning: There is no agent `{wanted}`; asking the only one there is.", file=sys.stderr)
        return catalog.served[0]
    raise click.UsageError(f"`{wanted}` names {'several agents' if found else 'no agent'}; there are {names}.")


def status(end: End, *, has_text: bool) -> int:
    """The exit status of an ended run; says on stderr why it is not 0."""
    if isinstance(end, RunFinished):
        if end.finish_reason not in ("length", "content_filter"):
            return exits.OK
        reason = (
            "the limit of its length or turns" if end.finish_reason == "length" else "the provider's content filter"
        )
        _print_error(f"The answer was cut by {reason}.")
        return exits.PARTIAL if has_text else exits.FAILED
    _print_error(end.error.message, end.error.detail)
    if isinstance(end.error, RunTimeout):
        return exits.TIMEOUT
    return exits.PARTIAL if has_text else exits.FAILED


def _printer(output: Literal["text", "json", "events"], served: ServedAgent) -> Printer:
    if output == "text":
        return TextPrinter()
    if output == "events":
        return EventPrinter()
    about = served.runnable.describe()
    return JsonPrinter(f"{about.provider}/{about.model}")


async def _show_events(run: Run, printer: Printer) -> End:
    async for events in run.events():
        if isinstance(end := events[-1], RunFinished | RunFailed):
            printer.show(events[:-1])
            return end
        printer.show(events)
    raise AssertionError("a run's stream ends with its ending")


@contextmanager
def _cancel_on_signals(run: Run, interrupted: list[int]) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run in order; a second one does not wait for that."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        interrupted.append(_SIGNALS[signal.Signals(number)])
        loop.remove_signal_handler(number)
        run.cancel(RunCancelled("Interrupted."))

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _print_error(message: str, detail: str | None = None) -> None:
    print(printable(f"error: {message}"), file=sys.stderr)
    if detail:
        print(printable(f"  {detail}"), file=sys.stderr)
