"""The `aura` command."""

from aura_py.cli.entry import main

__all__ = ["main"]
