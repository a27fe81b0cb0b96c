"""Finding skills and checking their front matter (``config.md`` §10)."""

from __future__ import annotations

from aura_py.config.problems import At
from aura_py.config.tables import Tree


def check(tree: Tree, root: At) -> None:
    return
