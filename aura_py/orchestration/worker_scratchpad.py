"""A worker's scratchpad, below its run's directory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aura_py.agent.scratchpad_session import ScratchpadSession
from aura_py.orchestration.run import OrchestrationRun
from aura_py.orchestration.run_directory import StoredText
from aura_py.orchestration.team import WorkerProfile
from aura_py.tools.contract import Tool

logger = logging.getLogger(__name__)


def scratchpad_thresholds(
    run: OrchestrationRun, profile: WorkerProfile, tools: Sequence[Tool]
) -> Mapping[str, int] | None:
    """From how many tokens on each tool's output is parked; ``None`` when the scratchpad is off, has no directory, or
    nothing the worker can reach would ever be parked."""
    settings = profile.scratchpad
    if not settings.enabled or run.files.path is None or profile.model.context_window is None:
        return None
    from aura_py.scratchpad import thresholds  # only workers that use it pay for its import

    limits = thresholds(run.config.mcp.servers, tools)
    if not limits and settings.default_min_tokens is None:
        log = logger.warning if profile.wants_tools else logger.info
        log("worker `%s` reaches no tool with a scratchpad threshold; its scratchpad is off", profile.name)
        return None
    return limits


async def open_worker_scratchpad(
    run: OrchestrationRun,
    profile: WorkerProfile,
    tools: Sequence[Tool],
    prompt: str,
    *,
    limits: Mapping[str, int] | None,
    iteration: int,
) -> ScratchpadSession | None:
    """``None`` without ``limits`` or when it cannot be made.

    The directory belongs to the iteration, the budget to the attempt. What lies outside the run cannot be read.
    """
    path, window = run.files.path, profile.model.context_window
    if limits is None or path is None or window is None:
        return None
    try:
        return await ScratchpadSession.open(
            profile.scratchpad,
            profile.model,
            window=window,
            directory=path / f"iteration-{iteration}" / "scratchpad",
            read_root=path,
            limits=limits,
            prompt=prompt,
            tools=tools,
        )
    except OSError as error:
        logger.warning("worker `%s` runs without its scratchpad: %s", profile.name, error.strerror)
        return None


@dataclass(slots=True, frozen=True)
class ArtifactPager:
    """Gives artifacts of the run in ``run`` through a worker's scratchpad."""

    scratchpad: ScratchpadSession
    run: Path

    async def __call__(self, filename: str, stored: StoredText) -> str:
        """The artifact when it fits the budget, else a pointer to explore it in place."""
        return await self.scratchpad.offer_artifact(filename, self.run / "artifacts" / filename, stored.text)
