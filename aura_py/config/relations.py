"""What must hold between tables of one file, and what is folded together before the model is built."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from aura_py.config.file_report import Location, display
from aura_py.config.models.approvals import ConversationalRoute, WebhookRoute
from aura_py.config.models.orchestration import OrchestrationTimeouts
from aura_py.config.tables import Section, Tree

if TYPE_CHECKING:
    from aura_py.config.settings import ServerSettings

UNBUILT = {"hitl": "approval of tool calls"}
"""Top-level tables of features that are not built yet: refused at load, never accepted and ignored."""
_SHOWN_STORES = 20


def fold(tree: Tree) -> None:
    """The memory directory over its legacy places, and the workers' scratchpads over the agent's."""
    orchestration: Tree = tree.get("orchestration", {})
    legacy = orchestration.get("artifacts", {}).get("memory_dir")
    if "memory_dir" not in tree and legacy is not None:
        tree["memory_dir"] = legacy
    inherited = tree.get("agent", {}).get("scratchpad", {})
    for worker in orchestration.get("worker", {}).values():
        effective = {**inherited, **worker.get("scratchpad", {})}
        if effective:
            worker["scratchpad"] = effective


def check(tree: Tree, root: Location, *, settings: ServerSettings | None, signed: bool) -> None:
    """Cross-field rules and warnings of one file, on what could be read of it."""
    _scratchpads(tree, root)
    _stores(tree, root)
    _agent(tree, root)
    _timeouts(tree, root, settings)
    _webhook(tree, root, signed=signed)
    _secrets(root)
    for table, feature in UNBUILT.items():
        if tree.get(table):
            fix = "remove it from the file until Aura supports it"
            (root / table).error("CFG-N01", f"{feature} is not built yet", fix)


def agent_tables(tree: Tree, root: Location) -> Iterator[tuple[Location, Tree]]:
    """The table of the agent, and those of its workers when there is a coordinator for them."""
    if "agent" in tree:
        yield root / "agent", tree["agent"]
    orchestration: Tree = tree.get("orchestration", {})
    if orchestration.get("enabled"):
        for name, worker in orchestration.get("worker", {}).items():
            yield root / "orchestration" / "worker" / name, worker


def llm_tables(tree: Tree, root: Location) -> Iterator[tuple[Location, Tree]]:
    """Every model table that the file puts to use."""
    for at, table in agent_tables(tree, root):
        if "llm" in table:
            yield at / "llm", table["llm"]
            for index, fallback in enumerate(table["llm"].get("fallback", ())):
                yield at / "llm" / "fallback" / index, fallback


# --- scratchpad -----------------------------------------------------------------------------------------------


def _scratchpads(tree: Tree, root: Location) -> None:
    agent: Tree = tree.get("agent", {})
    agent_enabled = bool(agent.get("scratchpad", {}).get("enabled"))
    has_memory = "memory_dir" in tree or root.file.failed_below(("memory_dir",))
    if agent_enabled:
        at = root / "agent"
        _needs_memory(at / "scratchpad" / "enabled", "[agent.scratchpad]", has_memory)
        if "llm" in agent and "context_window" not in agent["llm"]:
            _needs_window(at / "llm", "CFG-P02", "the agent", "[agent.llm]", "[agent.scratchpad]")
    for name, worker in _workers(tree):
        if not worker.get("scratchpad", {}).get("enabled"):
            continue
        at = root / "orchestration" / "worker" / name
        table = f"[orchestration.worker.{display(name)}.scratchpad]"
        if not agent_enabled:
            _needs_memory(at / "scratchpad" / "enabled", table, has_memory)
        own = "llm" in worker
        llm = worker.get("llm") or agent.get("llm")
        if llm is not None and "context_window" not in llm and (own or not agent_enabled):
            place = f"[orchestration.worker.{display(name)}.llm]" if own else "[agent.llm]"
            _needs_window(at / "llm", "CFG-P03", f"worker '{display(name)}'", place, table)


def _needs_memory(at: Location, table: str, has_memory: bool) -> None:
    if not has_memory:
        at.error(
            "CFG-P01",
            f"the scratchpad is enabled in {table} but there is no memory_dir to keep its files in",
            'add `memory_dir = "/var/lib/aura"` at the top level of the file',
        )


def _needs_window(at: Location, code: str, who: str, place: str, table: str) -> None:
    if at.file.failed_below((*at.path, "context_window")):
        return
    (at / "context_window").error(
        code,
        f"scratchpad is enabled for {who} but its LLM in {place} has no context_window",
        f"add context_window (tokens) to {place}, or set\n{table} enabled = false",
    )


def _workers(tree: Tree) -> list[tuple[str, Tree]]:
    """The workers that run: none without a coordinator."""
    orchestration: Tree = tree.get("orchestration", {})
    return list(orchestration.get("worker", {}).items()) if orchestration.get("enabled") else []


# --- vector stores --------------------------------------------------------------------------------------


def _stores(tree: Tree, root: Location) -> None:
    if root.file.failed_below(("vector_stores",)):
        return
    defined = {store["name"]: index for index, store in enumerate(tree.get("vector_stores", ())) if "name" in store}
    orchestration: Tree = tree.get("orchestration", {})
    at = root / "orchestration"
    used: set[str] = set()
    for key in ("coordinator_vector_stores", "default_vector_stores"):
        used |= _references(orchestration.get(key, ()), at / key, defined)
    workers: Tree = orchestration.get("worker", {})
    for name, worker in workers.items():
        used |= _references(worker.get("vector_stores", ()), at / "worker" / name / "vector_stores", defined)
    if orchestration.get("enabled") and workers:
        for name, index in defined.items():
            if name not in used:
                (root / "vector_stores" / index).warn(
                    "WARN-VS02",
                    f"nobody may search the vector store `{display(name)}`",
                    "name it in a worker's `vector_stores` or in `coordinator_vector_stores`",
                )


def _references(names: tuple[str, ...], at: Location, defined: Collection[str]) -> set[str]:
    for index, name in enumerate(names):
        if name not in defined:
            known = ", ".join(f"`{display(each)}`" for each in islice(defined, _SHOWN_STORES)) or "none"
            known += ", …" if len(defined) > _SHOWN_STORES else ""
            (at / index).error(
                "CFG-R05",
                f"`{at.key}` names the vector store `{display(name)}`, which is not defined (defined: {known})",
                "define it in `[[vector_stores]]` or correct the name",
            )
    return set(names)


# --- agent ---------------------------------------------------------------------------------------------------------


def _agent(tree: Tree, root: Location) -> None:
    agent: Tree = tree.get("agent", {})
    if agent.get("enable_client_tools") and tree.get("orchestration", {}).get("enabled"):
        (root / "agent" / "enable_client_tools").warn(
            "WARN-AG03", "client tools are never offered in an orchestration", "remove `enable_client_tools`"
        )
    if agent.get("request_overrides") and tree.get("orchestration", {}).get("enabled"):
        (root / "agent" / "request_overrides").warn(
            "WARN-AG04",
            "an orchestration takes no parameters of a request: what is listed here is ignored",
            "remove `request_overrides`",
        )
    if not tree.get("mcp", {}).get("servers"):
        for at, llm in llm_tables(tree, root):
            if llm.get("fallback_tool_parsing"):
                (at / "fallback_tool_parsing").warn(
                    "WARN-LLM03",
                    "`fallback_tool_parsing` looks for tool calls, but the file has no MCP server",
                    "add a server or remove the key",
                )


# --- timeouts ------------------------------------------------------------------------------------------------


def _timeouts(tree: Tree, root: Location, settings: ServerSettings | None) -> None:
    """Limits of an orchestration that can never take effect, or that cut off something longer."""
    orchestration: Tree = tree.get("orchestration", {})
    if not orchestration.get("enabled") or root.file.failed_below(("orchestration", "timeouts")):
        return
    timeouts: Tree = orchestration.get("timeouts", {})
    per_call = OrchestrationTimeouts.value(timeouts, "per_call_timeout_secs")
    silence = OrchestrationTimeouts.value(timeouts, "stream_inactivity_timeout_secs")
    route: Tree = tree.get("hitl", {}).get("route", {})
    model: type[Section] = WebhookRoute if route.get("mode") == "webhook" else ConversationalRoute
    approval = model.value(route, "timeout_secs") if route else None
    at = root / "orchestration" / "timeouts"
    if per_call == 0 and silence == 0:
        at.warn(
            "WARN-TO01",
            "both timeouts are 0: a provider that hangs is bounded only by the server's streaming timeout",
            "set `per_call_timeout_secs` and `stream_inactivity_timeout_secs` in [orchestration.timeouts]",
        )
    if 0 < per_call <= silence:
        (at / "stream_inactivity_timeout_secs").warn(
            "WARN-TO02",
            f"the inactivity window of {silence} s can never fire within the per-call limit of {per_call} s",
            "set `stream_inactivity_timeout_secs` below `per_call_timeout_secs`",
        )
    if approval is not None and 0 < per_call <= approval:
        (root / "hitl" / "route" / "timeout_secs").warn(
            "WARN-TO03",
            f"an approval may take {approval} s but a worker's task is killed after {per_call} s, which looks like a"
            " failure of the provider",
            "raise `per_call_timeout_secs` or shorten the route's `timeout_secs`",
        )
    if settings is None:
        return
    whole, window = settings.streaming_timeout_secs, settings.stream_inactivity_timeout_secs
    if 0 < whole <= per_call:
        (at / "per_call_timeout_secs").warn(
            "WARN-TO04",
            f"one worker task may take {per_call} s but the whole request only {whole} s",
            "raise `STREAMING_TIMEOUT_SECS` or lower `per_call_timeout_secs`",
        )
    if window == 0:
        return
    if silence == 0 or window <= silence:
        (at / "stream_inactivity_timeout_secs").warn(
            "WARN-TO05",
            f"the server's inactivity window of {window} s does not exempt workers' tools and fires first",
            "set `stream_inactivity_timeout_secs` in [orchestration.timeouts] below it",
        )
    at.warn(
        "WARN-TO06",
        f"the server's inactivity window of {window} s does not pause during MCP calls of an orchestration",
        "use `stream_inactivity_timeout_secs` in [orchestration.timeouts] and set"
        " `STREAM_INACTIVITY_TIMEOUT_SECS` to 0",
    )
    if approval is not None and approval >= window:
        (root / "hitl" / "route" / "timeout_secs").warn(
            "WARN-TO07",
            f"an approval may take {approval} s but the server stops a silent stream after {window} s",
            "shorten the route's `timeout_secs` or set `STREAM_INACTIVITY_TIMEOUT_SECS` to 0",
        )


# --- approvals and secrets -----------------------------------------------------------------------------------------


def _webhook(tree: Tree, root: Location, *, signed: bool) -> None:
    route: Tree = tree.get("hitl", {}).get("route", {})
    if route.get("mode") != "webhook":
        return
    at = root / "hitl" / "route"
    if not signed:
        at.warn(
            "WARN-HI01",
            "webhook traffic is unsigned and unverified",
            "set `AURA_HITL_WEBHOOK_SECRET` to at least 32 bytes",
        )
    elif "url" in route and not route["url"].get_secret_value().startswith("https://"):
        (at / "url").error(
            "CFG-H05",
            "the webhook URL is plaintext http while `AURA_HITL_WEBHOOK_SECRET` is set",
            "use an https URL",
        )


def _secrets(root: Location) -> None:
    uses = root.file.uses
    for variable in uses.secrets.keys() & uses.prompts.keys():
        Location(root.file, uses.prompts[variable]).warn(
            "WARN-SEC01",
            f"`{variable}` is a credential in `{root.file.key(uses.secrets[variable])}` and is also put into the text"
            " that the model reads",
            "remove it from the prompt",
        )
    if uses.literals and _readable_by_others(root):
        for path in uses.literals:
            Location(root.file, path).warn(
                "WARN-SEC02",
                f"`{root.file.key(path)}` holds a literal secret and others on this machine may read the file",
                'use `"{{ env.NAME }}"`, or restrict the file with `chmod 600`',
            )


def _readable_by_others(root: Location) -> bool:
    try:
        return bool(root.file.file.stat().st_mode & 0o044)
    except OSError:
        return False
