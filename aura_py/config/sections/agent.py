"""`[agent]` (``config.md`` §7)."""

from __future__ import annotations

from typing import get_args

from aura_py.config import models
from aura_py.config.numbers import Flag, Whole
from aura_py.config.problems import At
from aura_py.config.sections.llm import LLM
from aura_py.config.sections.scratchpad import SCRATCHPAD
from aura_py.config.sections.skills import SKILLS
from aura_py.config.tables import Advice, Key, Shape, Table, Tree
from aura_py.config.values import Choice, GlobText, Strings, Text

_EARLIEST_MS = 10**11
_MOVED = ("temperature", "max_tokens", "reasoning_effort", "context_window", "additional_params")


def _check(tree: Tree, at: At) -> None:
    prompt = tree.get("system_prompt")
    if prompt is not None and not prompt.strip():
        (at / "system_prompt").warn("WARN-AG01", "`system_prompt` is empty", "tell the agent what it is for")
    created = tree.get("created_at")
    if created is not None and created < _EARLIEST_MS:
        (at / "created_at").warn(
            "WARN-AG02", f"`created_at` {created} looks like seconds; it is milliseconds", f"write {created * 1000}"
        )


def _words(key: str) -> Choice:
    return Choice(get_args(models.AgentSection.model_fields[key].annotation))


AGENT = Table(
    Shape(
        models.AgentSection,
        {
            "name": Key(
                Text(blank="refuse", blank_code="CFG-A02"),
                "Display name; the identifier when there is no alias.",
                True,
                '`name = "Helper"`',
            ),
            "alias": Key(Text(blank="absent"), "Stable public identifier: the `model` that clients send."),
            "description": Key(Text(blank="absent"), "One line about the agent, shown in lists."),
            "system_prompt": Key(
                Text(prompt=True),
                "System prompt; in an orchestration the coordinator's domain context.",
                True,
                '`system_prompt = "You are helpful."`',
            ),
            "context": Key(Strings(Text(prompt=True)), "Further blocks appended to the system prompt."),
            "turn_depth": Key(Whole(), "Rounds of tool calls per user turn; workers inherit it."),
            "created_at": Key(
                Whole(), "Milliseconds since the epoch, for `created` of the model list; absent: load time."
            ),
            "model_owner": Key(Text(blank="absent"), "`owned_by` of the model list; absent: the provider."),
            "mcp_filter": Key(Strings(GlobText()), "MCP tools the agent may use: absent is all, `[]` is none."),
            "enable_client_tools": Key(Flag(), "Offer the tools of a request to the model; single agents only."),
            "client_tool_filter": Key(Strings(GlobText()), "Which client tools: absent or `[]` is all."),
            "llm": Key(
                LLM,
                "The model.",
                True,
                '`[agent.llm]` with `provider = "openai"`, `model = "…"` and `api_key = "{{ env.OPENAI_API_KEY }}"`',
                "CFG-L01",
                "`[agent.llm]` is missing: the agent has no model",
            ),
            "scratchpad": Key(SCRATCHPAD, "Parking of large tool outputs."),
            "hidden": Key(Flag(), "Leave the agent out of lists; it is still callable by its exact id."),
            "skills": Key(SKILLS, "Skills of the agent."),
            "nudge_last_turn": Key(Flag(), "On the last turn ask for the answer; absent: off, for workers on."),
            "nudge_turns_remaining": Key(Whole(), "Ask to wrap up when this many turns or fewer remain."),
            "request_overrides": Key(
                Strings(Choice(get_args(models.Overridable))),
                "Request parameters that may replace the ones of this file; others are ignored.",
            ),
            "emit_reasoning": Key(Flag(), "Show the model's reasoning to clients."),
            "side_requests": Key(
                _words("side_requests"),
                "Who answers the titles, tags and follow-ups that chat clients ask for.",
            ),
            "session_turns": Key(
                _words("session_turns"),
                "A request in a session whose last turn still runs waits (`queue`), gets 409 (`reject`), or stops it"
                " (`interrupt`).",
            ),
            "on_disconnect": Key(
                _words("on_disconnect"),
                "Whether a run ends with its client's connection, or goes on for a request that repeats it.",
            ),
            "images": Key(
                _words("images"),
                "Images go to the model where its provider carries them (`auto`), are replaced by a text (`note`), or"
                " refused with 400 (`refuse`).",
            ),
            "reasoning_field": Key(
                _words("reasoning_field"), "Name of the field that carries reasoning in chat completions."
            ),
            "show_progress": Key(Flag(), "Show tools and workers in chat streams, as short lines of reasoning."),
        },
        "The agent; in an orchestration the coordinator and the defaults of its workers.",
        strict=True,
        misplaced={
            name: Advice(f"unknown key `{name}` in [agent]: model options moved", f"move `{name}` to `[agent.llm]`")
            for name in _MOVED
        },
        check=_check,
    )
)
