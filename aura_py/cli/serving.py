"""From the flags of `aura serve` to a running server."""

from __future__ import annotations

from collections.abc import Mapping

from aura_py.cli.logs import start_logging
from aura_py.cli.setup import prepare, refusal
from aura_py.cli.terminal import log_level
from aura_py.errors import ConfigurationError


def serve_agents(flags: Mapping[str, object], *, verbose: bool, debug: bool) -> int:
    """Serves until stopped and returns the exit status."""
    start_logging(log_level(verbose, debug))
    try:
        settings = prepare(flags)
    except ConfigurationError as error:
        return refusal(error)

    from aura_py.server.lifecycle import serve

    return serve(settings, announce=_say)


def _say(line: str) -> None:
    print(line, flush=True)
