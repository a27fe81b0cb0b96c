"""`[tools]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from aura_py.config.file_report import Location
from aura_py.config.tables import Key, Section, Tree


class Tools(Section):
    """Built-in tools."""

    filesystem: Annotated[bool, Key("Offer read-only tools for files below `filesystem_root`.")] = False
    filesystem_root: Annotated[
        Path | None, Key("Directory the tools are confined to; absent: the working directory.")
    ] = None
    custom_tools: Annotated[tuple[str, ...], Key("Accepted for compatibility; has no effect.")] = ()

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        if tree.get("custom_tools"):
            (at / "custom_tools").warn("WARN-TL01", "`custom_tools` has no effect", "remove it")
