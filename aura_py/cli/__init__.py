"""The `aura` command."""

from aura_py.cli.entry import main, serve_main

__all__ = ["main", "serve_main"]
