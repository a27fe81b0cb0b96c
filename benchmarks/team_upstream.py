"""A fake OpenAI server for a team: the coordinator gets a plan of six tasks and then an answer, workers a result.

Whom a request is from shows in the tools that it offers. Before each answer it is silent for a given time.
"""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.tool_upstream import content_length, response

_TASKS = [{"type": "task", "task": f"Do part {n} of the work.", "worker": "hand"} for n in range(6)]
_PLAN = {
    "goal": "Do the work",
    "steps": [{"type": "parallel", "items": _TASKS[:5]}, _TASKS[5]],
    "routing_rationale": "It has parts.",
    "planning_summary": "Five parts, then the last.",
}


def _call(name: str, arguments: object) -> bytes:
    function = {"name": name, "arguments": json.dumps(arguments)}
    delta = {
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": f"call_{name}", "type": "function", "function": function}],
    }
    return response(delta, finish="tool_calls")


_CREATE = _call("create_plan", _PLAN)
_ANSWER = _call("respond_directly", {"response": "All done.", "routing_rationale": "The parts are done."})
_SUBMIT = _call(
    "submit_result", {"summary": "done", "result": "The part is done: 42 units were found.", "confidence": "high"}
)


async def main(port: int, seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(content_length(head))
                await asyncio.sleep(seconds)
                if b'"name":"submit_result"' in body:
                    writer.write(_SUBMIT)
                else:
                    writer.write(_ANSWER if b"call_create_plan" in body or b"42 units" in body else _CREATE)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # the client hung up: the normal end of a connection

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
