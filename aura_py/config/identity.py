"""Who is who across the loaded files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aura_py.config.diagnostics import Diagnostic
from aura_py.config.file_report import Location, display
from aura_py.config.tables import Tree

_TREATED_AS_REASONING = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)")


@dataclass(slots=True, frozen=True)
class AgentIdentity:
    """One file's agent as far as its identity could be read."""

    root: Location
    agent: Tree

    @property
    def alias(self) -> str | None:
        return self.agent.get("alias")

    @property
    def id(self) -> str | None:
        return self.alias or self.agent.get("name")

    @property
    def at(self) -> Location:
        return self.root / "agent" / ("alias" if self.alias else "name")

    @property
    def file(self) -> str:
        return f"`{self.root.file.file}`"


def check(agents: Sequence[AgentIdentity]) -> None:
    """Reports ids that are not unique, or that clients will stumble over."""
    first: dict[str, AgentIdentity] = {}
    folded: dict[str, AgentIdentity] = {}
    for each in agents:
        if each.id is None:
            continue
        other = first.setdefault(each.id, each)
        if other is not each:
            _duplicate(each, other)
            continue
        near = folded.setdefault(each.id.casefold(), each)
        if near is not each:
            each.at.warn(
                "WARN-ID01",
                f"the ids `{display(near.id)}` ({near.file}) and `{display(each.id)}` differ only by letter case",
                "rename one of them",
            )
        if _TREATED_AS_REASONING.match(each.id):
            each.at.warn(
                "WARN-ID03",
                f"chat clients treat a model called `{display(each.id)}` as a reasoning model of OpenAI: they send the"
                " prompt as `developer`, `max_completion_tokens` instead of `max_tokens`, and drop sampling parameters",
                "choose an alias that does not start like `o1` or `gpt-5`",
            )
    if len(agents) == 1 and agents[0].agent.get("hidden"):
        (agents[0].root / "agent" / "hidden").warn(
            "WARN-ID02", "the only agent is hidden: lists of models come back empty", "remove `hidden`"
        )


def _duplicate(each: AgentIdentity, other: AgentIdentity) -> None:
    if each.alias and other.alias:
        each.at.error(
            "CFG-I01",
            f"duplicate alias `{display(each.id)}` in {each.file} and {other.file}: every agent needs a unique alias",
            "change one of the aliases",
        )
    else:
        each.at.error(
            "CFG-I02",
            f"same agent name `{display(each.id)}` in {each.file} and {other.file}",
            "add an alias to one of them to tell them apart",
        )


def unknown_default(name: str, agents: Sequence[AgentIdentity]) -> Iterator[Diagnostic]:
    """The complaint about a default agent that no file declares."""
    known = [each.id for each in agents if each.id is not None]
    if name in known:
        return
    listed = ", ".join(f"`{display(each)}`" for each in known) or "none"
    yield Diagnostic(
        "CFG-I03",
        f"the default agent `{name}` does not match any loaded agent name or alias",
        f"set `DEFAULT_AGENT` or `--default-agent` to one of {listed}",
    )
