"""What an author's prompts of an orchestration may and must use. Each is filled in with made-up inputs, so that what
fails fails before the first run."""

from __future__ import annotations

import itertools
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from aura_py.config.template_language import prompt_language, render

_LONGEST_TRIAL_SECS: Final = 2.0
_SWITCH: Final = (True, False)
_NOW: Final = ("2026-03-02T09:00:00Z",)
_TEXT: Final = ("Collect the p99 latency of `checkout` since 08:00 UTC.",)
_TEXT_OR_NOT: Final = (*_TEXT, "")
_TOOLS: Final = [{"name": "query", "description": "Queries metrics."}, {"name": "series", "description": ""}]
_WORKERS: Final = [
    {"name": "metrics", "description": "Queries metrics.", "tools": _TOOLS, "more": 3},
    {"name": "writer", "description": "Writes.", "tools": [], "more": 0},
]
_RUN: Final = {"timestamp": "2026-03-02T08:00:00+00:00", "status": "success", "text": "Goal: find out why."}
_RUNS: Final = [_RUN, _RUN]
_INVENTORY: Final = [
    {"title": "Routing", "names": ["respond_directly", "create_plan", "request_clarification"]},
    {"title": "Results", "names": ["read_artifact"]},
]

SAMPLES: Final[Mapping[str, Mapping[str, Sequence[object]]]] = {
    "coordinator": {
        "custom_instructions": _TEXT_OR_NOT,
        "inventory": (_INVENTORY,),
        **dict.fromkeys(("recon", "history_tool", "escape_hatch"), _SWITCH),
    },
    "planning": {
        "now": _NOW,
        "query": _TEXT,
        "workers": (_WORKERS, []),
        "show_tools": ("full", "summary", "none"),
        "unavailable": ("The MCP server `shop` is not available.", None),
        **dict.fromkeys(("direct_allowed", "clarification_allowed"), _SWITCH),
    },
    "continuation": {"now": _NOW, "report": _TEXT, **dict.fromkeys(("final", "clarification_allowed"), _SWITCH)},
    "correction": {"reasons": (["`steps` is empty."],), **dict.fromkeys(("after_iteration", "final"), _SWITCH)},
    "worker": {"custom_prompt": _TEXT_OR_NOT, **dict.fromkeys(("artifacts", "scratchpad"), _SWITCH)},
    "task": {"task": _TEXT, "context": _TEXT_OR_NOT, "artifacts": _SWITCH},
    "submission": {},
    "history": {"runs": (_RUNS, _RUNS[:1])},
    "overflow": {"phase": ("planning", "continuation", "worker")},
}
"""Every prompt and the values that its inputs may have; every combination is tried."""
_DERIVED: Final = {"runs": "count", "workers": "worker_names"}
"""Inputs that follow from others."""

INPUTS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset({*samples, *(derived for source, derived in _DERIVED.items() if source in samples)})
    for name, samples in SAMPLES.items()
}
"""Every prompt's inputs. A built-in prompt uses all of them, an author's prompt no others."""

ESSENTIAL: Final[Mapping[str, frozenset[str]]] = {
    "planning": frozenset({"query"}),
    "continuation": frozenset({"report"}),
    "task": frozenset({"task", "context"}),
    "worker": frozenset({"custom_prompt"}),
    "coordinator": frozenset({"custom_instructions"}),
}
"""Inputs without which an author's prompt cannot do its work."""


def variables(source: str) -> frozenset[str]:
    """The inputs a template reads.

    Raises:
        TemplateError: ``source`` is not a template, or uses a filter or test that does not exist.
    """
    from jinja2 import meta

    environment = prompt_language()
    environment.from_string(source)
    return frozenset(meta.find_undeclared_variables(environment.parse(source)))


def prompt_fault(name: str, file: str, source: str) -> tuple[str, str] | None:
    """What is wrong with the text of a known prompt, and how to mend it; ``file`` is how messages name its file."""
    from jinja2 import TemplateError

    try:
        used = variables(source)
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        place = f"`{file}`" if line is None else f"`{file}` line {line}"
        return f"the prompt file {place} is not a Jinja2 template: {reason}", "mend the template"
    unknown = used - INPUTS[name]
    if unknown:
        offered = listed(INPUTS[name]) if INPUTS[name] else "none"
        return (
            f"the prompt file `{file}` uses {listed(unknown)}, which prompt `{name}` does not have",
            f"its inputs are: {offered}",
        )
    missing = ESSENTIAL.get(name, frozenset()) - used
    if missing:
        return f"the prompt file `{file}` leaves out {listed(missing)}", f"use it, or `{name}` cannot do its work"
    fault = trial_fault(name, source)
    if fault is not None:
        place = f"`{file}`" if fault[0] is None else f"`{file}` line {fault[0]}"
        return f"the prompt file {place} cannot be filled in: {fault[1]}", "mend the template"
    return None


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def trial_fault(name: str, source: str) -> tuple[int | None, str] | None:
    """Where the prompt ``name`` cannot be filled in, as a line of ``source``, and why; ``None`` when it always can."""
    template = prompt_language().from_string(source)
    with _processor_time(_LONGEST_TRIAL_SECS):
        for inputs in _combinations(SAMPLES[name]):
            try:
                render(template, inputs)
            except Exception as error:
                return _line(error), f"{_reason(error)}{_when(inputs)}"
    return None


@contextmanager
def _processor_time(seconds: float) -> Iterator[None]:
    """Raises ``TimeoutError`` in what runs inside once it has used this much time of the processor.

    Loops in loops may take for ever without writing a character, and nothing else ends Python code from within its
    own thread: a trace function sees every line, whichever thread loads the configuration. Time on the clock would
    refuse good prompts on a busy machine.
    """
    end = time.thread_time() + seconds
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if time.thread_time() > end:
            raise TimeoutError(f"it takes more than {seconds:g} seconds")
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _combinations(samples: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    for values in itertools.product(*samples.values()):
        inputs = dict(zip(samples, values, strict=True))
        if "runs" in inputs:
            inputs["count"] = 2 if inputs["runs"] == _RUNS else 1
        if "workers" in inputs:
            inputs["worker_names"] = '"metrics", "writer"' if inputs["workers"] else ""
        yield inputs


def _line(error: Exception) -> int | None:
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
    if isinstance(error, RecursionError):
        del lines[-1:]  # the innermost frame may have been stopped before its first line
    return lines[-1] if lines else None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    return str(error).rstrip(".") or type(error).__name__


def _when(inputs: Mapping[str, object]) -> str:
    absent = [f"`{name}`" for name, value in inputs.items() if not value]
    return f" (without {', '.join(absent)})" if absent else ""
