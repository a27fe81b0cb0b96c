"""Every room says what is public, and has what it says."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import aura_py

ROOMS = sorted(each.name for each in pkgutil.walk_packages(aura_py.__path__, "aura_py.") if each.ispkg)


@pytest.mark.parametrize("room", ["aura_py", *ROOMS])
def test_a_room_has_the_names_that_it_declares(room: str) -> None:
    module = import_module(room)
    declared = getattr(module, "__all__", [])
    for name in declared:
        assert hasattr(module, name), name
    assert len(declared) == len(set(declared))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_only_exports(room: str) -> None:
    """An `__init__` holds a docstring, imports, `__all__` and, where names are imported late, `__getattr__`."""
    tree = ast.parse(Path(str(import_module(room).__file__)).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not imports or hasattr(import_module(room), "__all__")
    for node in tree.body:
        plain = isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.If)
        assert plain or (isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")), ast.dump(node)
    assert ast.get_docstring(tree), room
