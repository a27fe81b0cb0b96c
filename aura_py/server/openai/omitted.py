"""What of a request reaches no model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from aura_py.errors import UnsupportedContent

logger = logging.getLogger(__name__)

_MOST_NOTES: Final = 10


@dataclass(slots=True)
class Omitted:
    """Collects it while a request is read.

    ``refusals`` are for parts that no model can be given; a note stands in their place, and whether that will do is
    for the agent to say. ``notes`` are for the log, one of a kind: a request may hold thousands of them.
    """

    refusals: list[UnsupportedContent] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.add(text)

    def log(self) -> None:
        for text in sorted(self.notes):
            logger.warning(text)
