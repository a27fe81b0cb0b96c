"""The table of capabilities in `docs/providers.md`: `python -m docs.references.providers docs/providers.md`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from aura_py.llm.contract import Capabilities
from aura_py.llm.registry import PROVIDERS, capabilities

_BEGIN = "<!-- generated: capabilities -->"
_END = "<!-- end of generated part -->"
_ROWS: tuple[tuple[str, Callable[[Capabilities], bool]], ...] = (
    ("images in messages", lambda can: can.images),
    ("images in tool results", lambda can: can.tool_images),
    ("reasoning", lambda can: can.reasoning),
    ("parallel tool calls", lambda can: can.parallel_tools),
    ("forced tool (`tool_choice`)", lambda can: can.tool_choice),
    ("malformed tool arguments reach the loop", lambda can: can.malformed_arguments),
    ("`stop`", lambda can: can.stop),
    ("`seed`", lambda can: can.seed),
    ("`reasoning_effort`", lambda can: can.reasoning_effort),
    ("`response_format`", lambda can: can.response_format),
    ("prompt-cache markers", lambda can: can.prompt_cache),
    ("tells a content filter", lambda can: can.content_filter),
)


def capability_table() -> str:
    """One column per provider, one row per capability, then each provider's notes; as Markdown."""
    declared = {provider: capabilities(provider) for provider in PROVIDERS}
    lines = ["| | " + " | ".join(declared) + " |", "|---|" + "---|" * len(declared)]
    for name, can in _ROWS:
        lines.append(f"| {name} | " + " | ".join("yes" if can(each) else "no" for each in declared.values()) + " |")
    for provider, each in declared.items():
        lines += ["", f"**{provider}**", "", *(f"- {note}" for note in each.notes)]
    return "\n".join(lines) + "\n"


def renewed(page: str) -> str:
    """The page with its generated part as it should be."""
    head, begin, rest = page.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page lacks `{_BEGIN}` … `{_END}`")
    return f"{head}{begin}\n\n{capability_table()}\n{end}{tail}"


def main(names: list[str]) -> None:
    for name in names:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
