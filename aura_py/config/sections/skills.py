"""`[agent.skills]` and a worker's replacement (``config.md`` §10)."""

from __future__ import annotations

from aura_py.config import models
from aura_py.config.tables import Key, Shape, Table, TableList
from aura_py.config.values import FilePath

_SOURCE = Shape(
    models.SkillSource,
    {
        "source": Key(
            FilePath(blank="refuse", blank_code="CFG-K01", blank_message="Skill source path cannot be empty"),
            "Directory whose sub-directories are skills; relative to the working directory.",
            True,
            '`source = "./skills"`',
        )
    },
)
SKILLS = Table(
    Shape(
        models.Skills,
        {"local": Key(TableList(Table(_SOURCE)), "Skill source directories, in order of precedence.")},
        "Instruction packages that the model loads on demand.",
    )
)
