"""MCP: connections to tool servers, pooled for the life of the process."""

from aura_py.mcp.attachment import McpAttachment
from aura_py.mcp.pool import McpPool

__all__ = ["McpAttachment", "McpPool"]
