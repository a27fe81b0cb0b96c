"""`[orchestration]` and its workers (``config.md`` §15)."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from aura_py.config import models
from aura_py.config.numbers import Flag, Whole
from aura_py.config.problems import At, shown
from aura_py.config.prompts import INPUTS, listed, prompt_fault
from aura_py.config.sections.llm import LLM
from aura_py.config.sections.scratchpad import SCRATCHPAD
from aura_py.config.sections.skills import SKILLS
from aura_py.config.source import Unreadable, read_text
from aura_py.config.tables import Advice, Key, Shape, Table, TableMap, Tree
from aura_py.config.templates import Unresolved
from aura_py.config.values import Choice, FilePath, GlobText, JsonSchema, Kind, Strings, Text, wrong_type

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")

TIMEOUTS = Shape(
    models.OrchestrationTimeouts,
    {
        "per_call_timeout_secs": Key(
            Whole(), "Wall clock of one coordinator phase or one whole worker task, tool calls included; 0 is none."
        ),
        "stream_inactivity_timeout_secs": Key(
            Whole(), "Silence of a model's stream; suspended while a tool runs; 0 is none."
        ),
    },
    "Time limits of coordinator and workers.",
    strict=True,
)

_FLAT: dict[str, Key] = {
    "result_artifact_threshold": Key(Whole(), "Characters above which a worker's result becomes a file."),
    "result_summary_length": Key(Whole(), "Characters of the summary that replaces it."),
    "session_history_turns": Key(Whole(), "Earlier runs of the session told to the coordinator; 0 is none."),
    "persistence_drain_timeout_ms": Key(Whole(), "Wait for pending writes after an iteration, in milliseconds."),
    "tool_output_artifact_threshold": Key(Whole(), "Length above which a tool's output is saved; 0 saves all."),
    "tool_output_duration_threshold_ms": Key(Whole(), "Tool calls slower than this are saved too; 0 is off."),
}
_NESTED_ONLY: dict[str, Key] = {
    "show_tool_reasoning_in_continuation": Key(Flag(), "Show condensed tool reasoning when the coordinator continues."),
    "max_session_runs": Key(Whole(), "Run directories kept per session; 0 keeps all."),
    "max_memory_mb": Key(Whole(), "Size of one owner's runs of this agent before the oldest go; 0 is no limit."),
    "max_age_days": Key(Whole(), "Age at which runs are removed; 0 is never."),
}
_MEMORY = Key(FilePath(), "Legacy place of the top-level `memory_dir`.")
_MEMORY_SPELLINGS = ("memory_dir", "memory_path")


def _one_memory_key(tree: Tree, at: At) -> None:
    if "memory_path" in tree and "memory_dir" in tree:
        (at / "memory_path").error(
            "CFG-S07", f"both `memory_dir` and `memory_path` are set in {at.table}", "keep one of them"
        )
    path = tree.pop("memory_path", None)
    if path is not None:
        tree.setdefault("memory_dir", path)
    if "memory_dir" in tree:
        at.info(
            "INFO-MEM01",
            f"the memory directory is set in {at.table}, its legacy place",
            "move `memory_dir` to the top level of the file",
        )


ARTIFACTS = Shape(
    models.Artifacts,
    {**_FLAT, **_NESTED_ONLY},
    "What an orchestration keeps on disk.",
    legacy=dict.fromkeys(_MEMORY_SPELLINGS, _MEMORY),
    check=_one_memory_key,
)

WORKER = Shape(
    models.Worker,
    {
        "description": Key(
            Text(), "What the worker is for; the coordinator assigns tasks by it.", True, '`description = "…"`'
        ),
        "preamble": Key(Text(prompt=True), "The worker's system prompt.", True, '`preamble = "…"`'),
        "mcp_filter": Key(
            Strings(GlobText()), "MCP tools: absent inherits the agent's filter, `[]` is none, a list replaces it."
        ),
        "vector_stores": Key(Strings(), "Stores the worker may search."),
        "turn_depth": Key(Whole(), "Rounds of tool calls; absent inherits the agent's."),
        "llm": Key(LLM, "A complete model table that replaces the agent's; nothing is inherited."),
        "scratchpad": Key(SCRATCHPAD, "Overlays the agent's table key by key."),
        "skills": Key(SKILLS, "Replaces the agent's skills; `local = []` is none."),
        "max_parallel_tasks": Key(Whole(), "Tasks of this worker that run at once; 0 is no limit of its own."),
        "accept_unsubmitted": Key(Flag(), "Take a final text that was never submitted as the result."),
    },
    "A worker.",
)


@dataclass(slots=True, frozen=True)
class Workers(TableMap):
    """The workers by name; names must differ as file names, too."""

    def _read(self, value: object, at: At) -> object:
        result = TableMap._read(self, value, at)
        spelled: dict[str, str] = {}
        for name in value if isinstance(value, dict) else ():
            if isinstance(name, Unresolved):
                continue
            here = at / name
            if not name.strip():
                here.error("CFG-O01", "Empty worker name in [orchestration.worker.*]", "give the worker a name")
                continue
            other = spelled.setdefault(_UNSAFE.sub("_", name).lower(), str(shown(name)))
            if other != str(shown(name)):
                here.error(
                    "CFG-O02",
                    f"Duplicate worker name: `{other}` and `{shown(name)}` differ only by letter case or by"
                    " characters that file names cannot keep apart",
                    "rename one of them",
                )
        return result


@dataclass(slots=True, frozen=True)
class PromptFiles(Kind):
    """Prompt name to a Jinja2 file beside the agent's file."""

    def _read(self, value: object, at: At) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of paths", value, f"write `[{at.key}]` with one prompt per line")
        files: dict[str, Path] = {}
        for name, path in value.items():
            here = at / name
            file = FilePath(beside=True).read(path, here)
            if isinstance(name, Unresolved) or not isinstance(file, Path):
                continue
            if name not in INPUTS:
                near = difflib.get_close_matches(str(shown(name)), INPUTS, n=1)
                here.error(
                    "CFG-S05",
                    f"there is no prompt `{shown(name)}`",
                    f"did you mean `{near[0]}`?" if near else f"the prompts are {listed(INPUTS)}",
                )
            elif _usable(name, file, here):
                files[name] = file
        return files

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    def describe(self) -> str:
        return "table name → path"


def _usable(name: str, file: Path, here: At) -> bool:
    """A prompt that would fail in the middle of a run is refused before the first."""
    named = here.shown_path(file)
    if not os.path.isfile(file):
        here.error("CFG-F03", f"the prompt file `{named}` is not there", "create it or correct the path")
        return False
    try:
        source = read_text(file)
    except Unreadable as error:
        reason, found = error.reason, error.diagnostic
        message = f"the prompt file `{named}` cannot be read: {reason}" if reason else f"`{named}` is not UTF-8"
        here.error(found.code, message, found.fix)
        return False
    fault = prompt_fault(name, named, source)
    if fault is not None:
        here.error("CFG-S12", *fault)
    return fault is None


def _moved(table: str) -> Advice:
    return Advice(
        f"this key does not stand in [orchestration] but in [orchestration.{table}]",
        f"move it to `[orchestration.{table}]`",
    )


def _check(tree: Tree, at: At) -> None:
    _one_memory_key(tree, at)
    flat = {name: tree.pop(name) for name in (*_FLAT, "memory_dir") if name in tree}
    if flat:
        tree["artifacts"] = {**tree.get("artifacts", {}), **flat}
    if tree.get("max_planning_cycles") == 0:
        (at / "max_planning_cycles").warn("WARN-OR01", "`max_planning_cycles` 0 behaves like 1", "write 1")
    if tree.get("worker_system_prompt") is not None and tree.get("worker"):
        (at / "worker_system_prompt").warn(
            "WARN-OR02",
            "`worker_system_prompt` is only for the generic worker and unused because workers are named",
            "move its text into the workers' `preamble`",
        )
    nudge = tree.get("duplicate_call_nudge_threshold", 3)
    block = tree.get("duplicate_call_block_threshold", 5)
    if 0 < block <= nudge:
        (at / "duplicate_call_block_threshold").warn(
            "WARN-OR03",
            f"`duplicate_call_block_threshold` {block} is not above `duplicate_call_nudge_threshold` {nudge}:"
            " a task is blocked before it was warned",
            "make the block threshold the larger one",
        )


_WORKERS = Advice("`[orchestration.workers.*]` is not read", "the table is `[orchestration.worker.<name>]` (singular)")

ORCHESTRATION = Table(
    Shape(
        models.Orchestration,
        {
            "enabled": Key(Flag(), "Turns the agent into a coordinator with workers."),
            "max_planning_cycles": Key(Whole(), "Plan, execute, decide: how often at most."),
            "max_plan_parse_retries": Key(Whole(), "Corrections when the coordinator gives no usable decision."),
            "worker_system_prompt": Key(
                Text(blank="absent", prompt=True), "Prompt of the generic worker, used only when no worker is named."
            ),
            "worker": Key(Workers(Table(WORKER)), "The workers."),
            "coordinator_vector_stores": Key(Strings(), "Stores the coordinator may search."),
            "default_vector_stores": Key(Strings(), "Stores the generic worker may search."),
            "allow_direct_answers": Key(Flag(), "Whether the coordinator may answer without a plan."),
            "allow_clarification": Key(Flag(), "Whether the coordinator may ask back."),
            "tools_in_planning": Key(
                Choice(get_args(models.Orchestration.model_fields["tools_in_planning"].annotation)),
                "How the planning prompt shows the workers' tools; display only.",
            ),
            "max_tools_per_worker": Key(Whole(), "Tools listed per worker while planning; display only."),
            "duplicate_call_nudge_threshold": Key(
                Whole(), "Identical calls with identical output before guidance is appended; 0 is off."
            ),
            "duplicate_call_block_threshold": Key(Whole(), "The same before the task is escalated; 0 is off."),
            "max_parallel_tasks": Key(Whole(), "Tasks that run at once; 0 is no limit."),
            "schedule": Key(
                Choice(get_args(models.Orchestration.model_fields["schedule"].annotation)),
                "`eager` starts a task when its own dependencies are done, `waves` keeps a barrier.",
            ),
            "prompts": Key(PromptFiles(), "Prompt name to a Jinja2 file that replaces the built-in prompt."),
            "timeouts": Key(Table(TIMEOUTS), "Time limits."),
            "artifacts": Key(Table(ARTIFACTS), "What is kept on disk."),
        },
        "Coordinator and workers.",
        legacy={**_FLAT, **dict.fromkeys(_MEMORY_SPELLINGS, _MEMORY)},
        misplaced={
            "workers": _WORKERS,
            **dict.fromkeys(TIMEOUTS.keys, _moved("timeouts")),
            **dict.fromkeys(_NESTED_ONLY, _moved("artifacts")),
        },
        retired={
            "quality_threshold": "remove it: quality scoring is gone",
            "max_iterations": "use `max_planning_cycles`",
            "max_phases": "remove it",
            "max_consecutive_duplicate_tool_calls": (
                "use `duplicate_call_nudge_threshold` and `duplicate_call_block_threshold`"
            ),
        },
        check=_check,
    )
)
