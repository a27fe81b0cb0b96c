"""Finding skills and checking their front matter."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aura_py.config.file_report import Location
from aura_py.config.files import UnreadableFile, read_text
from aura_py.config.relations import agent_tables
from aura_py.config.tables import Tree

_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 1024
_DELIMITER = "---"
FILE_NAME = "SKILL.md"


@dataclass(slots=True, frozen=True)
class SkillCard:
    """What a skill says about itself. ``directory`` holds its ``SKILL.md``."""

    name: str
    description: str
    directory: Path


@dataclass(slots=True, frozen=True)
class SkillProblem:
    """Why a source or a skill cannot be used; ``source`` is the index of the source, and ``skill`` the directory of the
    skill if only that is at fault."""

    code: str
    source: int
    message: str
    fix: str
    skill: str = ""


class _InvalidSkill(Exception):
    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix


def discover(sources: Sequence[Path]) -> tuple[tuple[SkillCard, ...], tuple[SkillProblem, ...]]:
    """The skills of all sources, by name, and everything that is wrong with the others."""
    cards: dict[str, SkillCard] = {}
    problems: list[SkillProblem] = []
    for index, source in enumerate(sources):
        for directory in _directories(source, index, problems):
            try:
                card = read_card(directory)
            except _InvalidSkill as error:
                problems.append(SkillProblem(error.code, index, str(error), error.fix, directory.name))
                continue
            first = cards.setdefault(card.name, card)
            if first is not card:
                message = f"the skill `{card.name}` of `{source}` is hidden by `{first.directory}`"
                problems.append(SkillProblem("WARN-SK01", index, message, "rename one of the skills"))
    return tuple(cards[name] for name in sorted(cards)), tuple(problems)


def _directories(source: Path, index: int, problems: list[SkillProblem]) -> Iterable[Path]:
    absolute = Path(os.path.abspath(source))
    try:
        entries = sorted(absolute.iterdir())
    except FileNotFoundError:
        message = f"skill source not found: `{absolute}`"
        fix = "create it or correct the path; relative paths start at this file, then at the working directory"
        problems.append(SkillProblem("CFG-K02", index, message, fix))
        return []
    except OSError as error:
        message = f"skill source `{absolute}` cannot be read: {error.strerror or error}"
        fix = "name a readable directory"
        problems.append(SkillProblem("CFG-K03", index, message, fix))
        return []
    return [entry for entry in entries if os.path.isdir(entry) and os.path.lexists(entry / FILE_NAME)]


def read_card(directory: Path) -> SkillCard:
    """Name and description of the skill in ``directory``, checked."""
    file = directory / FILE_NAME
    try:
        text = read_text(file)
    except UnreadableFile as error:
        message = f"`{file}` cannot be read: {error.reason}"
        raise _InvalidSkill("CFG-K03", message, "make it a readable UTF-8 file") from error
    fields = _front_matter(text, file)
    name, description = (_field(fields, key, file) for key in ("name", "description"))
    _check_name(name, directory, f"{file}:{_line_of('name', text)}")
    if not description.strip() or len(description) > _LONGEST_DESCRIPTION:
        raise _InvalidSkill(
            "CFG-K09",
            f"`{file}:{_line_of('description', text)}` needs a non-empty 'description' within the 1024 character limit;"
            f" it has {len(description)}",
            "say in a sentence or two when the skill helps",
        )
    return SkillCard(name, description, directory)


def _line_of(key: str, text: str) -> int:
    lines = text.split("\n")
    return next((number for number, line in enumerate(lines, 1) if line.lstrip("\"' ").startswith(key)), 1)


def split(text: str) -> tuple[str, str] | None:
    """Front matter and body; ``None`` when the text does not start with front matter or it is not closed."""
    lines = text.replace("\r\n", "\n").lstrip().split("\n")
    if lines[0].rstrip() != _DELIMITER:
        return None
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _DELIMITER:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :])
    return None


def _front_matter(text: str, file: Path) -> dict[object, object]:
    import yaml

    if text.lstrip().split("\n", 1)[0].rstrip() != _DELIMITER:
        fix = "start the file with a line `---`, the fields, and a line `---`"
        raise _InvalidSkill("CFG-K04", f"`{file}` does not start with YAML frontmatter", fix)
    parts = split(text)
    if parts is None:
        raise _InvalidSkill(
            "CFG-K05", f"`{file}`: missing closing `---` of the frontmatter", "add a line `---` after the fields"
        )
    try:
        fields = yaml.safe_load(parts[0])
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        first = text[: len(text) - len(text.lstrip())].count("\n") + 2
        where = f":{mark.line + first}" if mark is not None else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        raise _InvalidSkill(
            "CFG-K06", f"the frontmatter of `{file}{where}` is not YAML: {reason}", "mend it"
        ) from error
    if not isinstance(fields, dict):
        raise _InvalidSkill("CFG-K06", f"the frontmatter of `{file}` holds no fields", "add `name:` and `description:`")
    return fields


def _field(fields: dict[object, object], key: str, file: Path) -> str:
    value = fields.get(key)
    if value is None and key in fields and key == "description":
        return ""
    if not isinstance(value, str):
        raise _InvalidSkill("CFG-K06", f"the frontmatter of `{file}` has no text field '{key}'", f"add `{key}: …`")
    return value


def _check_name(name: str, directory: Path, place: str) -> None:
    rule = ""
    if not 1 <= len(name) <= _LONGEST_NAME:
        rule = "it must have 1-64 characters"
    elif not re.fullmatch(r"[a-z0-9-]+", name):
        rule = "it has invalid characters; allowed are `a-z`, `0-9` and `-`"
    elif name.startswith("-") or name.endswith("-"):
        rule = "it must not start or end with a hyphen"
    elif "--" in name:
        rule = "it has consecutive hyphens"
    if rule:
        raise _InvalidSkill(
            "CFG-K07", f"the skill name `{name[:80]}` in `{place}` is not allowed: {rule}", "rename the skill"
        )
    if name != directory.name:
        raise _InvalidSkill(
            "CFG-K08",
            f"the skill name `{name}` in `{place}` does not match directory name `{directory.name}`",
            "rename one of the two",
        )


def check_sources(tree: Tree, root: Location, *, tolerant: bool) -> None:
    """Discovers the skills of the agent and of every worker, once, and reports what is wrong.

    Args:
        tolerant: A broken skill is a warning: it will be left out.
    """
    for at, table in agent_tables(tree, root):
        local = table.get("skills", {}).get("local", ())
        sources = [entry["source"] for entry in local if "source" in entry]
        if not sources or len(sources) != len(local):
            continue
        for each in discover(sources)[1]:
            place = at / "skills" / "local" / each.source / "source"
            message = each.message
            for index, source in enumerate(sources):
                message = message.replace(str(source), (at / "skills" / "local" / index / "source").shown_path(source))
            if each.code.startswith("WARN"):
                place.warn(each.code, message, each.fix)
            elif each.skill and tolerant:
                place.warn(each.code, f"the skill `{each.skill}` is left out: {message}", each.fix)
            else:
                place.error(each.code, message, each.fix)
