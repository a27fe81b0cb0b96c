"""MCP servers of our own, real processes over real transports: ``python -m tests.servers.<name>``."""
