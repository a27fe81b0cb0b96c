"""`aura check`: everything that `aura serve` does before it listens."""

from __future__ import annotations

from pathlib import Path

import click

from aura_py.cli.terminal import ConfigPath


@click.command("check", short_help="Validate a file or a directory and print its agents.")
@click.argument("path", type=ConfigPath(), required=False)
@click.option("--strict", is_flag=True, help="Unknown keys are errors.  [env: AURA_CONFIG_STRICT]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, agents, diagnostics.")
def command(path: Path | None, strict: bool, as_json: bool) -> int:
    """Validate PATH, a file or a directory, as `aura serve` would, and print its agents.

    Nothing is started and nothing is contacted. PATH defaults to CONFIG_PATH, then to config.toml.

    \b
    Exit status:
      0  every file can be served
      1  something is wrong; every problem is printed with its place and remedy
      2  wrong usage
    """
    from aura_py.cli.checking import check

    return check(path, strict=strict, as_json=as_json)
