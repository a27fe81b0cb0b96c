"""Features that can be configured but are not built yet: refused at load, never accepted and ignored.

The tables are read and checked in full before. Building a feature ends with removing its line from ``FEATURES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aura_py.config.environment_text import Path
from aura_py.config.file_report import Location
from aura_py.config.tables import Tree


@dataclass(slots=True, frozen=True)
class UnbuiltFeature:
    """``places`` yields every key path at which a file asks for the feature."""

    feature: str
    places: Callable[[Tree], Iterator[Path]]


def llm_tables(tree: Tree) -> Iterator[tuple[Path, Tree]]:
    """Every model table that the file puts to use."""
    for path, owner in _owners(tree):
        llm = owner.get("llm")
        if llm is None:
            continue
        yield (*path, "llm"), llm
        for index, fallback in enumerate(llm.get("fallback", ())):
            yield (*path, "llm", "fallback", index), fallback


def _owners(tree: Tree) -> Iterator[tuple[Path, Tree]]:
    """The agent, and its workers when there is a coordinator for them."""
    if "agent" in tree:
        yield ("agent",), tree["agent"]
    orchestration = tree.get("orchestration", {})
    if orchestration.get("enabled"):
        for name, worker in orchestration.get("worker", {}).items():
            yield ("orchestration", "worker", name), worker


def _table(key: str) -> Callable[[Tree], Iterator[Path]]:
    def places(tree: Tree) -> Iterator[Path]:
        if tree.get(key):
            yield (key,)

    return places


FEATURES: tuple[UnbuiltFeature, ...] = (UnbuiltFeature("approval of tool calls", _table("hitl")),)


def refuse(tree: Tree, at: Location) -> None:
    """Reports every use of a feature that is not built."""
    for each in FEATURES:
        for path in each.places(tree):
            Location(at.file, path).error(
                "CFG-N01", f"{each.feature} is not built yet", "remove it from the file until Aura supports it"
            )
