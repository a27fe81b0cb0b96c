"""`aura index`: fill a vector store."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from aura_py.cli import exits
from aura_py.cli.logs import start_logging
from aura_py.cli.setup import print_refusal
from aura_py.cli.terminal import config_option, log_level, printable, verbosity
from aura_py.errors import ConfigurationError

if TYPE_CHECKING:
    from aura_py.knowledge.ingest import Progress


@click.command("index", short_help="Fill a vector store from its sources.")
@click.argument("store")
@click.argument("paths", nargs=-1)
@config_option
@click.option("--dry-run", is_flag=True, help="Read everything, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when it is done.")
@verbosity
def command(
    store: str,
    paths: tuple[str, ...],
    config: Path | None,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    debug: bool,
) -> int:
    """Bring STORE up to date with its sources: what is new or changed is written, what vanished is deleted.

    STORE is the store's name, or AGENT/STORE. With PATHS (files, directories, globs) these are indexed beside the
    sources. What is unchanged is passed over, so an interrupted run goes on where it stopped.

    \b
    Exit status:
      0    done; files that could not be read are named on standard error
      1    the store or the configuration cannot be used
      2    wrong usage, or several stores of that name
      130  interrupted
    """
    start_logging(log_level(verbose, debug))
    try:
        return anyio.run(_index, store, paths, config, dry_run, as_json, backend_options={"use_uvloop": True})
    except ConfigurationError as error:
        return print_refusal(error)


async def _index(store: str, paths: tuple[str, ...], config: Path | None, dry_run: bool, as_json: bool) -> int:
    from aura_py.cli.stores import opened
    from aura_py.knowledge import KnowledgeError

    async with opened(config, store) as base:
        if not paths and not base.sources:
            raise click.UsageError(f"The vector store `{base.name}` has no `sources`; name the PATHS to index.")
        sources = _absolute(paths) or None
        owner = "command line" if paths else None
        try:
            with _progress_bar() as report:
                progress = await base.index(sources, owner=owner, report=report, dry_run=dry_run)
        except KnowledgeError as error:
            print(printable(f"error: {error}."), file=sys.stderr)
            return exits.FAILED
    for problem in progress.problems:
        print(printable(f"warning: {problem}"), file=sys.stderr)
    if as_json:
        json.dump({"store": base.name, "dry_run": dry_run, **asdict(progress)}, sys.stdout, ensure_ascii=False)
        print()
    else:
        print(_summary(progress, dry_run=dry_run))
    return exits.OK


def _absolute(paths: tuple[str, ...]) -> list[str]:
    return [os.path.abspath(path) for path in paths]


def _summary(progress: Progress, *, dry_run: bool) -> str:
    did = "would index" if dry_run else "indexed"
    parts = [f"{did} {progress.written} documents ({progress.chunks} chunks)", f"{progress.unchanged} unchanged"]
    parts.append(f"{progress.deleted} {'to delete' if dry_run else 'deleted'}")
    if progress.passed_over:
        parts.append(f"{progress.passed_over} files of other kinds")
    return ", ".join(parts)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar with rate and remaining time on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or logging.getLogger().isEnabledFor(logging.INFO):
        yield lambda _progress: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("indexing"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[chunks]} chunks, {task.fields[rate]}/s"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None, chunks=0, rate="-")

        def report(progress: Progress) -> None:
            elapsed = shown.tasks[0].elapsed or 0
            rate = f"{progress.chunks / elapsed:.0f}" if elapsed > 1 else "-"
            shown.update(task, total=progress.documents, completed=progress.done, chunks=progress.chunks, rate=rate)

        yield report
