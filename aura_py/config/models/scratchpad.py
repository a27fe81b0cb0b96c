"""`[agent.scratchpad]`, a worker's overlay, and the thresholds of a server's tools."""

from __future__ import annotations

from typing import Annotated

from aura_py.config.numbers import Float, Integer
from aura_py.config.tables import Key, Section


class ScratchpadSettings(Section):
    """Parks large tool outputs on disk. A worker's table overlays the agent's key by key."""

    enabled: Annotated[bool, Key("Park large tool outputs on disk and offer tools that explore them.")] = False
    context_safety_margin: Annotated[
        float,
        Float(0, 1, "CFG-P05"),
        Key("Share of the context window kept free; above 0.95 counts as 0.95."),
    ] = 0.20
    max_extraction_tokens: Annotated[int, Integer(1), Key("Largest result of one exploration call.")] = 10_000
    turn_depth_bonus: Annotated[int, Key("Added to `turn_depth` while the scratchpad is active.")] = 6
    default_min_tokens: Annotated[
        int | None,
        Key("Park outputs of at least this size of tools that no threshold names; absent: only what would not fit."),
    ] = None
    retention_hours: Annotated[int, Key("Age at which files of ended runs are removed; 0 removes them at run end.")] = (
        24
    )
    max_bytes: Annotated[int, Key("One owner's bytes of this agent before the oldest ended runs go.")] = 1_073_741_824


class ScratchpadThreshold(Section):
    min_tokens: Annotated[int, Key("Park an output of at least this many tokens; 0 parks everything.")] = 5120
