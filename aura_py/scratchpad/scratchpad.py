"""One agent's scratchpad: the tools, the runner's middleware, the prompt and the budget."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import orjson

from aura_py.config.models import ScratchpadSettings
from aura_py.messages import JsonObject, Message, Usage
from aura_py.scratchpad import formats
from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.budget import Budget
from aura_py.scratchpad.calibration import Calibration
from aura_py.scratchpad.confinement import OutsideError
from aura_py.scratchpad.definitions import DEFINITIONS, Definition
from aura_py.scratchpad.documents import DOCUMENTS
from aura_py.scratchpad.errors import HardError, SoftError, clipped
from aura_py.scratchpad.middleware import ScratchpadMiddleware, estimate
from aura_py.scratchpad.pointer import artifact_pointer
from aura_py.scratchpad.prompt import PROMPT
from aura_py.scratchpad.results import Counter, ExplorationContext
from aura_py.scratchpad.retention import is_run_scratchpad, occupy, remove_unless_held, sweep_now_and_then
from aura_py.scratchpad.store import Store
from aura_py.scratchpad.threads import in_thread
from aura_py.tools.contract import BuiltinTool, CallContext, Middleware, Tool, ToolOutcome, failure, success

_log = logging.getLogger(__name__)


class Scratchpad:
    """Made by ``open`` for one request of an agent, or one attempt of a worker; ``close`` ends it.

    ``tools`` are offered to the model, ``middleware`` stands around every tool call, ``prompt`` is appended to the
    system prompt; the budget is fed with ``budget.seed`` before the first turn and ``observe_turn`` after each.
    """

    def __init__(
        self,
        settings: ScratchpadSettings,
        exploration: ExplorationContext,
        calibration: Calibration,
        thresholds: Mapping[str, int],
        descriptor: int | None,
    ) -> None:
        self.prompt = PROMPT
        self.tools: tuple[Tool, ...] = tuple(self._tool(definition) for definition in DEFINITIONS)
        self.middleware: Middleware = ScratchpadMiddleware(exploration, thresholds, settings.default_min_tokens)
        self._settings = settings
        self._exploration = exploration
        self._calibration = calibration
        self._descriptor = descriptor
        self._errors = 0

    @classmethod
    def open(
        cls,
        settings: ScratchpadSettings,
        *,
        directory: Path,
        read_root: Path,
        thresholds: Mapping[str, int],
        counter: Counter,
        context_window: int,
        baseline: Iterable[str] = (),
    ) -> Scratchpad:
        """Makes the directory and a fresh budget.

        Args:
            directory: Where outputs are written, with mode 0700.
            read_root: What may be read; ignored with a warning when it does not hold ``directory``.
            baseline: Every text that each model call sends: the system prompt, each tool's schema as JSON. The
                scratchpad's own prompt and tools are counted without being named here.

        Raises:
            OSError: The directory cannot be made or used.
        """
        descriptor = occupy(directory)
        if not directory.resolve().is_relative_to(read_root.resolve()):
            _log.warning("scratchpad read root `%s` does not hold `%s` and is not used", read_root, directory)
            read_root = directory
        own = sum(_counted(counter, text) for text in _own_texts())
        budget = Budget(
            context_window=context_window,
            margin=settings.context_safety_margin,
            per_call=settings.max_extraction_tokens,
            baseline=own + sum(_counted(counter, text) for text in baseline),
        )
        calibration = Calibration(counter)
        exploration = ExplorationContext(Store(directory, read_root), budget, calibration, counter)
        return cls(settings, exploration, calibration, thresholds, descriptor)

    @property
    def budget(self) -> Budget:
        return self._exploration.budget

    def observe_turn(self, usage: Usage, sent: Sequence[Message]) -> None:
        """Takes the model's report of a turn, and the conversation it was called with: both set the budget right."""
        self.budget.observe_turn(usage)
        self._calibration.observe(usage, sent, prompt=self.budget.baseline)

    def also_sent(self, texts: Iterable[str]) -> None:
        """Adds to the baseline what became known only after ``open``."""
        self.budget.add_baseline(sum(_counted(self._exploration.plain, text) for text in texts))

    def usage(self) -> tuple[int, int]:
        """Tokens intercepted and tokens extracted."""
        return self.budget.intercepted, self.budget.extracted

    async def offer_artifact(self, name: str, path: Path, text: str) -> str:
        """The artifact's text, charged, when it fits; else a pointer to explore it where it lies."""
        return await in_thread(self._offer, name, path, text, abandon=True)

    def _offer(self, name: str, path: Path, text: str) -> str:
        self._calibration.settle()
        exploration = self._exploration
        tokens = exploration.counter.count_up_to(text, exploration.limit)
        if tokens <= exploration.limit and self.budget.check_and_charge(tokens) is None:
            return text
        store = exploration.store
        reference = os.path.relpath(path, store.directory)
        try:
            document = store.open(reference)
        except OutsideError:
            reason = "it lies outside the scratchpad's reach; narrow the task, or have it summarised where it was made"
        except OSError as error:
            reason = f"a storage error prevented a reference to it ({error.strerror}); it may be transient: try again"
        else:
            kind = "json" if document.json is not None else "markdown" if formats.is_markdown(text) else "text"
            plain = exploration.plain
            return artifact_pointer(name, reference, document, estimate(plain, text), kind, plain)
        return f"[artifact '{name}' is too large for the remaining context, and {reason}]"

    def close(self) -> None:
        """Ends the use of the directory, and removes what retention says: all at 0 hours, the oldest over the size.

        Files of a worker's iteration stay until their run goes, because later tasks may read them.
        """
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        store = self._exploration.store
        files = store.files
        if files or self._errors:
            _log.info(
                "scratchpad `%s`: %d files of %d bytes stored (%d tokens), %d tokens read back, %d calls failed",
                store.directory,
                len(files),
                sum(files.values()),
                *self.usage(),
                self._errors,
            )
        if store.read_root != store.directory:
            return
        DOCUMENTS.forget(Path(os.path.realpath(store.directory)))
        if self._settings.retention_hours == 0 or not self.budget.intercepted:
            remove_unless_held(store.directory)
        elif is_run_scratchpad(store.directory):
            sweep_now_and_then(store.directory.parents[2], self._settings, datetime.now(UTC))

    def _tool(self, definition: Definition) -> Tool:
        async def handler(arguments: JsonObject, _context: CallContext) -> ToolOutcome:
            return await in_thread(self._explore, definition, arguments, abandon=True)

        return BuiltinTool(definition.name, definition.description, definition.parameters, handler, "scratchpad")

    def _explore(self, definition: Definition, given: JsonObject) -> ToolOutcome:
        self._calibration.settle()
        file = clipped(str(given.get("file")))
        try:
            return success(definition.explore(self._exploration, Arguments(given, definition.known)))
        except SoftError as error:
            return success(self._charged(error.text))
        except HardError as error:
            text = clipped(str(error))
        except OutsideError:
            text = f"path error: `{file}` is outside the scratchpad; use a file name it gave you"
        except OSError as error:
            reason = error.strerror or type(error).__name__
            text = f"I/O error: `{file}` cannot be read ({reason}); list_files() names the stored files"
        finally:
            DOCUMENTS.settle()
        return failure(self._charged(text), outcome="tool_error")

    def _charged(self, error: str) -> str:
        self._errors += 1
        self.budget.charge_error(self._exploration.counter.count(error))
        return error


def _own_texts() -> Iterable[str]:
    yield PROMPT
    for definition in DEFINITIONS:
        yield definition.name
        yield definition.description
        yield orjson.dumps(definition.parameters).decode()


@lru_cache(maxsize=1024)
def _counted(counter: Counter, text: str) -> int:
    """System prompts and schemas are the same from request to request."""
    return counter.count(text)
