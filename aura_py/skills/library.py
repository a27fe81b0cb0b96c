"""The skills of one agent or worker: their catalogue for the prompt, and the tools that read them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

import anyio.to_thread

from aura_py.config.models import Skills
from aura_py.config.skills import SkillCard, discover
from aura_py.messages import JsonObject
from aura_py.skills.files import SkillError, listing, read_file, read_instructions
from aura_py.tools.contract import BuiltinTool, CallContext, Tool, ToolOutcome, failure, success

logger = logging.getLogger(__name__)

_LONGEST_CATALOG = 16_000
_SHORTEST_DESCRIPTION = 80


class SkillLibrary:
    """Skills that were found when the agent was loaded; their files are read anew by every call.

    ``prompt`` is the section of the system prompt, ``None`` without skills.
    """

    def __init__(
        self, skills: tuple[SkillCard, ...], problems: tuple[str, ...] = (), *, max_chars: int = 50_000
    ) -> None:
        self.skills = {skill.name: skill for skill in skills}
        self.problems = problems
        self.prompt = _catalog(skills) if skills else None
        self.tools: tuple[Tool, ...] = self._tools() if skills else ()
        self._max_chars = max_chars

    @classmethod
    def open(cls, settings: Skills | None) -> Self:
        """Find the skills below the sources of ``settings``; what is broken is logged and left out."""
        if settings is None or not settings.local:
            return cls(())
        found, problems = discover([each.source for each in settings.local])
        for each in problems:
            if not each.code.startswith("WARN"):
                logger.error("a skill is left out: %s", each.message)
        return cls(found, max_chars=settings.max_chars)

    def _tools(self) -> tuple[Tool, ...]:
        names: JsonObject = {"type": "string", "enum": list(self.skills), "description": "The skill."}
        start: JsonObject = {"type": "integer", "minimum": 0, "description": "Character to start at; 0 by default."}
        length: JsonObject = {"type": "integer", "minimum": 1, "description": "Most characters to return."}
        return (
            _tool(
                "load_skill",
                "Loads the instructions of a skill and lists its files.",
                {"name": names},
                ["name"],
                self._load,
            ),
            _tool(
                "read_skill_file",
                "Reads a text file of a skill. Scripts are text to read; nothing is executed.",
                {
                    "skill": names,
                    "path": {"type": "string", "description": "As `load_skill` lists it."},
                    "offset": start,
                    "limit": length,
                },
                ["skill", "path"],
                self._read,
            ),
        )

    def _load(self, arguments: JsonObject) -> str:
        skill = self._skill(arguments.get("name"))
        text = _part(read_instructions(skill.directory), 0, self._max_chars, 'path "SKILL.md"')
        files = listing(skill.directory)
        if not files:
            return text
        return f"{text}\n\n## Skill resources\n\nRead them with `read_skill_file`.\n\n" + "\n".join(
            f"- {file}" for file in files
        )

    def _read(self, arguments: JsonObject) -> str:
        skill, path = self._skill(arguments.get("skill")), arguments.get("path")
        offset, limit = arguments.get("offset") or 0, arguments.get("limit") or self._max_chars
        if not isinstance(path, str) or not path:
            raise SkillError("`path` must be the path of a file, as `load_skill` lists it.")
        if not isinstance(offset, int) or not isinstance(limit, int) or offset < 0 or limit < 1:
            raise SkillError("`offset` and `limit` must be numbers of characters.")
        return _part(read_file(skill, path), offset, min(limit, self._max_chars), "the same path")

    def _skill(self, name: object) -> SkillCard:
        skill = self.skills.get(name) if isinstance(name, str) else None
        if skill is None:
            names = ", ".join(f"`{each}`" for each in self.skills)
            raise SkillError(f"there is no skill `{str(name)[:80]}`; the skills are {names}.")
        return skill


def _tool(
    name: str, description: str, properties: JsonObject, required: list[str], action: Callable[[JsonObject], str]
) -> Tool:
    async def call(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        unknown = sorted(set(arguments).difference(properties))
        if unknown:
            known = ", ".join(f"`{each}`" for each in properties)
            return failure(f"ToolCallError: `{name}` takes {known} and nothing else.", outcome="schema_error")
        try:
            return success(await anyio.to_thread.run_sync(action, arguments))
        except SkillError as error:
            return failure(f"ToolCallError: {error}")

    schema: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return BuiltinTool(name, description, schema, call, "skill")


def _part(text: str, offset: int, limit: int, how: str) -> str:
    """The asked part of ``text``; says how to go on when there is more."""
    end = offset + limit
    if offset == 0 and len(text) <= limit:
        return text
    if end >= len(text):
        return text[offset:]
    return (
        f"{text[offset:end]}\n\n[characters {offset} to {end} of {len(text)}; call `read_skill_file` with {how} and"
        f" `offset` {end} for more]"
    )


def _catalog(skills: tuple[SkillCard, ...]) -> str:
    room = max(_SHORTEST_DESCRIPTION, _LONGEST_CATALOG // len(skills) - 70)
    crowded = sum(len(skill.description) for skill in skills) > _LONGEST_CATALOG
    lines = []
    for skill in skills:
        description = " ".join(skill.description.split())
        if crowded and len(description) > room:
            description = description[:room].rstrip() + "…"
        lines.append(f"- {skill.name}: {description}")
    return "## Skills: load the one that fits with `load_skill` before you answer\n\n" + "\n".join(lines)
