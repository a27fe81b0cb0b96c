"""`[orchestration]` and its workers."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from aura_py.config.environment_text import UnresolvedText
from aura_py.config.file_report import Location, display
from aura_py.config.files import UnreadableFile, read_text
from aura_py.config.models.llm import LLM
from aura_py.config.models.scratchpad import ScratchpadSettings
from aura_py.config.models.skills import Skills
from aura_py.config.prompts import INPUTS, listed, prompt_fault
from aura_py.config.tables import Advice, Key, Section, StrictSection, Table, TableMap, Tree
from aura_py.config.values import FilePath, Globs, JsonSchema, PromptText, Text, ValueType, wrong_type

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_MEMORY_SPELLINGS = dict.fromkeys(
    ("memory_dir", "memory_path"), Key("Legacy place of the top-level `memory_dir`.", FilePath())
)


class OrchestrationTimeouts(StrictSection):
    """Time limits of coordinator and workers."""

    per_call_timeout_secs: Annotated[
        int, Key("Wall clock of one coordinator phase or one whole worker task, tool calls included; 0 is none.")
    ] = 0
    stream_inactivity_timeout_secs: Annotated[
        int, Key("Silence of a model's stream; suspended while a tool runs; 0 is none.")
    ] = 0


def _one_memory_key(tree: Tree, at: Location) -> None:
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


class Artifacts(Section):
    """What an orchestration keeps on disk."""

    legacy: ClassVar = _MEMORY_SPELLINGS

    memory_dir: Path | None = None
    result_artifact_threshold: Annotated[int, Key("Characters above which a worker's result becomes a file.")] = 4000
    result_summary_length: Annotated[int, Key("Characters of the summary that replaces it.")] = 2000
    session_history_turns: Annotated[int, Key("Earlier runs of the session told to the coordinator; 0 is none.")] = 3
    persistence_drain_timeout_ms: Annotated[
        int, Key("Wait for pending writes after an iteration, in milliseconds.")
    ] = 2000
    tool_output_artifact_threshold: Annotated[int, Key("Length above which a tool's output is saved; 0 saves all.")] = (
        500
    )
    tool_output_duration_threshold_ms: Annotated[int, Key("Tool calls slower than this are saved too; 0 is off.")] = (
        5000
    )
    show_tool_reasoning_in_continuation: Annotated[
        bool, Key("Show condensed tool reasoning when the coordinator continues.")
    ] = False
    max_session_runs: Annotated[int, Key("Run directories kept per session; 0 keeps all.")] = 20
    max_memory_mb: Annotated[
        int, Key("Size of one owner's runs of this agent before the oldest go; 0 is no limit.")
    ] = 0
    max_age_days: Annotated[int, Key("Age at which runs are removed; 0 is never.")] = 0

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        _one_memory_key(tree, at)


_NESTED_ONLY = ("show_tool_reasoning_in_continuation", "max_session_runs", "max_memory_mb", "max_age_days")
_FLAT = {name: key for name, key in Table(Artifacts).keys.items() if name not in _NESTED_ONLY}
"""Keys of `[orchestration.artifacts]` that may still stand in `[orchestration]`."""


class Worker(Section):
    """A worker."""

    description: Annotated[
        str, Key("What the worker is for; the coordinator assigns tasks by it.", example='`description = "…"`')
    ]
    preamble: Annotated[PromptText, Key("The worker's system prompt.", example='`preamble = "…"`')]
    mcp_filter: Annotated[
        Globs | None, Key("MCP tools: absent inherits the agent's filter, `[]` is none, a list replaces it.")
    ] = None
    vector_stores: Annotated[tuple[str, ...], Key("Stores the worker may search.")] = ()
    turn_depth: Annotated[int | None, Key("Rounds of tool calls; absent inherits the agent's.")] = None
    llm: Annotated[LLM | None, Key("A complete model table that replaces the agent's; nothing is inherited.")] = None
    scratchpad: Annotated[ScratchpadSettings | None, Key("Overlays the agent's table key by key.")] = None
    skills: Annotated[Skills | None, Key("Replaces the agent's skills; `local = []` is none.")] = None
    max_parallel_tasks: Annotated[int, Key("Tasks of this worker that run at once; 0 is no limit of its own.")] = 0
    accept_unsubmitted: Annotated[bool, Key("Take a final text that was never submitted as the result.")] = False


@dataclass(slots=True, frozen=True)
class Workers(TableMap):
    """The workers by name; names must differ as file names, too."""

    def _read(self, value: object, at: Location) -> object:
        result = TableMap._read(self, value, at)
        spelled: dict[str, str] = {}
        for name in value if isinstance(value, dict) else ():
            if isinstance(name, UnresolvedText):
                continue
            here = at / name
            if not name.strip():
                here.error("CFG-O01", "Empty worker name in [orchestration.worker.*]", "give the worker a name")
                continue
            other = spelled.setdefault(_UNSAFE.sub("_", name).lower(), str(display(name)))
            if other != str(display(name)):
                here.error(
                    "CFG-O02",
                    f"Duplicate worker name: `{other}` and `{display(name)}` differ only by letter case or by"
                    " characters that file names cannot keep apart",
                    "rename one of them",
                )
        return result


@dataclass(slots=True, frozen=True)
class PromptFiles(ValueType):
    """Prompt name to a Jinja2 file beside the agent's file."""

    label = "table name → path"

    def _read(self, value: object, at: Location) -> object:
        if not isinstance(value, dict):
            return wrong_type(at, "a table of paths", value, f"write `[{at.key}]` with one prompt per line")
        files: dict[str, Path] = {}
        for name, path in value.items():
            here = at / name
            file = FilePath(beside=True).read(path, here)
            if isinstance(name, UnresolvedText) or not isinstance(file, Path):
                continue
            if name not in INPUTS:
                near = difflib.get_close_matches(str(display(name)), INPUTS, n=1)
                here.error(
                    "CFG-S05",
                    f"there is no prompt `{display(name)}`",
                    f"did you mean `{near[0]}`?" if near else f"the prompts are {listed(INPUTS)}",
                )
            elif _usable(name, file, here):
                files[name] = file
        return files

    def json_schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}}


def _usable(name: str, file: Path, here: Location) -> bool:
    """A prompt that would fail in the middle of a run is refused before the first."""
    named = here.shown_path(file)
    if not os.path.isfile(file):
        here.error("CFG-F03", f"the prompt file `{named}` is not there", "create it or correct the path")
        return False
    try:
        source = read_text(file)
    except UnreadableFile as error:
        found = error.diagnostic
        here.error(found.code, f"the prompt file `{named}` cannot be read: {error.reason}", found.fix)
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


_WORKERS = Advice("`[orchestration.workers.*]` is not read", "the table is `[orchestration.worker.<name>]` (singular)")


class Orchestration(Section):
    """Coordinator and workers."""

    legacy: ClassVar = {**_FLAT, **_MEMORY_SPELLINGS}
    misplaced: ClassVar = {
        "workers": _WORKERS,
        **dict.fromkeys(OrchestrationTimeouts.model_fields, _moved("timeouts")),
        **dict.fromkeys(_NESTED_ONLY, _moved("artifacts")),
    }
    retired: ClassVar = {
        "quality_threshold": "remove it: quality scoring is gone",
        "max_iterations": "use `max_planning_cycles`",
        "max_phases": "remove it",
        "max_consecutive_duplicate_tool_calls": (
            "use `duplicate_call_nudge_threshold` and `duplicate_call_block_threshold`"
        ),
    }

    enabled: Annotated[bool, Key("Turns the agent into a coordinator with workers.")] = False
    max_planning_cycles: Annotated[int, Key("Plan, execute, decide: how often at most.")] = 3
    max_plan_parse_retries: Annotated[int, Key("Corrections when the coordinator gives no usable decision.")] = 3
    worker_system_prompt: Annotated[
        str | None,
        Text(blank="absent", prompt=True),
        Key("Prompt of the generic worker, used only when no worker is named."),
    ] = None
    worker: Annotated[Mapping[str, Worker], Workers(Table(Worker)), Key("The workers.")] = Field(default_factory=dict)
    coordinator_vector_stores: Annotated[tuple[str, ...], Key("Stores the coordinator may search.")] = ()
    default_vector_stores: Annotated[tuple[str, ...] | None, Key("Stores the generic worker may search.")] = None
    allow_direct_answers: Annotated[bool, Key("Whether the coordinator may answer without a plan.")] = True
    allow_clarification: Annotated[bool, Key("Whether the coordinator may ask back.")] = True
    tools_in_planning: Annotated[
        Literal["none", "summary", "full"],
        Key("How the planning prompt shows the workers' tools; display only."),
    ] = "summary"
    max_tools_per_worker: Annotated[int, Key("Tools listed per worker while planning; display only.")] = 10
    duplicate_call_nudge_threshold: Annotated[
        int, Key("Identical calls with identical output before guidance is appended; 0 is off.")
    ] = 3
    duplicate_call_block_threshold: Annotated[int, Key("The same before the task is escalated; 0 is off.")] = 5
    max_parallel_tasks: Annotated[int, Key("Tasks that run at once; 0 is no limit.")] = 8
    schedule: Annotated[
        Literal["eager", "waves"],
        Key("`eager` starts a task when its own dependencies are done, `waves` keeps a barrier."),
    ] = "eager"
    prompts: Annotated[
        Mapping[str, Path], PromptFiles(), Key("Prompt name to a Jinja2 file that replaces the built-in prompt.")
    ] = Field(default_factory=dict)
    timeouts: Annotated[OrchestrationTimeouts, Key("Time limits.")] = OrchestrationTimeouts()
    artifacts: Annotated[Artifacts, Key("What is kept on disk.")] = Artifacts()

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
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
        nudge = cls.value(tree, "duplicate_call_nudge_threshold")
        block = cls.value(tree, "duplicate_call_block_threshold")
        if 0 < block <= nudge:
            (at / "duplicate_call_block_threshold").warn(
                "WARN-OR03",
                f"`duplicate_call_block_threshold` {block} is not above `duplicate_call_nudge_threshold` {nudge}:"
                " a task is blocked before it was warned",
                "make the block threshold the larger one",
            )
