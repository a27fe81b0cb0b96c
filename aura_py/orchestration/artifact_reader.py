"""``read_artifact``: results and tool outputs of this run and of earlier ones."""

from __future__ import annotations

from functools import partial

import orjson
from anyio import to_thread

from aura_py.agent.scratchpad_session import ScratchpadSession
from aura_py.messages import Json, JsonObject
from aura_py.orchestration.naming import LATEST
from aura_py.orchestration.run_directory import RunDirectory, UnsafeNameError
from aura_py.tokens import TokenCounter
from aura_py.tools.contract import BuiltinTool, CallContext, ToolOutcome, failure, success

READ_ARTIFACT = "read_artifact"
DEFAULT_TOKEN_LIMIT = 20_000
"""Tokens of one answer without a known context window; with one, a quarter of it."""

READ_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "filename": {"type": "string", "description": "The file's name as it was given to you."},
        "run_id": {"type": "string", "description": "An earlier run of this session; leave it out for this run."},
        "offset": {"type": "integer", "minimum": 0, "description": "First character to return; pages a long file."},
        "limit": {"type": "integer", "minimum": 1, "description": "Characters to return at most."},
    },
    "required": ["filename"],
}


class ArtifactReader:
    """The tool of one agent.

    Args:
        limit: Tokens of one answer.
        scratchpad: Where there is one, it replaces the limit for artifacts of this run: a large one is explored in
            place.
    """

    def __init__(
        self,
        run: RunDirectory,
        *,
        counter: TokenCounter,
        limit: int,
        scratchpad: ScratchpadSession | None = None,
    ) -> None:
        self._run, self._counter, self._limit = run, counter, limit
        self._scratchpad = scratchpad

    def tool(self) -> BuiltinTool:
        return BuiltinTool(
            READ_ARTIFACT,
            "Read a result or tool output that was stored in a file during this run; with `run_id`, one of an earlier "
            "run of this session (ids are in the session history). A file that is too large comes back as its "
            "beginning and end, or as a pointer to explore in place.",
            READ_SCHEMA,
            self._handle,
            "orchestration",
        )

    async def _handle(self, arguments: JsonObject, _context: CallContext) -> ToolOutcome:
        filename, run_id = arguments.get("filename"), arguments.get("run_id") or None
        if not isinstance(filename, str) or not (run_id is None or isinstance(run_id, str)):
            return failure("`filename` must be text, and `run_id` too when given.", outcome="schema_error")
        offset, limit = _natural(arguments.get("offset")), _natural(arguments.get("limit"))
        try:
            stored = await self._run.artifact(filename, run_id)
        except UnsafeNameError as error:
            return failure(f"IO error: {error}", outcome="tool_error")
        if stored is None:
            return _answer(found=False, filename=filename, content="")
        path = self._run.path
        text, complete = stored.text, len(stored.text.encode("utf-8", "replace")) >= stored.size
        if offset is not None or limit is not None:
            start = offset or 0
            text, complete = text[start : None if limit is None else start + limit], True
        elif self._scratchpad is not None and path is not None and run_id in (None, LATEST, path.name):
            content = await self._scratchpad.offer_artifact(filename, path / "artifacts" / filename, text)
            return _answer(found=True, filename=filename, content=content)
        content = await to_thread.run_sync(partial(self._truncated, text, complete=complete))  # it counts tokens
        return _answer(found=True, filename=filename, content=content)

    def _truncated(self, text: str, *, complete: bool) -> str:
        if complete and not self._counter.exceeds(text, self._limit):
            return text
        shown = max(200, min(len(text), self._limit * 4))
        while shown > 200 and self._counter.exceeds(text[:shown], self._limit):
            shown = shown * 3 // 4
        first, last = shown * 3 // 4, shown // 4
        omitted = len(text) - first - last
        if omitted <= 0:
            return text
        note = f"[{omitted} characters left out of {len(text)}; page with `offset` and `limit`]"
        return f"{text[:first]}\n\n{note}\n\n{text[-last:]}"


def token_limit(context_window: int | None) -> int:
    return context_window // 4 if context_window else DEFAULT_TOKEN_LIMIT


def _natural(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _answer(*, found: bool, filename: str, content: str) -> ToolOutcome:
    return success(orjson.dumps({"found": found, "filename": filename, "content": content}).decode())
