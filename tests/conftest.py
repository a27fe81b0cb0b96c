"""Settings of every test."""

import asyncio
import gc
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

import aura_py
from aura_py.server.loop_watch import LIMIT_SECONDS, LoopBlocked, LoopWatch

# A busy machine is no fault of the code: no example has a time limit of its own. The examples are the same in every
# run, so that a change is judged by what it changed; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("aura", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "aura"))

_PACKAGE = os.path.dirname(aura_py.__file__) + os.sep
_slow: list[float] = []
_blocked: list[LoopBlocked] = []
_run_forever = asyncio.BaseEventLoop.run_forever
_run_handle = asyncio.Handle._run


class _Collection:
    """CPU time of garbage collection, which walks through everything that the tests of this process imported."""

    def __init__(self) -> None:
        self.seconds = self._begun = 0.0

    def __call__(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._begun


_collection = _Collection()
gc.callbacks.append(_collection)


def _run_watched(self: asyncio.BaseEventLoop) -> None:
    with LoopWatch(self, _blocked.append):
        _run_forever(self)


def _run_timed(self: asyncio.Handle) -> None:
    """What the watch tells may be a hundred callbacks that were due at once; one of them alone is a fault."""
    start, collected = time.thread_time(), _collection.seconds
    _run_handle(self)
    used = time.thread_time() - start - (_collection.seconds - collected)
    if used > LIMIT_SECONDS:
        _slow.append(used)


asyncio.BaseEventLoop.run_forever = _run_watched  # type: ignore[method-assign]
asyncio.Handle._run = _run_timed  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def responsive_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test during which one callback or step of a task took over 200 ms of CPU time on an event loop.

    A test that does so on purpose is marked with ``holds_loop``.
    """
    _slow.clear()
    _blocked.clear()
    yield
    # A module is imported once in a process, by whichever test comes first; servers do it before they listen. What a
    # vendor's SDK or the test itself does on the loop is no fault of Aura's.
    ours = [each for each in _blocked if _PACKAGE in each.stack and "importlib._bootstrap" not in each.stack]
    if _slow and ours and request.node.get_closest_marker("holds_loop") is None:
        seen = "\n".join(map(str, ours))
        pytest.fail(f"something on the event loop took {max(_slow):.2f} s of CPU time\n{seen}", pytrace=False)
