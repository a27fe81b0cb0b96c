"""Settings of every test."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from aura_py.server.loop_watch import LoopBlocked, LoopWatch

# A busy machine is no fault of the code: no example has a time limit of its own. The examples are the same in every
# run, so that a change is judged by what it changed; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("aura", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "aura"))

_blocked: list[LoopBlocked] = []
_run_forever = asyncio.BaseEventLoop.run_forever


def _note(blocked: LoopBlocked) -> None:
    # A module is imported once in a process, by whichever test comes first; servers do it before they listen.
    if "importlib._bootstrap" not in blocked.stack:
        _blocked.append(blocked)


def _run_watched(self: asyncio.BaseEventLoop) -> None:
    with LoopWatch(self, _note):
        _run_forever(self)


asyncio.BaseEventLoop.run_forever = _run_watched  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def responsive_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test during which an event loop was held for over 200 ms of its own CPU time.

    A test that holds its loop on purpose is marked with ``holds_loop``.
    """
    _blocked.clear()
    yield
    if _blocked and request.node.get_closest_marker("holds_loop") is None:
        pytest.fail(str(_blocked[0]), pytrace=False)
