"""`[tools]` (``config.md`` §13)."""

from __future__ import annotations

from aura_py.config import models
from aura_py.config.numbers import Flag
from aura_py.config.problems import At
from aura_py.config.tables import Key, Shape, Table, Tree
from aura_py.config.values import FilePath, Strings


def _check(tree: Tree, at: At) -> None:
    if tree.get("custom_tools"):
        (at / "custom_tools").warn("WARN-TL01", "`custom_tools` has no effect", "remove it")


TOOLS = Table(
    Shape(
        models.Tools,
        {
            "filesystem": Key(Flag(), "Offer read-only tools for files below `filesystem_root`."),
            "filesystem_root": Key(FilePath(), "Directory the tools are confined to; absent: the working directory."),
            "custom_tools": Key(Strings(), "Accepted for compatibility; has no effect."),
        },
        "Built-in tools.",
        check=_check,
    )
)
