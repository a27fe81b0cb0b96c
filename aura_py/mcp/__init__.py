"""MCP: connections to tool servers, pooled for the life of the process."""

from aura_py.mcp.attachment import McpAttachment
from aura_py.mcp.pool import McpPool
from aura_py.mcp.schemas import sanitize_schema

__all__ = ["McpAttachment", "McpPool", "sanitize_schema"]
