"""`[agent.skills]` and a worker's replacement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from aura_py.config.numbers import Integer
from aura_py.config.tables import Key, Section
from aura_py.config.values import FilePath


class SkillSource(Section):
    source: Annotated[
        Path,
        FilePath(
            home="either",
            blank="refuse",
            blank_code="CFG-K01",
            blank_message="Skill source path cannot be empty",
        ),
        Key(
            "Directory whose sub-directories are skills; relative to this file.",
            example='`source = "./skills"`',
        ),
    ]


class Skills(Section):
    """Instruction packages that the model loads on demand."""

    local: Annotated[tuple[SkillSource, ...], Key("Skill source directories, in order of precedence.")] = ()
    max_chars: Annotated[int, Integer(1), Key("Most characters of a file that one call returns.")] = 50_000
