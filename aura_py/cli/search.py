"""`aura search`: what an agent reads when it searches a store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import click

from aura_py.cli import exits
from aura_py.cli.logs import start_logging
from aura_py.cli.setup import print_refusal
from aura_py.cli.terminal import config_option, log_level, printable, verbosity
from aura_py.errors import ConfigurationError


@click.command("search", short_help="Search a vector store as an agent would.")
@click.argument("store")
@click.argument("query")
@config_option
@click.option("--limit", type=click.IntRange(1, 20), default=5, show_default=True, help="Most results.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Smallest cosine similarity of a result.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="A label that every result must have.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
@verbosity
def command(
    store: str,
    query: str,
    config: Path | None,
    limit: int,
    min_score: float | None,
    filters: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    debug: bool,
) -> int:
    """Search STORE, the store's name or AGENT/STORE, and print exactly what the tool of an agent would answer.

    \b
    Exit status:
      0    searched, whether or not something was found
      1    the store or the configuration cannot be used
      2    wrong usage, or several stores of that name
      130  interrupted
    """
    start_logging(log_level(verbose, debug))
    arguments: dict[str, Any] = {"query": query, "limit": limit}
    if min_score is not None:
        arguments["min_score"] = min_score
    if filters:
        pairs = [each.partition("=") for each in filters]
        if not all(key and equals for key, equals, _ in pairs):
            raise click.UsageError("A --filter is written KEY=VALUE.")
        arguments["label_filters"] = [{"key": key, "value": value} for key, _, value in pairs]
    try:
        return anyio.run(_search, store, config, arguments, as_json, backend_options={"use_uvloop": True})
    except ConfigurationError as error:
        return print_refusal(error)


async def _search(store: str, config: Path | None, arguments: dict[str, Any], as_json: bool) -> int:
    from aura_py.cli.stores import opened
    from aura_py.config.models import InMemoryStore
    from aura_py.knowledge import search_tool
    from aura_py.messages import ToolCall
    from aura_py.run.identity import new_context
    from aura_py.tools.contract import CallContext
    from aura_py.tools.runner import ToolRunner
    from aura_py.tools.toolset import Toolset

    async with opened(config, store) as base:
        if not isinstance(base.config, InMemoryStore):
            base.assume_indexed()
        tool = search_tool(base)
        context = new_context()
        call = ToolCall("search", tool.name, json.dumps(arguments))
        outcome = await ToolRunner(Toolset([tool])).run(call, CallContext(context, "search", emit=context.emit))
    if not outcome.ok:
        print(printable(f"error: {outcome.text.removeprefix('ToolCallError: ')}"), file=sys.stderr)
        return exits.FAILED
    if as_json:
        print(json.dumps(outcome.structured, ensure_ascii=False, indent=2))
    else:
        print(printable(outcome.text) if sys.stdout.isatty() else outcome.text)
    return exits.OK
