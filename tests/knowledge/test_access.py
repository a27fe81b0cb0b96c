"""Stores in agents, workers and coordinators: who may search what, and what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from aura_py.agent.agent import Agent
from aura_py.agent.contract import Turn
from aura_py.config.models import AgentConfig
from aura_py.events import OrchestratorToolCompleted, RunFailed, RunFinished, ToolCompleted
from aura_py.knowledge import KnowledgeBase, KnowledgePool, search_tool
from aura_py.knowledge.embedder import Embedder
from aura_py.llm import build_model
from aura_py.mcp import McpPool
from aura_py.messages import ToolCall, user
from aura_py.orchestration import Orchestrator
from aura_py.run.engine import Engine
from aura_py.run.identity import new_context
from aura_py.tools.contract import ToolOutcome
from aura_py.tools.runner import ToolRunner
from aura_py.tools.toolset import Toolset
from tests.agent.scenario import call_context
from tests.agent.test_agent import config as agent_config
from tests.knowledge.conftest import embedded
from tests.knowledge.documents import WordVectors
from tests.orchestration.harness import Transcript, answer, call, config, coordinator, open_harness, plan, step, submit
from tests.orchestration.harness import worker as worker_rule

SEARCH = {"tool_calls": [{"name": "vector_search_notes", "arguments": {"query": "zebra"}}]}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.md").write_text(
            f"---\nnumber: {number}\n---\n# Zebra {number}\nA zebra {number} runs.\n"
        )
    return folder


def store(docs: Path, name: str = "notes", **keys: Any) -> dict[str, Any]:
    return {"name": name, "type": "in_memory", "sources": [str(docs)], **keys}


def with_stores(settings: AgentConfig, *stores: Mapping[str, Any]) -> AgentConfig:
    return AgentConfig.model_validate({**settings.model_dump(), "vector_stores": stores})


@asynccontextmanager
async def opened(settings: AgentConfig) -> AsyncIterator[dict[str, KnowledgeBase]]:
    pool = KnowledgePool()
    try:
        yield pool.stores(settings)
    finally:
        await pool.close()


async def ask(settings: AgentConfig) -> list[Any]:
    async with opened(settings) as stores, McpPool() as mcp, Engine() as engine:
        model = build_model(settings.agent.llm, agent=settings.id)
        agent = Agent(settings, model=model, mcp=mcp, knowledge=stores)
        run = engine.start(agent, Turn((user("go"),)), new_context(), agent=settings.id)
        return [event async for batch in run.events() for event in batch]


async def orchestrate(settings: AgentConfig) -> Transcript:
    async with opened(settings) as stores, open_harness() as harness:
        orchestrator: Orchestrator = harness.orchestrator(settings, knowledge=stores)
        return await harness.run(orchestrator)


async def search(base: KnowledgeBase, **arguments: object) -> ToolOutcome:
    tool = search_tool(base)
    runner = ToolRunner(Toolset([tool]))
    return await runner.run(ToolCall("c", tool.name, orjson.dumps(arguments).decode()), call_context())


async def test_an_agent_answers_with_a_passage_and_its_source(docs: Path) -> None:
    settings = with_stores(
        agent_config([{"after_tool": "vector_search_*", "say": "{{ result }}"}, SEARCH]), store(docs)
    )
    events = await ask(settings)
    assert isinstance(events[-1], RunFinished)
    assert "Result 1 · docs/" in events[-1].answer
    (completed,) = [event for event in events if isinstance(event, ToolCompleted)]
    assert (completed.name, completed.ok) == ("vector_search_notes", True)


async def test_a_store_that_is_down_is_an_error_of_the_tool_and_the_agent_answers(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("in the way")
    rules: list[Any] = [{"after_error": True, "say": "without it: {{ result }}"}, SEARCH]
    down = {"name": "notes", "type": "qdrant", "path": str(tmp_path / "index")}
    events = await ask(with_stores(agent_config(rules), down))
    assert isinstance(events[-1], RunFinished)
    assert "vector store `notes` cannot be used" in events[-1].answer
    events = await ask(with_stores(agent_config(rules), {**down, "required": True}))
    assert isinstance(events[-1], RunFailed)
    assert "A required vector store is not available: " in events[-1].error.message


@pytest.mark.parametrize(
    ("workers", "orchestration", "offered", "coordinators"),
    [
        ({"alpha": {"vector_stores": ["notes"]}}, {}, {"vector_search_notes"}, set()),
        ({"alpha": {}}, {"coordinator_vector_stores": ["other"]}, set(), {"vector_search_other"}),
        ({}, {}, {"vector_search_notes", "vector_search_other"}, set()),
        ({}, {"default_vector_stores": []}, set(), set()),
    ],
    ids=["named", "coordinator", "generic alone", "generic without"],
)
async def test_everybody_gets_the_stores_that_are_his(
    docs: Path, workers: Any, orchestration: Any, offered: set[str], coordinators: set[str]
) -> None:
    rules = [
        coordinator("plan", plan(step("look", "alpha" if workers else None))),
        worker_rule(submit()),
        coordinator("continue", answer("done")),
    ]
    settings = with_stores(
        config(rules, workers=workers, **orchestration),
        store(docs, context_prefix="Zebras"),
        store(docs, "other"),
    )
    transcript = await orchestrate(settings)

    def searches(request: Any) -> set[str]:
        return {tool.name for tool in request.tools if tool.name.startswith("vector_search")}

    asked = transcript.asked("worker")[0]
    assert searches(asked) == offered
    assert ("## Knowledge bases" in asked.messages[0].text) == bool(offered)
    if "vector_search_notes" in offered:
        assert "- notes: Zebras (search it with `vector_search_notes`)" in asked.messages[0].text
    leading = transcript.asked("coordinator")[0]
    assert searches(leading) == coordinators
    if workers and offered:
        assert "vector_search_notes" in leading.messages[-1].text


async def test_searches_of_workers_and_coordinator_are_seen_in_events(docs: Path) -> None:
    seek = call("vector_search_notes", query="zebra")
    rules = [
        {**coordinator("plan", plan(step("look"))), "after_tool": "vector_search_*"},
        coordinator("plan", seek),
        {**worker_rule(submit()), "after_tool": "vector_search_*"},
        worker_rule(seek),
        coordinator("continue", answer("done")),
    ]
    settings = config(rules, workers={"alpha": {"vector_stores": ["notes"]}}, coordinator_vector_stores=["notes"])
    transcript = await orchestrate(with_stores(settings, store(docs)))
    searched = [each for each in transcript.all(OrchestratorToolCompleted) if each.name == "vector_search_notes"]
    assert [(each.worker_id, each.ok) for each in searched] == [("main", True), ("alpha", True)]


async def test_the_tool_asks_for_a_score_only_where_vectors_are_compared(docs: Path) -> None:
    async with opened(with_stores(agent_config([]), store(docs))) as stores:
        tool = search_tool(stores["notes"])
        parameters: Any = tool.parameters
        assert set(parameters["properties"]) == {"query", "limit", "label_filters"}
        assert parameters["required"] == ["query"]
    base = KnowledgeBase("a", stores["notes"].config, embedded(None), Embedder(WordVectors()))
    config_ = base.config.model_copy(update={"mode": "hybrid"})
    hybrid = KnowledgeBase("a", config_, embedded(None), Embedder(WordVectors()))
    parameters = search_tool(hybrid).parameters
    assert "min_score" in parameters["properties"]


async def test_arguments_are_held_within_their_bounds(docs: Path) -> None:
    async with opened(with_stores(agent_config([]), store(docs))) as stores:
        base = stores["notes"]
        for limit, count in ((0, 1), (3.0, 3), ("4", 4), (99, 20), (None, 5)):
            outcome = await search(base, query="zebra", limit=limit)
            assert outcome.text.count("Result ") == count, limit
        found = await search(base, query="zebra", label_filters=[{"key": "number", "value": 7}])
        assert found.text.count("Result ") == 1
        assert "number: 7" in found.text
        structured: Any = found.structured
        assert structured["results"][0]["metadata"] == {"number": "7"}
        assert (await search(base, query="walrus")).text == "No results found for query: 'walrus'"
        for wrong in ({}, {"query": " "}, {"query": 3}, {"query": "a", "k": 1}, {"query": "a", "label_filters": ["x"]}):
            outcome = await search(base, **wrong)
            assert outcome.outcome == "schema_error", wrong
            assert outcome.text.startswith("ToolCallError: ")


async def test_replies_are_bounded_and_say_what_was_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.json").write_bytes(orjson.dumps([{"content": "zebra " + "word " * 300} for _ in range(60)]))
    async with opened(with_stores(agent_config([]), store(folder))) as stores:
        outcome = await search(stores["notes"], query="zebra", limit=20)
    assert len(outcome.text.encode()) < 40_000
    assert outcome.text.count("zebra") <= 20


async def test_repeated_queries_are_embedded_once() -> None:
    model = WordVectors()
    embedder = Embedder(model)
    assert await embedder.query("a") == await embedder.query("a")
    assert model.asked == [(["a"], "query")]
