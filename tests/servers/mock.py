"""A server for most tests: echoes, progress, slowness, failure, and a record of cancellations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.servers.serving import serve

tasks: dict[str, str] = {}
cancellations: dict[str, str] = {}
_reasons: dict[str, str] = {}


async def remember_reasons(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    if ctx.method == "notifications/cancelled" and ctx.params:
        _reasons[str(ctx.params.get("requestId"))] = str(ctx.params.get("reason"))
    return await call_next(ctx)


server = MCPServer("mock", version="1.0", log_level="WARNING", middleware=[remember_reasons])


@server.tool()
def mock_tool(message: str) -> str:
    """Echoes a message."""
    return f"Mock tool received: {message}"


@server.tool()
def open_ticket(path: str) -> str:
    """Writes a line: a side effect that can be counted."""
    with Path(path).open("a") as file:
        file.write("ticket\n")
    return "opened"


@server.tool()
def list_files(path: str) -> list[str]:
    """Names in a directory."""
    return sorted(entry.name for entry in Path(path).iterdir())


@server.tool()
def echo_headers(context: Context) -> dict[str, str]:
    """The HTTP headers of this call."""
    return {name.lower(): value for name, value in (context.headers or {}).items()}


@server.tool()
def process_id() -> int:
    """The server's process."""
    return os.getpid()


@server.tool()
def chain_tool(steps: int) -> str:
    """Says how many steps are left."""
    return "done" if steps <= 0 else f"{steps} steps left: call chain_tool with steps={steps - 1}"


@server.tool()
def list_metrics() -> list[str]:
    """Names of metrics, as wrapped structured content."""
    return ["cpu.user", "cpu.system", "memory.used"]


@server.tool()
async def task_with_progress(context: Context, duration_seconds: float = 0.1, steps: int = 4) -> str:
    """Reports progress once per step."""
    for step in range(1, steps + 1):
        await anyio.sleep(duration_seconds / steps)
        await context.report_progress(step, steps, f"step {step} of {steps}")
    return f"finished after {steps} updates"


@server.tool()
def failing_tool(error_message: str) -> str:
    """Fails with the given message."""
    raise ToolError(error_message)


@server.tool()
def big_text(size: int) -> str:
    """A text of ``size`` characters."""
    return "x" * size


@server.tool()
async def slow_task(context: Context, task_id: str, duration_seconds: float) -> str:
    """Sleeps; its fate is kept under ``task_id``."""
    tasks[task_id] = "started"
    try:
        await anyio.sleep(duration_seconds)
    except anyio.get_cancelled_exc_class():
        tasks[task_id] = "cancelled"
        cancellations[task_id] = str(context.request_id)
        raise
    tasks[task_id] = "completed"
    return f"task {task_id} is complete"


def reason_of(task_id: str) -> str | None:
    return _reasons.get(cancellations.get(task_id, ""))


@server.tool()
def fate(task_id: str) -> dict[str, str]:
    """What became of a slow task, for servers that are reached over stdio."""
    return {"status": tasks.get(task_id, "unknown"), "reason": reason_of(task_id) or ""}


@server.tool()
def die() -> str:
    """Ends the process in the middle of the call."""
    os._exit(3)


@server.custom_route("/tasks", methods=["GET", "DELETE"])  # type: ignore[untyped-decorator]
async def task_status(request: Request) -> JSONResponse:
    task_id = request.query_params["id"]
    if request.method == "DELETE":
        tasks.pop(task_id, None)
    return JSONResponse({"id": task_id, "status": tasks.get(task_id, "unknown")})


@server.custom_route("/cancellations", methods=["GET", "DELETE"])  # type: ignore[untyped-decorator]
async def cancellation(request: Request) -> JSONResponse:
    task_id = request.query_params["id"]
    if request.method == "DELETE":
        cancellations.pop(task_id, None)
    return JSONResponse({"id": task_id, "cancelled": task_id in cancellations, "reason": reason_of(task_id)})


if __name__ == "__main__":
    serve(server)
