"""Agent files for the tests of this room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aura_py.config import AgentConfig, Diagnostic, InvalidConfiguration, load
from aura_py.config.settings import ServerSettings

AGENT = '[agent]\nname = "Helper"\nsystem_prompt = "Help."\n'
LLM = '[agent.llm]\nprovider = "ollama"\nmodel = "qwen3:8b"\n'
MINIMAL = AGENT + LLM


def write(text: str | bytes, path: Path | None = None) -> Path:
    """The text as a file of the working directory that only its owner may read."""
    path = path or Path("agent.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def agent(
    text: str | bytes,
    *,
    env: Mapping[str, str] | None = None,
    strict: bool | None = None,
    settings: ServerSettings | None = None,
) -> AgentConfig:
    return load(write(text), env=env or {}, strict=strict, settings=settings).agents[0]


def found(
    text: str | bytes,
    *,
    env: Mapping[str, str] | None = None,
    strict: bool | None = None,
    settings: ServerSettings | None = None,
) -> tuple[Diagnostic, ...]:
    """Everything that loading has to say, whether or not it succeeds."""
    return found_at(write(text), env=env, strict=strict, settings=settings)


def found_at(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    strict: bool | None = None,
    settings: ServerSettings | None = None,
    default_agent: str | None = None,
) -> tuple[Diagnostic, ...]:
    try:
        loaded = load(path, env=env or {}, strict=strict, settings=settings, default_agent=default_agent)
    except InvalidConfiguration as error:
        return error.diagnostics
    return loaded.warnings


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    return [each.code for each in diagnostics]


def only(diagnostics: tuple[Diagnostic, ...]) -> Diagnostic:
    assert len(diagnostics) == 1, diagnostics
    return diagnostics[0]


def toml(tree: Mapping[str, Any]) -> str:
    """A tree as TOML, tables inline."""
    return "".join(f"{_inline(key)} = {_inline(value)}\n" for key, value in tree.items())


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_inline(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def tree() -> dict[str, Any]:
    """An agent that uses every table, to be bent."""
    openai = {"provider": "openai", "model": "m", "api_key": "{{ env.KEY }}", "context_window": 1000}
    return {
        "memory_dir": "memory",
        "agent": {
            "name": "Helper",
            "system_prompt": "Help.",
            "llm": dict(openai),
            "scratchpad": {"enabled": False},
        },
        "mcp": {
            "servers": {
                "files": {"transport": "stdio", "cmd": ["files"], "scratchpad": {"*": {"min_tokens": 10}}},
                "web": {"transport": "http_streamable", "url": "https://example.org/mcp"},
                "old": {"transport": "sse", "url": "https://example.org/sse"},
            }
        },
        "vector_stores": [
            {
                "name": "books",
                "type": "qdrant",
                "url": "http://localhost:6334",
                "collection_name": "books",
                "embedding_model": {"provider": "openai", "model": "e", "api_key": "{{ env.KEY }}"},
            },
            {"name": "notes", "type": "bedrock_kb", "knowledge_base_id": "KB", "region": "eu-central-1"},
        ],
        "tools": {"filesystem": False},
        "hitl": {"require_approval": ["delete_*"], "route": {"mode": "conversational"}},
        "orchestration": {
            "enabled": True,
            "coordinator_vector_stores": ["notes"],
            "timeouts": {"per_call_timeout_secs": 600, "stream_inactivity_timeout_secs": 60},
            "artifacts": {"max_session_runs": 3},
            "worker": {
                "reader": {
                    "description": "reads",
                    "preamble": "Read.",
                    "vector_stores": ["books"],
                    "llm": dict(openai),
                    "scratchpad": {},
                }
            },
        },
    }


ENV = {"KEY": "sk-0123456789"}


def bent(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The full tree with one value set."""
    root = tree()
    at: Any = root
    for step in path[:-1]:
        at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
    at[path[-1]] = value
    return root
