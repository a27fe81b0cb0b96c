"""`aura serve`. A flag wins over the environment, which wins over `.env`, which wins over the default."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from aura_py.cli.logs import start_logging
from aura_py.cli.setup import prepare, print_refusal
from aura_py.cli.terminal import ConfigPath, log_level, verbosity
from aura_py.config.settings import WORKER_VARIABLE, ServerSettings, setting_of
from aura_py.errors import ConfigurationError

_METAVARS = {"_SECS": "SECONDS", "_BYTES": "BYTES", "_URL": "URL", "_FILE": "PATH", "_ORIGINS": "ORIGINS"}


def _flags(function: Callable[..., int]) -> Callable[..., int]:
    """Adds an option for every server setting that has a flag. Values are checked where variables are."""
    for name, info in reversed(ServerSettings.model_fields.items()):
        setting = setting_of(info)
        if setting is None or not setting.flag or name == "config_path":
            continue
        switch = info.annotation is bool
        function = click.option(
            *(["-p"] if name == "port" else []),
            setting.flag,
            name,
            metavar=_metavar(setting.variable, info),
            is_flag=False,
            flag_value="true" if switch else None,
            default=None,
            help=f"{setting.doc}  [env: {setting.variable}; default: {_default(info.default)}]",
        )(function)
    return function


def _metavar(variable: str, info: FieldInfo) -> str:
    if info.annotation is bool:
        return "[BOOL]"
    if get_origin(info.annotation) is Literal:
        return "|".join(get_args(info.annotation))
    suffix = next((word for ending, word in _METAVARS.items() if variable.endswith(ending)), "")
    return suffix or ("NUMBER" if info.annotation is int else "VALUE")


def _default(value: object) -> str:
    if value is None or value == ():
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


@click.command("serve", short_help="Serve a file or a directory of agents behind an OpenAI-compatible API.")
@click.argument("path", type=ConfigPath(), required=False)
@click.option(
    "-c",
    "--config",
    type=ConfigPath(),
    help="The same as PATH.  [env: CONFIG_PATH; default: config.toml]",
)
@_flags
@verbosity
def command(path: Path | None, config: Path | None, verbose: bool, debug: bool, **flags: str | None) -> int:
    """Serve the agents of PATH, a file or a directory, behind an OpenAI-compatible API.

    Every file is validated first; if anything is wrong, every problem is printed and nothing is served. A switch may
    stand alone or with a value: --reload, --reload=false.
    """
    if path is not None and config is not None and path != config:
        raise click.UsageError("PATH and --config name different places; give one of them.")
    place = os.environ.get(WORKER_VARIABLE)
    start_logging(log_level(verbose, debug), process=place and place.partition(":")[0])
    environment = dict(os.environ)
    try:
        settings = prepare({"config_path": path or config, **flags}, silent=place is not None)
    except ConfigurationError as error:
        return print_refusal(error)
    announce = partial(print, flush=True)
    if settings.workers > 1 and place is None:
        from aura_py.server.supervisor import supervise

        return supervise(settings, sys.argv[1:], environment, announce)

    from aura_py.server.lifecycle import serve  # imports the whole server

    return serve(settings, announce)
