"""``wait_for``: polls one tool until a condition holds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import orjson
import re2

from aura_py.events import ToolProgress
from aura_py.messages import Json, JsonObject, ToolCall
from aura_py.orchestration.deadline import DeadlineExceeded, run_with_timeout
from aura_py.tools.contract import (
    BuiltinTool,
    CallContext,
    Invocation,
    Middleware,
    Next,
    ToolOutcome,
    failure,
    success,
)
from aura_py.tools.runner import ToolRunner

if TYPE_CHECKING:
    from re import Pattern as _Pattern

    Pattern = _Pattern[str]

WAIT_FOR = "wait_for"
DEFAULT_POLL = 2
DEFAULT_BOUND = 120
CEILING = 300
MAX_OBSERVATION = 262_144
MAX_GRACE = 5.0
TOLERATED_ERRORS = 2
MAX_PATTERN = 1000
_SHORT = 32_768
"""Longer outputs are searched in a thread."""


def _alternative(name: str, schema: JsonObject) -> JsonObject:
    return {"properties": {name: schema}, "required": [name], "additionalProperties": False}


WAIT_SCHEMA: JsonObject = {
    "type": "object",
    "required": ["probe", "until"],
    "additionalProperties": False,
    "properties": {
        "probe": {
            "type": "object",
            "required": ["tool", "args"],
            "additionalProperties": False,
            "properties": {
                "tool": {"type": "string", "description": "One of your MCP tools; built-in tools cannot be probed."},
                "args": {"type": "object", "description": "Its arguments, the same each time; may be empty."},
            },
        },
        "until": {
            "type": "object",
            "description": "Exactly one condition.",
            "oneOf": [
                _alternative("matches", {"type": "string", "description": "Pattern found in the output."}),
                _alternative("not_matches", {"type": "string", "description": "Pattern no longer found."}),
                _alternative(
                    "quiet_for_sec",
                    {
                        "type": "integer",
                        "minimum": 1,
                        "description": "The output has not changed for so many seconds.",
                    },
                ),
            ],
        },
        "poll_sec": {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_POLL,
            "description": "Seconds between samples.",
        },
        "max_wait_sec": {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_BOUND,
            "description": f"Longest wait, {CEILING} at most; the bound in force is reported. "
            "Running out of time is a normal result with the last observation.",
        },
    },
}


_Condition: TypeAlias = Literal["matches", "not_matches", "quiet_for_sec"]
_CONDITIONS: tuple[_Condition, ...] = ("matches", "not_matches", "quiet_for_sec")


class _InvalidArgumentsError(Exception):
    """Arguments that cannot be used; names the field and its value."""


@dataclass(slots=True, frozen=True)
class _Request:
    """Validated arguments; ``bound`` is the longest wait that is in force."""

    tool: str
    args: JsonObject
    condition: _Condition
    pattern: Pattern | None
    quiet: int
    poll: int
    bound: int


def _read_request(arguments: JsonObject, ceiling: float) -> _Request:
    _only(arguments, ("probe", "until", "poll_sec", "max_wait_sec"), "")
    probe, until = arguments.get("probe"), arguments.get("until")
    if not isinstance(probe, Mapping):
        raise _InvalidArgumentsError("`probe` must be an object with `tool` and `args`.")
    _only(probe, ("tool", "args"), "probe.")
    if not isinstance(until, Mapping) or len(until) != 1 or next(iter(until)) not in _CONDITIONS:
        raise _InvalidArgumentsError(f"`until` must have exactly one of {', '.join(f'`{c}`' for c in _CONDITIONS)}.")
    condition = next(c for c in _CONDITIONS if c in until)
    tool, args = probe.get("tool"), probe.get("args")
    if not isinstance(tool, str) or not tool.strip():
        raise _InvalidArgumentsError("`probe.tool` must be the name of one of your MCP tools; it is empty.")
    if not isinstance(args, Mapping):
        raise _InvalidArgumentsError("`probe.args` must be an object; send `{}` when the tool needs none.")
    pattern, quiet = None, 0
    if condition == "quiet_for_sec":
        quiet = _seconds(until[condition], "until.quiet_for_sec", None)
    else:
        pattern = _compiled(until[condition], f"until.{condition}")
    poll = _seconds(arguments.get("poll_sec"), "poll_sec", DEFAULT_POLL)
    asked = _seconds(arguments.get("max_wait_sec"), "max_wait_sec", DEFAULT_BOUND)
    bound = max(1, int(min(asked, CEILING, ceiling)))
    limit = f"the bound of {bound} s (ceiling {CEILING} s)"
    if poll >= bound:
        raise _InvalidArgumentsError(f"`poll_sec` is {poll} and must be less than {limit}.")
    if quiet > bound:
        raise _InvalidArgumentsError(f"`until.quiet_for_sec` is {quiet} and must not exceed {limit}.")
    return _Request(tool.strip(), args, condition, pattern, quiet, poll, bound)


def _only(value: JsonObject, known: tuple[str, ...], where: str) -> None:
    unknown = [key for key in value if key not in known]
    if unknown:
        keys = ", ".join(f"`{key}`" for key in known)
        raise _InvalidArgumentsError(f"`{where}{unknown[0]}` is not known; the keys are {keys}.")


def _compiled(source: Json, name: str) -> Pattern:
    """RE2 matches in linear time, so that no output can make a pattern hang."""
    if not isinstance(source, str):
        raise _InvalidArgumentsError(f"`{name}` must be a pattern as text.")
    if len(source) > MAX_PATTERN:
        raise _InvalidArgumentsError(
            f"`{name}`: the pattern has {len(source)} characters and at most {MAX_PATTERN} are allowed."
        )
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: Pattern = re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise _InvalidArgumentsError(
            f"`{name}`: the pattern is not valid: {text}; look-around and back-references do not exist."
        ) from error
    return pattern


def _seconds(value: Json, name: str, default: int | None) -> int:
    if value is None and default is not None:
        return default
    number = None
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    if number is None or not math.isfinite(number) or number < 1 or number % 1:
        raise _InvalidArgumentsError(f"`{name}` is `{value}` and must be a whole number of seconds, at least 1.")
    return int(number)


class WaitForTool:
    """The tool of one attempt.

    Args:
        probes: Runs the probed tool: only this worker's own MCP tools, behind the same gate as its other calls.
        park: The worker's scratchpad; what was observed last passes it as an output of the probed tool.
        deadline: When the attempt's time is over, on the run's clock; a wait is shortened to it.
    """

    def __init__(self, probes: ToolRunner, *, park: Middleware | None = None, deadline: float | None = None) -> None:
        self._probes, self._park, self._deadline = probes, park, deadline

    def tool(self) -> BuiltinTool:
        return BuiltinTool(
            WAIT_FOR,
            "Wait until something outside has happened: polls one of your MCP tools until its output matches a "
            "pattern, no longer matches it, or stops changing. One call instead of many. The probed tool must be an "
            "MCP tool of yours; built-in tools cannot be probed.",
            WAIT_SCHEMA,
            self._handle,
            "orchestration",
        )

    async def _handle(self, arguments: JsonObject, context: CallContext) -> ToolOutcome:
        left = CEILING if self._deadline is None else self._deadline - context.run.clock.monotonic()
        try:
            request = _read_request(arguments, left)
        except _InvalidArgumentsError as error:
            return failure(f"wait_for: {error}", outcome="schema_error")
        tool = self._probes.toolset.get(request.tool)
        if tool is None:
            names = ", ".join(f"`{n}`" for n in self._probes.toolset.names) or "none"
            return failure(f"wait_for: no MCP tool of yours is called `{request.tool}`; yours are: {names}.")
        if tool.annotations.destructive and not tool.annotations.read_only:
            return failure(f"wait_for: `{request.tool}` changes things and cannot be polled; probe a tool that reads.")
        polling = _Polling(request, self._probes, context)
        try:
            reason = await polling.run()
        except _PollingFailedError as error:
            return failure(f"wait_for: {error}")
        elapsed, observed = int(polling.elapsed()), success(polling.observation or "")
        if self._park is not None:
            observed = await self._park(Invocation(tool, request.args), context, _returns(observed))
        value: dict[str, Json] = {
            "reason": reason,
            "last_observation": observed.text,
            "elapsed_sec": elapsed,
            "samples": polling.samples,
            "effective_max_wait_sec": request.bound,
        }
        return replace(success(orjson.dumps(value).decode()), meta=observed.meta)


def _returns(outcome: ToolOutcome) -> Next:
    async def next_(_invocation: Invocation, _context: CallContext) -> ToolOutcome:
        return outcome

    return next_


class _PollingFailedError(Exception):
    """The probe does not answer, or not in a way that can be judged."""


class _Polling:
    """One wait: ``samples`` counts the probe's answers, ``observation`` is the last one that could be judged."""

    def __init__(self, request: _Request, probes: ToolRunner, context: CallContext) -> None:
        self._request, self._probes, self._context = request, probes, context
        self._clock = context.run.clock
        self._began = self._clock.monotonic()
        self._arguments = orjson.dumps(dict(request.args)).decode()
        self._quiet_since = 0.0
        self._errors = 0
        self.samples = 0
        self.observation: str | None = None

    def elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    async def run(self) -> str:
        """Returns why the wait ended."""
        request, final = self._request, False
        while True:
            allowance = max(0.0, request.bound - self.elapsed())
            if final:  # the last sample starts when the time is up, and may take a moment
                allowance += min(request.poll, MAX_GRACE)
            try:
                outcome = await run_with_timeout(self._clock, allowance, self._sample)
            except DeadlineExceeded:
                if self.observation is None:
                    raise _PollingFailedError(
                        f"`{request.tool}` hangs: it did not answer within {request.bound} s."
                    ) from None
                return "timeout"
            self.samples += 1
            elapsed = self.elapsed()
            self._report(elapsed)
            reason = await self._judge(outcome, elapsed)
            if reason is not None:
                return reason
            if elapsed >= request.bound or final:
                if self.observation is None:
                    raise self._failed(outcome)
                return "timeout"
            pause = min(float(request.poll), request.bound - elapsed)
            final = elapsed + pause >= request.bound
            await self._clock.sleep(pause)

    async def _sample(self) -> ToolOutcome:
        call = ToolCall(f"{self._context.call_id}_probe", self._request.tool, self._arguments)
        return await self._probes.run(call, replace(self._context, started=lambda _token: None))

    async def _judge(self, outcome: ToolOutcome, elapsed: float) -> Literal["matched", "settled"] | None:
        request, text = self._request, outcome.text
        if outcome.outcome in ("raised", "denied", "cancelled", "schema_error"):
            self._errors += 1
            if self._errors > TOLERATED_ERRORS or outcome.outcome in ("denied", "schema_error"):
                raise self._failed(outcome)
            return None
        self._errors = 0
        size = len(text.encode("utf-8", "replace"))
        if size > MAX_OBSERVATION:
            raise _PollingFailedError(
                f"sample {self.samples} of `{request.tool}` has {size} bytes and at most {MAX_OBSERVATION} are "
                "allowed; use a narrower probe."
            )
        previous, self.observation = self.observation, text
        if request.pattern is not None:
            found = await _found(request.pattern, text)
            wanted = found if request.condition == "matches" else not found and outcome.ok
            return "matched" if wanted else None
        if text != previous or not outcome.ok:
            self._quiet_since = elapsed
            return None
        return "settled" if elapsed - self._quiet_since >= request.quiet else None

    def _failed(self, outcome: ToolOutcome) -> _PollingFailedError:
        return _PollingFailedError(f"`{self._request.tool}` failed on sample {self.samples}: {outcome.text}")

    def _report(self, elapsed: float) -> None:
        context = self._context
        context.emit(
            ToolProgress(
                call_id=context.call_id,
                name=WAIT_FOR,
                progress=float(int(elapsed)),
                total=float(self._request.bound),
                message=f"`{self._request.tool}`: sample {self.samples} after {int(elapsed)} s",
                phase="wait_for",
                task_id=context.task_id,
                worker_id=context.initiator or None,
            )
        )


async def _found(pattern: Pattern, text: str) -> bool:
    if len(text) < _SHORT:
        return pattern.search(text) is not None
    return await asyncio.to_thread(pattern.search, text) is not None
