"""``GET /aura/info``: agents, workers and MCP servers, free of credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from aura_py.config.models import AgentConfig, McpServer, StdioServer, VectorStore
from aura_py.config.skills import discover as discover_skills
from aura_py.errors import RequestError
from aura_py.messages import JsonObject
from aura_py.run.catalog import ServedAgent
from aura_py.run.services import Services
from aura_py.server.headers import forwarded_headers, forwarded_names
from aura_py.server.state import principal_of, state_of
from aura_py.server.wire_json import to_json

DISCOVERY_SECONDS: Final = 30.0
_TOKENS: Final = ("tools", "tools:summary")


async def info(request: Request) -> Response:
    """Introspection. ``detail=tools`` asks the servers, with the caller's own headers."""
    state = state_of(request)
    detail = _detail(request.query_params.get("detail", ""))
    visible = state.visible(principal_of(request))
    tools: dict[str, Mapping[str, tuple[JsonObject, ...]]] = {}
    if detail is not None:

        async def discover(served: ServedAgent, headers: Mapping[str, str]) -> None:
            mcp = served.config.mcp
            found = await state.services.mcp.probe(
                mcp.servers, headers=headers, sanitize=mcp.sanitize_schemas, seconds=DISCOVERY_SECONDS
            )
            tools[served.id] = {i.status.server_name: i.tools for i in found if i.tools is not None}

        headers = {each.id: forwarded_headers(request.headers, forwarded_names(each.config)) for each in visible}
        async with anyio.create_task_group() as tasks:
            for served in visible:
                if served.config.mcp.servers:
                    tasks.start_soon(discover, served, headers[served.id])
    body: dict[str, object] = {}
    if state.settings.default_agent and principal_of(request).may_ask(state.settings.default_agent):
        body["default_agent"] = state.settings.default_agent
    if state.siblings is not None:
        body["process"] = {"index": state.siblings.index, "count": state.siblings.count}
    agents = [_agent(served, tools.get(served.id, {}), summary=detail == "tools:summary") for served in visible]
    for served, agent in zip(visible, agents, strict=True):
        if (skills := served.config.agent.skills) is not None and skills.local:
            sources = [each.source for each in skills.local]
            agent |= await anyio.to_thread.run_sync(_skills, sources)
        if served.config.vector_stores:
            agent["vector_stores"] = [
                _store(state.services, served.config, store) for store in served.config.vector_stores
            ]
    body["agents"] = agents
    return Response(to_json(body), media_type="application/json")


def _detail(query: str) -> str | None:
    tokens = {token.strip() for token in query.split(",")} - {""}
    unknown = sorted(tokens.difference(_TOKENS))
    if unknown:
        raise RequestError(
            f"`detail` does not know `{unknown[0][:64]}`; it accepts `tools` and `tools:summary`.", param="detail"
        )
    return next((token for token in _TOKENS if token in tokens), None)


def _agent(served: ServedAgent, tools: Mapping[str, tuple[JsonObject, ...]], *, summary: bool) -> dict[str, object]:
    config = served.config
    agent: dict[str, object] = {"id": served.id}
    if config.agent.description is not None:
        agent["description"] = config.agent.description
    agent["model"] = config.agent.llm.model
    if config.orchestrated and config.orchestration.worker:
        agent["workers"] = _workers(served)
    agent["mcp_servers"] = {
        name: _server(server, tools.get(name), summary=summary) for name, server in sorted(config.mcp.servers.items())
    }
    return agent


def _store(services: Services, config: AgentConfig, store: VectorStore) -> dict[str, object]:
    """``state`` is closed, indexing, ready or failed; the log says why it failed."""
    entry: dict[str, object] = {"name": store.name, "type": store.type}
    if store.context_prefix is not None:
        entry["description"] = store.context_prefix
    base = services.knowledge.get(config, store.name) if services.knowledge is not None else None
    if base is not None:
        entry["state"] = base.state
        if base.progress is not None:
            entry["documents"] = {"found": base.progress.documents, "done": base.progress.done}
    return entry


def _skills(sources: Sequence[Path]) -> dict[str, object]:
    """What is there now; paths on this machine are not told."""
    found, problems = discover_skills(sources)
    broken = sorted({each.skill for each in problems if each.skill})
    return {
        "skills": [{"name": each.name, "description": each.description} for each in found],
        **({"broken_skills": broken} if broken else {}),
    }


def _workers(served: ServedAgent) -> list[dict[str, object]]:
    own = served.config.agent.llm.model
    workers: list[dict[str, object]] = []
    for name, worker in sorted(served.config.orchestration.worker.items()):
        entry: dict[str, object] = {"name": name, "description": worker.description}
        if worker.llm is not None and worker.llm.model != own:
            entry["model"] = worker.llm.model
        workers.append(entry)
    return workers


def _server(server: McpServer, tools: tuple[JsonObject, ...] | None, *, summary: bool) -> dict[str, object]:
    entry: dict[str, object] = {"transport": server.transport}
    if isinstance(server, StdioServer):
        entry["command"] = base_name(server.cmd[0] if server.cmd else "")
    else:
        entry["url"] = origin(server.url.get_secret_value())
    if server.description is not None:
        entry["description"] = server.description
    if tools is not None:
        entry["tools"] = [_summary(tool) if summary else _full(tool) for tool in tools]
    return entry


def _summary(tool: JsonObject) -> dict[str, object]:
    return {key: tool[key] for key in ("name", "description") if tool.get(key) is not None}


def _full(tool: JsonObject) -> dict[str, object]:
    return {key: value for key, value in tool.items() if value is not None and key != "icons"}


def origin(url: str) -> str:
    """``scheme://host[:port]``: no path, query, user or password; ``<invalid url>`` when there is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "<invalid url>"
    if not parts.scheme or not host:
        return "<invalid url>"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def base_name(command: str) -> str:
    """The executable without its directories."""
    name = re.split(r"[/\\]", command)[-1]
    return "<unknown>" if name in ("", ".", "..") else name
