"""The prompt journal: every prompt of a run in one file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aura_py.messages import Message
from aura_py.orchestration.run_directory import RunDirectory

JOURNAL = "prompt-journal.md"
_BAR = "═" * 80
_RULE = "─" * 20


class PromptJournal:
    """Appends to the journal when it is switched on; a file that cannot be written is not written."""

    def __init__(self, run: RunDirectory, *, active: bool) -> None:
        self._run = run
        self._active = active and run.enabled

    async def open(self, run_id: str, orchestrator_id: str, started: datetime) -> None:
        if self._active:
            text = f"# Prompt journal\n\nrun: {run_id}\norchestrator: {orchestrator_id}\nstarted: {_stamp(started)}\n"
            self._active = await self._run.write(JOURNAL, text)

    async def entry(
        self,
        phase: str,
        now: datetime,
        *,
        system: str,
        history: Sequence[Message],
        prompt: str,
        tools: Sequence[str],
        response_file: str,
    ) -> None:
        if not self._active:
            return
        parts = [
            f"\n{_BAR}\n{phase}\n{_stamp(now)}\n{_BAR}\n",
            _section("System prompt", system),
            *(_section(f"History: {message.role}", message.text) for message in history),
            _section("User prompt", prompt),
            _section("Tools", ", ".join(tools)),
            f"Response: {response_file}\n",
        ]
        await self._run.append(JOURNAL, "\n".join(parts))


def _section(title: str, text: str) -> str:
    return f"{_RULE} {title} {_RULE}\n{text}\n"


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
