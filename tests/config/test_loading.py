"""Loading as a whole: what it costs, what it shows, what it never does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aura_py.config import Diagnostic, InvalidConfiguration, load, relations, render, render_json
from aura_py.config.environment_text import EnvironmentText
from aura_py.config.file_report import FileReport
from aura_py.config.models import AgentConfig
from aura_py.config.relations import llm_tables
from tests.config.files import AGENT, ENV, LLM, MINIMAL, agent, codes, found, only, toml, tree

SENTINEL = "s3ntinel-0123456789"
EXAMPLE = '''
memory_dir = "memory"

[agent]
name = "Platform On-Call"
alias = "oncall/platform"
description = "Investigates platform alerts"
hidden = "{{ env.HIDDEN | default: 'false' }}"
turn_depth = 12
nudge_last_turn = true
mcp_filter = ["logs_*", "k8s_*"]
system_prompt = """
You coordinate {{ user }}.
"""

[agent.llm]
provider = "anthropic"
api_key = "{{ env.SECRET }}"
model = "claude"
context_window = 200_000

[agent.llm.additional_params.metadata]
user_id = "{{ env.SECRET }}"

[agent.scratchpad]
enabled = true

[mcp.servers.observability]
transport = "http_streamable"
url = "https://{{ env.SECRET }}@example.org/mcp?key={{ env.SECRET }}"

[mcp.servers.observability.headers]
Authorization = "Bearer {{ env.SECRET }}"

[mcp.servers.observability.headers_from_request]
Authorization = "x-user-token"

[mcp.servers.cluster]
transport = "stdio"
cmd = ["npx"]
env = { TOKEN = "{{ env.SECRET }}" }

[[vector_stores]]
name = "runbooks"
type = "qdrant"
url = "http://qdrant.internal:6334"
collection_name = "runbooks"

[vector_stores.embedding_model]
provider = "openai"
model = "text-embedding-3-small"
api_key = "{{ env.SECRET }}"

[hitl]
require_approval = ["k8s_{apply,delete}_*"]

[hitl.route]
mode = "webhook"
url = "https://approvals.example.org/aura"
timeout_secs = 240
headers = { "X-Key" = "{{ env.SECRET }}" }

[orchestration]
enabled = true
coordinator_vector_stores = ["runbooks"]

[orchestration.timeouts]
per_call_timeout_secs = 600
stream_inactivity_timeout_secs = 120

[orchestration.worker.logs]
description = "Searches logs"
preamble = "Analyse."
skills.local = []

[orchestration.worker.writer]
description = "Writes"
preamble = "Write."
mcp_filter = []

[orchestration.worker.writer.llm]
provider = "openai"
api_key = "{{ env.SECRET }}"
model = "small"
context_window = 128_000
'''


def test_a_complete_file_loads_and_nothing_of_it_shows_a_secret() -> None:
    config = agent(EXAMPLE, env={"SECRET": SENTINEL})
    for text in (repr(config), str(config), str(config.model_dump()), config.model_dump_json()):
        assert SENTINEL not in text.replace(f"'user_id': '{SENTINEL}'", "").replace(f'"user_id":"{SENTINEL}"', "")
    assert config.agent.llm.additional_params == {"metadata": {"user_id": SENTINEL}}


def test_the_model_holds_plain_strings_and_cannot_be_changed() -> None:
    config = agent(EXAMPLE.replace("Platform On-Call", "{{ env.SECRET }}"), env={"SECRET": SENTINEL})

    def walk(value: Any) -> None:
        assert not isinstance(value, EnvironmentText)
        if isinstance(value, dict):
            for key, item in value.items():
                walk(key)
                walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)

    walk(config.model_dump())
    with pytest.raises(ValidationError):
        config.agent.turn_depth = 3  # type: ignore[misc]


def test_a_block_names_place_key_reason_and_remedy() -> None:
    diagnostic = Diagnostic(
        "CFG-X01", "It is wrong.", "write it\nright", file=Path("a.toml"), line=4, column=7, key="agent.name"
    )
    assert render([diagnostic]) == (
        "error[CFG-X01] a.toml:4:7  agent.name\n  It is wrong.\n  fix: write it\n       right\n"
        "1 error in 1 file; nothing was started"
    )
    assert render([Diagnostic("WARN-X01", "Odd.", severity="warning")]) == "warning[WARN-X01]\n  Odd."


def test_a_warning_names_the_file_and_the_agents_effective_id(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(AGENT.replace("Help.", "") + 'alias = "oncall"\n' + LLM)
    (warning,) = load(path, env=ENV).warnings
    assert render([warning]).startswith(f"warning[WARN-AG01] {path}:{warning.line}:{warning.column} (agent `oncall`)  ")


def test_json_has_the_fields_that_checks_read() -> None:
    (each,) = json.loads(render_json(found(AGENT + "turn_depth = -1\n" + LLM)))
    assert set(each) == {"code", "file", "line", "column", "key", "message", "fix", "severity"}
    assert (each["code"], each["line"], each["key"]) == ("CFG-S03", 4, "agent.turn_depth")


def test_loading_imports_nothing_that_the_files_do_not_need(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(MINIMAL)
    program = (
        "import sys\nfrom pathlib import Path\nfrom aura_py.config import load\nload(Path('agent.toml'))\n"
        "print([name for name in ('jinja2', 'yaml', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_feature_that_is_not_built_is_refused_after_it_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "UNBUILT", {"mcp": "the table of servers"})
    assert codes(found(MINIMAL)) == []
    text = MINIMAL + "[mcp]\nsanitize_schemas = true\n"
    error = only(found(text))
    assert (error.code, error.line, error.message) == ("CFG-N01", 7, "the table of servers is not built yet")
    assert codes(found(text + "servers = 3\n")) == ["CFG-N01", "CFG-S02"]


def test_features_are_looked_for_in_every_table_that_is_put_to_use() -> None:
    document = tree()
    document["agent"]["llm"]["fallback"] = [{"provider": "gemini"}]
    worker = ("orchestration", "worker", "reader", "llm")
    root = FileReport(Path()).root
    assert [at.path for at, _ in llm_tables(document, root)] == [
        ("agent", "llm"),
        ("agent", "llm", "fallback", 0),
        worker,
    ]
    document["orchestration"]["enabled"] = False
    assert worker not in [at.path for at, _ in llm_tables(document, root)]


values = st.recursive(
    st.none().map(lambda _: "")
    | st.text(max_size=8)
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.just("{{ env.KEY }}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PATHS: list[tuple[str | int, ...]] = []


def collect(value: Any, path: tuple[str | int, ...] = ()) -> None:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        PATHS.append((*path, step))
        collect(item, (*path, step))


collect(tree())


def loads_or_explains(data: bytes) -> None:
    path = Path("fuzzed.toml")
    path.write_bytes(data)
    problems: tuple[Diagnostic, ...] = ()
    try:
        assert isinstance(load(path, env=ENV).agents[0], AgentConfig)
    except InvalidConfiguration as error:
        problems = error.diagnostics
    assert render_json(problems)


relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@relaxed
@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_explained(data: bytes) -> None:
    loads_or_explains(data)


@relaxed
@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere_loads_or_is_explained(path: tuple[str | int, ...], value: Any) -> None:
    document: Any = tree()
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    loads_or_explains(toml(document).encode("utf-8", "replace"))


@relaxed
@given(st.integers(0, len(EXAMPLE) - 1), st.text(alphabet="[]{}=\"'\\#.,\n ab1", max_size=3), st.integers(0, 5))
def test_any_slip_of_the_finger_loads_or_is_explained(at: int, text: str, dropped: int) -> None:
    loads_or_explains((EXAMPLE[:at] + text + EXAMPLE[at + dropped :]).encode())
