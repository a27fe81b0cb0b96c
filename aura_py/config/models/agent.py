"""`[agent]`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from aura_py.config.file_report import Location
from aura_py.config.models.llm import LLM
from aura_py.config.models.scratchpad import ScratchpadSettings
from aura_py.config.models.skills import Skills
from aura_py.config.tables import Advice, Key, StrictSection, Tree
from aura_py.config.values import Globs, PromptText, Strings, Text

Overridable: TypeAlias = Literal[
    "temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "tool_choice", "reasoning_effort"
]

_EARLIEST_MS = 10**11


class AgentSection(StrictSection):
    """The agent; in an orchestration the coordinator and the defaults of its workers."""

    misplaced: ClassVar = {
        name: Advice(f"unknown key `{name}` in [agent]: model options moved", f"move `{name}` to `[agent.llm]`")
        for name in ("temperature", "max_tokens", "reasoning_effort", "context_window", "additional_params")
    }

    name: Annotated[
        str,
        Text(blank="refuse", blank_code="CFG-A02"),
        Key("Display name; the identifier when there is no alias.", example='`name = "Helper"`'),
    ]
    alias: Annotated[str | None, Key("Stable public identifier: the `model` that clients send.")] = None
    description: Annotated[str | None, Key("One line about the agent, shown in lists.")] = None
    system_prompt: Annotated[
        PromptText,
        Key(
            "System prompt; in an orchestration the coordinator's domain context.",
            example='`system_prompt = "You are helpful."`',
        ),
    ]
    context: Annotated[
        tuple[str, ...], Strings(Text(prompt=True)), Key("Further blocks appended to the system prompt.")
    ] = ()
    turn_depth: Annotated[int, Key("Rounds of tool calls per user turn; workers inherit it.")] = 5
    created_at: Annotated[
        int | None, Key("Milliseconds since the epoch, for `created` of the model list; absent: load time.")
    ] = None
    model_owner: Annotated[str | None, Key("`owned_by` of the model list; absent: the provider.")] = None
    mcp_filter: Annotated[Globs | None, Key("MCP tools the agent may use: absent is all, `[]` is none.")] = None
    enable_client_tools: Annotated[bool, Key("Offer the tools of a request to the model; single agents only.")] = False
    client_tool_filter: Annotated[Globs | None, Key("Which client tools: absent or `[]` is all.")] = None
    llm: Annotated[
        LLM,
        Key(
            "The model.",
            example='`[agent.llm]` with `provider = "openai"`, `model = "…"` and'
            ' `api_key = "{{ env.OPENAI_API_KEY }}"`',
            missing_code="CFG-L01",
            missing_message="`[agent.llm]` is missing: the agent has no model",
        ),
    ]
    scratchpad: Annotated[ScratchpadSettings, Key("Parking of large tool outputs.")] = ScratchpadSettings()
    hidden: Annotated[bool, Key("Leave the agent out of lists; it is still callable by its exact id.")] = False
    skills: Annotated[Skills | None, Key("Skills of the agent.")] = None
    nudge_last_turn: Annotated[
        bool | None, Key("On the last turn ask for the answer; absent: off, for workers on.")
    ] = None
    nudge_turns_remaining: Annotated[int | None, Key("Ask to wrap up when this many turns or fewer remain.")] = None
    request_overrides: Annotated[
        tuple[Overridable, ...],
        Key("Request parameters that may replace the ones of this file; others are ignored."),
    ] = ()
    emit_reasoning: Annotated[bool, Key("Show the model's reasoning to clients.")] = True
    side_requests: Annotated[
        Literal["model", "agent", "refuse"],
        Key("Who answers the titles, tags and follow-ups that chat clients ask for."),
    ] = "model"
    session_turns: Annotated[
        Literal["queue", "reject", "interrupt"],
        Key(
            "A request in a session whose last turn still runs waits (`queue`), gets 409 (`reject`), or stops it"
            " (`interrupt`)."
        ),
    ] = "queue"
    on_disconnect: Annotated[
        Literal["cancel", "continue"],
        Key("Whether a run ends with its client's connection, or goes on for a request that repeats it."),
    ] = "cancel"
    images: Annotated[
        Literal["auto", "note", "refuse"],
        Key(
            "Images go to the model where its provider carries them (`auto`), are replaced by a text (`note`), or"
            " refused with 400 (`refuse`)."
        ),
    ] = "auto"
    reasoning_field: Annotated[
        Literal["reasoning_content", "reasoning"],
        Key("Name of the field that carries reasoning in chat completions."),
    ] = "reasoning_content"
    show_progress: Annotated[bool, Key("Show tools and workers in chat streams, as short lines of reasoning.")] = False

    @classmethod
    def check(cls, tree: Tree, at: Location) -> None:
        prompt = tree.get("system_prompt")
        if prompt is not None and not prompt.strip():
            (at / "system_prompt").warn("WARN-AG01", "`system_prompt` is empty", "tell the agent what it is for")
        created = tree.get("created_at")
        if created is not None and created < _EARLIEST_MS:
            (at / "created_at").warn(
                "WARN-AG02", f"`created_at` {created} looks like seconds; it is milliseconds", f"write {created * 1000}"
            )
