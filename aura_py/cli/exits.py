"""Exit statuses of every command."""

from __future__ import annotations

OK = 0
FAILED = 1
"""The run failed, or the configuration cannot be used."""
USAGE = 2
"""The command line, or a variable that stands for a flag, is wrong."""
PARTIAL = 3
"""The answer on stdout is incomplete: it broke off, or was cut by a limit."""
TIMEOUT = 124
INTERRUPTED = 130
TERMINATED = 143
