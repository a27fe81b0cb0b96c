"""Names that an agent's built-in tools hold."""

from __future__ import annotations

from aura_py.config.models import AgentConfig

_FILESYSTEM = frozenset({"read_file", "list_directory"})
_SCRATCHPAD = frozenset(
    {"head", "slice", "grep", "schema", "item_schema", "get_in", "iterate_over", "read", "list_files"}
)
_SKILLS = frozenset({"load_skill", "read_skill_file"})
_ORCHESTRATION = frozenset(
    {
        *("create_plan", "respond_directly", "request_clarification", "list_tools", "inspect_tool_params"),
        *("read_artifact", "list_prior_runs", "submit_result", "wait_for"),
    }
)


def reserved_names(config: AgentConfig) -> frozenset[str]:
    """Names of the built-in tools that this file switches on; an MCP tool of such a name gets its server's prefix.

    Names of features that are off stay free, so that filters written for them keep their meaning.
    """
    names: frozenset[str] = frozenset()
    if config.tools.filesystem:
        names |= _FILESYSTEM
    workers = config.orchestration.worker.values() if config.orchestrated else ()
    scratchpads = (config.agent.scratchpad, *(worker.scratchpad for worker in workers))
    if any(scratchpad is not None and scratchpad.enabled for scratchpad in scratchpads):
        names |= _SCRATCHPAD
    names |= {f"vector_search_{store.name}" for store in config.vector_stores}
    if any(owner.skills is not None and owner.skills.local for owner in (config.agent, *workers)):
        names |= _SKILLS
    if config.orchestrated:
        names |= _ORCHESTRATION
    return names
