"""`[agent.scratchpad]` and a worker's overlay (``config.md`` §9)."""

from __future__ import annotations

from aura_py.config import models
from aura_py.config.numbers import Flag, Number, Whole
from aura_py.config.tables import Key, Shape, Table

SCRATCHPAD = Table(
    Shape(
        models.ScratchpadSettings,
        {
            "enabled": Key(Flag(), "Park large tool outputs on disk and offer tools that explore them."),
            "context_safety_margin": Key(
                Number(0, 1, "CFG-P05"), "Share of the context window kept free; above 0.95 counts as 0.95."
            ),
            "max_extraction_tokens": Key(Whole(1), "Largest result of one exploration call."),
            "turn_depth_bonus": Key(Whole(), "Added to `turn_depth` while the scratchpad is active."),
            "default_min_tokens": Key(
                Whole(),
                "Park outputs of at least this size of tools that no threshold names; absent: only what would not fit.",
            ),
            "retention_hours": Key(Whole(), "Age at which files of ended runs are removed; 0 removes them at run end."),
            "max_bytes": Key(Whole(), "One owner's bytes of this agent before the oldest ended runs go."),
        },
        "Parks large tool outputs on disk. A worker's table overlays the agent's key by key.",
    )
)
