"""Asks one Aura server through one Python client and prints what the client made of the answer as JSON.

Usage: python clients.py CLIENT BASE_URL MODEL QUESTION...

Each question is a turn of one conversation. ``calls`` are tools that the client was asked to run itself; every client
offers one, ``read_file``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
calls: list[str] = []


def read_file(path: str) -> str:
    """Reads a file."""
    calls.append(path)
    return "port=9000"


async def openai_sdk(base_url: str, model: str, questions: list[str]) -> str:
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key="none", max_retries=0)
    items: list[Any] = []
    text = ""
    for question in questions:
        items.append({"role": "user", "content": question})
        with client.responses.stream(
            model=model,
            input=items,
            tools=[{"type": "function", "name": "read_file", "parameters": PARAMETERS, "strict": True}],
        ) as stream:
            for _ in stream:
                pass
            final = stream.get_final_response()
        text = final.output_text
        calls.extend(item.arguments for item in final.output if item.type == "function_call")
        items += [item.to_dict() for item in final.output]
    return text


async def openai_agents(base_url: str, model: str, questions: list[str]) -> str:
    from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)
    agent = Agent(
        name="caller",
        model=OpenAIResponsesModel(model=model, openai_client=client),
        tools=[function_tool(read_file)],
    )
    items: list[Any] = []
    text = ""
    for question in questions:
        result = Runner.run_streamed(agent, [*items, {"role": "user", "content": question}])
        async for _ in result.stream_events():
            pass
        items = result.to_input_list()
        text = str(result.final_output)
    return text


async def langchain(base_url: str, model: str, questions: list[str]) -> str:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(
        model=model, base_url=base_url, api_key="none", max_retries=0, use_responses_api=True, streaming=True
    ).bind_tools([tool(read_file)])
    messages: list[Any] = []
    text = ""
    for question in questions:
        messages.append(HumanMessage(question))
        while True:
            answer: Any = None
            async for chunk in chat.astream(messages):
                answer = chunk if answer is None else answer + chunk
            messages.append(answer)
            if not answer.tool_calls:
                break
            for call in answer.tool_calls:
                messages.append(ToolMessage(read_file(**call["args"]), tool_call_id=call["id"]))
        text = answer.text
    return text


async def pydantic_ai(base_url: str, model: str, questions: list[str]) -> str:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    agent = Agent(
        OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=base_url, api_key="none")), tools=[read_file]
    )

    async def consume(_context: object, events: Any) -> None:
        """With a handler the model's answers are streamed, and tools are run to the end."""
        async for _ in events:
            pass

    history: list[Any] = []
    text = ""
    for question in questions:
        result = await agent.run(question, message_history=history, event_stream_handler=consume)
        text, history = str(result.output), result.all_messages()
    return text


async def main() -> None:
    client, base_url, model, *questions = sys.argv[1:]
    ask = {"openai": openai_sdk, "openai-agents": openai_agents, "langchain": langchain, "pydantic-ai": pydantic_ai}
    text, error = "", None
    try:
        text = await ask[client](base_url, model, questions)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"text": text, "calls": calls, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
