"""``wait_for``: polls one tool until a condition holds (``orchestration-workers.md`` §9)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from aura_py.context import Clock
from aura_py.events import ToolProgress
from aura_py.messages import Json, JsonObject, ToolCall
from aura_py.orchestration.deadline import DeadlineExceeded, run_with_timeout
from aura_py.orchestration.patterns import InvalidPatternError, Pattern
from aura_py.tools.contract import (
    BuiltinTool,
    CallContext,
    Invocation,
    Middleware,
    Next,
    Tool,
    ToolOutcome,
    failure,
    success,
)
from aura_py.tools.runner import ToolRunner

WAIT_FOR = "wait_for"
DEFAULT_POLL = 2
DEFAULT_BOUND = 120
CEILING = 300
MAX_OBSERVATION = 262_144
MAX_GRACE = 5.0
TOLERATED_ERRORS = 2

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
                {
                    "properties": {"matches": {"type": "string", "description": "Pattern found in the output."}},
                    "required": ["matches"],
                    "additionalProperties": False,
                },
                {
                    "properties": {"not_matches": {"type": "string", "description": "Pattern no longer found."}},
                    "required": ["not_matches"],
                    "additionalProperties": False,
                },
                {
                    "properties": {
                        "quiet_for_sec": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "The output has not changed for so many seconds.",
                        }
                    },
                    "required": ["quiet_for_sec"],
                    "additionalProperties": False,
                },
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


class _Fault(Exception):
    """Arguments that cannot be used."""


@dataclass(slots=True, frozen=True)
class WaitRequest:
    """Validated arguments; ``bound`` is what is in force."""

    tool: str
    args: JsonObject
    condition: Literal["matches", "not_matches", "quiet_for_sec"]
    pattern: Pattern | None
    quiet: int
    poll: int
    bound: int


def read_request(arguments: JsonObject, *, ceiling: float = CEILING) -> WaitRequest:
    """Checks in the order of §9.2.

    Raises:
        _Fault: Naming the field and its value.
    """
    _only(arguments, ("probe", "until", "poll_sec", "max_wait_sec"), "")
    probe, until = arguments.get("probe"), arguments.get("until")
    if not isinstance(probe, Mapping):
        raise _Fault("`probe` must be an object with `tool` and `args`.")
    _only(probe, ("tool", "args"), "probe.")
    if not isinstance(until, Mapping) or len(until) != 1 or next(iter(until)) not in _CONDITIONS:
        raise _Fault(f"`until` must have exactly one of {', '.join(f'`{c}`' for c in _CONDITIONS)}.")
    condition = next(c for c in _CONDITIONS if c in until)
    tool, args = probe.get("tool"), probe.get("args")
    if not isinstance(tool, str) or not tool.strip():
        raise _Fault("`probe.tool` must be the name of one of your MCP tools; it is empty.")
    if not isinstance(args, Mapping):
        raise _Fault("`probe.args` must be an object; send `{}` when the tool needs none.")
    pattern, quiet = None, 0
    if condition == "quiet_for_sec":
        quiet = _seconds(until[condition], "until.quiet_for_sec", None)
    else:
        source = until[condition]
        if not isinstance(source, str):
            raise _Fault(f"`until.{condition}` must be a pattern as text.")
        try:
            pattern = Pattern(source)
        except InvalidPatternError as error:
            raise _Fault(f"`until.{condition}`: {error}.") from error
    poll = _seconds(arguments.get("poll_sec"), "poll_sec", DEFAULT_POLL)
    asked = _seconds(arguments.get("max_wait_sec"), "max_wait_sec", DEFAULT_BOUND)
    bound = max(1, int(min(asked, CEILING, ceiling)))
    if poll >= bound:
        raise _Fault(f"`poll_sec` is {poll} and must be less than the bound of {bound} s (ceiling {CEILING} s).")
    if quiet > bound:
        raise _Fault(
            f"`until.quiet_for_sec` is {quiet} and must not exceed the bound of {bound} s (ceiling {CEILING} s)."
        )
    return WaitRequest(tool.strip(), args, condition, pattern, quiet, poll, bound)


_CONDITIONS: tuple[Literal["matches", "not_matches", "quiet_for_sec"], ...] = (
    "matches",
    "not_matches",
    "quiet_for_sec",
)


def _only(value: JsonObject, known: tuple[str, ...], where: str) -> None:
    unknown = [key for key in value if key not in known]
    if unknown:
        raise _Fault(f"`{where}{unknown[0]}` is not known; the keys are {', '.join(f'`{k}`' for k in known)}.")


def _seconds(value: Json, name: str, default: int | None) -> int:
    if value is None and default is not None:
        return default
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if number is None or number != number or number in (float("inf"), -float("inf")) or number < 1 or number % 1:
        raise _Fault(f"`{name}` is `{value}` and must be a whole number of seconds, at least 1.")
    return int(number)


class WaitForTool:
    """The tool of one attempt.

    Args:
        probes: Runs the probed tool: only this worker's own MCP tools, behind the same gate as its other calls.
        park: The worker's scratchpad; what was observed last passes it as an output of the probed tool.
        deadline: When the attempt's time is over, on the run's clock; a wait is shortened to it.
    """

    def __init__(self, probes: ToolRunner, *, park: Middleware | None = None, deadline: float | None = None) -> None:
        self._probes = probes
        self._park = park
        self._deadline = deadline

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
        clock = context.run.clock
        left = CEILING if self._deadline is None else self._deadline - clock.monotonic()
        try:
            request = read_request(arguments, ceiling=left)
        except _Fault as fault:
            return failure(f"wait_for: {fault}", outcome="schema_error")
        tool = self._probes.toolset.get(request.tool)
        if tool is None:
            names = ", ".join(f"`{n}`" for n in self._probes.toolset.names) or "none"
            return failure(f"wait_for: no MCP tool of yours is called `{request.tool}`; yours are: {names}.")
        if tool.annotations.destructive and not tool.annotations.read_only:
            return failure(f"wait_for: `{request.tool}` changes things and cannot be polled; probe a tool that reads.")
        return await self._parked(await _Wait(request, self._probes, context, clock).run(), request, tool, context)

    async def _parked(
        self, waited: ToolOutcome | _Observed, request: WaitRequest, tool: Tool, context: CallContext
    ) -> ToolOutcome:
        if isinstance(waited, ToolOutcome):
            return waited
        observed = success(waited.text)
        if self._park is not None:
            observed = await self._park(Invocation(tool, request.args), context, _given(observed))
        value: dict[str, Json] = {
            "reason": waited.reason,
            "last_observation": observed.text,
            "elapsed_sec": waited.elapsed,
            "samples": waited.samples,
            "effective_max_wait_sec": request.bound,
        }
        return replace(success(orjson.dumps(value).decode()), meta=observed.meta)


@dataclass(slots=True, frozen=True)
class _Observed:
    """How a wait ended that saw something."""

    reason: str
    text: str
    elapsed: int
    samples: int


def _given(outcome: ToolOutcome) -> Next:
    async def give(_invocation: Invocation, _context: CallContext) -> ToolOutcome:
        return outcome

    return give


class _Wait:
    def __init__(self, request: WaitRequest, probes: ToolRunner, context: CallContext, clock: Clock) -> None:
        self._request, self._probes, self._context, self._clock = request, probes, context, clock
        self._began = clock.monotonic()
        self._samples = 0
        self._last: str | None = None
        self._quiet_since = 0.0
        self._arguments = orjson.dumps(dict(request.args)).decode()

    async def run(self) -> ToolOutcome | _Observed:
        request = self._request
        errors, final = 0, False
        while True:
            left = request.bound - self._elapsed()
            allowance = max(0.0, left) + (min(request.poll, MAX_GRACE) if final else 0.0)
            try:
                outcome = await run_with_timeout(self._clock, allowance, self._sample)
            except DeadlineExceeded:
                if self._last is None:
                    return failure(f"wait_for: `{request.tool}` hangs: it did not answer within {request.bound} s.")
                return self._result("timeout")
            self._samples += 1
            elapsed = self._elapsed()
            self._report(elapsed)
            if outcome.outcome in ("raised", "denied", "cancelled", "schema_error"):
                errors += 1
                if errors > TOLERATED_ERRORS or outcome.outcome in ("denied", "schema_error"):
                    return failure(f"wait_for: `{request.tool}` failed on sample {self._samples}: {outcome.text}")
            else:
                errors = 0
                size = len(outcome.text.encode("utf-8", "replace"))
                if size > MAX_OBSERVATION:
                    return failure(
                        f"wait_for: sample {self._samples} of `{request.tool}` has {size} bytes and at most "
                        f"{MAX_OBSERVATION} are allowed; use a narrower probe."
                    )
                reason = await self._judge(outcome, elapsed)
                self._last = outcome.text
                if reason is not None:
                    return self._result(reason)
            if elapsed >= request.bound or final:
                if self._last is None:
                    return failure(f"wait_for: `{request.tool}` failed on sample {self._samples}: {outcome.text}")
                return self._result("timeout")
            pause = min(float(request.poll), request.bound - elapsed)
            final = elapsed + pause >= request.bound
            await self._clock.sleep(pause)

    async def _sample(self) -> ToolOutcome:
        call = ToolCall(f"{self._context.call_id}_probe", self._request.tool, self._arguments)
        return await self._probes.run(call, replace(self._context, started=lambda _token: None))

    async def _judge(self, outcome: ToolOutcome, elapsed: float) -> Literal["matched", "settled"] | None:
        request = self._request
        if request.pattern is not None:
            found = await _found(request.pattern, outcome.text)
            if request.condition == "matches":
                return "matched" if found else None
            return "matched" if not found and outcome.ok else None
        if outcome.text != self._last or not outcome.ok:
            self._quiet_since = elapsed
            return None
        return "settled" if elapsed - self._quiet_since >= request.quiet else None

    def _report(self, elapsed: float) -> None:
        context = self._context
        context.emit(
            ToolProgress(
                call_id=context.call_id,
                name=WAIT_FOR,
                progress=float(int(elapsed)),
                total=float(self._request.bound),
                message=f"`{self._request.tool}`: sample {self._samples} after {int(elapsed)} s",
                phase="wait_for",
                task_id=context.task_id,
                worker_id=context.initiator or None,
            )
        )

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _result(self, reason: str) -> _Observed:
        return _Observed(reason, self._last or "", int(self._elapsed()), self._samples)


async def _found(pattern: Pattern, text: str) -> bool:
    if len(text) < 32_768:
        return pattern.found_in(text)
    return await asyncio.to_thread(pattern.found_in, text)
