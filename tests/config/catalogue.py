"""One case for every code: what to write, and the words that the message must hold.

Values of variables hold ``SENTINEL`` so that no case can show a resolved value unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.config.files import AGENT, LLM, MINIMAL

SENTINEL = "s3ntinel"
KEY = f"sk-{SENTINEL}-0123456789"


@dataclass(frozen=True)
class Case:
    """``files`` by path; the configuration is ``load`` (or the only file)."""

    code: str
    text: str | bytes
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    name: str = ""

    @property
    def id(self) -> str:
        return f"{self.code}-{self.name}" if self.name else self.code


def llm(lines: str, provider: str = "openai", key: str = 'api_key = "{{ env.KEY }}"\nmodel = "m"\n') -> str:
    return f'{AGENT}[agent.llm]\nprovider = "{provider}"\n{key}{lines}\n'


def stdio(lines: str) -> str:
    return f'{MINIMAL}[mcp.servers.files]\ntransport = "stdio"\n{lines}\n'


def http(lines: str, url: str = 'url = "https://example.org/mcp"') -> str:
    return f'{MINIMAL}[mcp.servers.web]\ntransport = "http_streamable"\n{url}\n{lines}\n'


def store(lines: str, name: str = "books") -> str:
    return f'[[vector_stores]]\nname = "{name}"\n{lines}\n'


EMBEDDING = '[vector_stores.embedding_model]\nprovider = "openai"\nmodel = "e"\napi_key = "{{ env.KEY }}"\n'
QDRANT = 'type = "qdrant"\nurl = "http://localhost:6334"\ncollection_name = "c"\n' + EMBEDDING
WORKER = '[orchestration.worker.a]\ndescription = "d"\npreamble = "p"\n'
ORCHESTRATED = MINIMAL + "[orchestration]\nenabled = true\n"
LIMITED = ORCHESTRATED + "[orchestration.timeouts]\nper_call_timeout_secs = 100\nstream_inactivity_timeout_secs = 50\n"
WEBHOOK = '[hitl.route]\nmode = "webhook"\nurl = "https://{{ env.HOST }}/ask"\n'
HOST = {"HOST": f"{SENTINEL}.example.org"}
SKILLS = MINIMAL + '[[agent.skills.local]]\nsource = "{{ env.SKILLS }}"\n'
SCRIPTED = AGENT + '[agent.llm]\nprovider = "scripted"\nmodel = "demo"\n'


def skill(code: str, text: str, words: tuple[str, ...], directory: str = "good", name: str = "") -> Case:
    path = f"{SENTINEL}/{directory}/SKILL.md"
    return Case(code, SKILLS, words, {"SKILLS": SENTINEL}, {path: text}, name=name)


CASES: tuple[Case, ...] = (
    # --- files and TOML
    Case("CFG-F05", b'[agent]\nname = "\xff"\n', ("UTF-8", "offset 16")),
    Case(
        "CFG-F06",
        'memory_dir = "{{ env.DIR }}"\n' + MINIMAL + "context_window = 9\n[agent.scratchpad]\nenabled = true\n",
        ("memory", "{{ env.DIR }}"),
        {"DIR": f"{SENTINEL}/below"},
        {SENTINEL: "a file"},
    ),
    Case("CFG-T01", "[agent]\nname = \n", ("line 2", "column 8", "Invalid value")),
    Case("CFG-T01", "[agent]\na = 1\na = 2\n", ("line 3", "overwrite"), name="twice"),
    Case("CFG-T01", "[agent]\nturn_depth = {{ env.X }}\n", ("put it in quotes",), name="bare"),
    # --- environment
    Case(
        "CFG-V01",
        AGENT.replace("Help.", "{{ env.ONE }} {{ env.TWO }} {{ env.ONE }}") + LLM,
        ("Missing environment variable", "`ONE`", "`TWO`", "agent.system_prompt", ".env", "export"),
    ),
    Case("CFG-V02", AGENT.replace("Help.", "{{ env.BAD }}") + LLM, ("`BAD`",), {"BAD": f"{SENTINEL}\udcff"}),
    Case("CFG-V03", llm('base_url = "{{ env.my-url }}"'), ("agent.llm.base_url", "{{ env.my-url }}"), {"KEY": KEY}),
    Case(
        "CFG-V04",
        MINIMAL
        + "[mcp.servers]\n"
        + "".join(f'"{{{{ env.{name} }}}}" = {{transport="stdio",cmd=["a"]}}\n' for name in "AB"),
        ("{{ env.A }}", "{{ env.B }}"),
        {"A": SENTINEL, "B": SENTINEL},
    ),
    # --- schema
    Case("CFG-S01", "[agent]\nname = 'x'\n" + LLM, ("missing", "`system_prompt`", "[agent]")),
    Case("CFG-S02", AGENT + "description = 3\n" + LLM, ("a string", "an integer", "quotes")),
    Case("CFG-S02", AGENT + "mcp_filter = '{{ env.X }}'\n" + LLM, ("array", "brackets"), {"X": SENTINEL}, name="list"),
    Case("CFG-S03", AGENT + "turn_depth = 3.5\n" + LLM, ("whole number", "3.5")),
    Case("CFG-S03", AGENT + "turn_depth = -3\n" + LLM, ("non-negative number", "-3"), name="negative"),
    Case("CFG-S03", AGENT + "turn_depth = 9223372036854775808\n" + LLM, ("range",), name="range"),
    Case("CFG-S04", AGENT + "hidden = '{{ env.X }}'\n" + LLM, ('"true" or "false"', '"{{ env.X }}"'), {"X": SENTINEL}),
    Case("CFG-S05", AGENT + "random_field = 1\n" + LLM, ("unknown", "`random_field`", "[agent]", "`turn_depth`")),
    Case("CFG-S06", ORCHESTRATED + "max_planning_cycle = 1\n", ("`max_planning_cycle`", "max_planning_cycles")),
    Case(
        "CFG-S07", MINIMAL + "[orchestration]\nmemory_dir = 'a'\nmemory_path = 'b'\n", ("`memory_dir`", "`memory_path`")
    ),
    Case("CFG-S08", AGENT + "mcp_filter = ['a', '[{{ env.X }}']\n" + LLM, ("position 1",), {"X": SENTINEL}),
    Case("CFG-S09", MINIMAL + "[llm]\nmodel = 'm'\n", ("legacy top-level [llm]", "[agent.llm]")),
    Case("CFG-S10", llm("reasoning_effort = '{{ env.X }}'"), ("{{ env.X }}", "`xhigh`"), {"X": SENTINEL, "KEY": KEY}),
    Case(
        "CFG-S10",
        MINIMAL.replace("ollama", "{{ env.X }}"),
        ("{{ env.X }}", "`openrouter`"),
        {"X": SENTINEL},
        name="tag",
    ),
    Case("CFG-S11", SCRIPTED + "[[agent.llm.rules]]\nuser = '({{ env.X }}'\n", ("position 1",), {"X": SENTINEL}),
    Case(
        "CFG-S12", SCRIPTED + "[[agent.llm.rules]]\nsay = '{% {{ env.X }} %}'\n", ("does not compile",), {"X": SENTINEL}
    ),
    # --- agent
    Case("CFG-A01", "memory_dir = 'a'\n", ("[agent]", 'name = "Helper"')),
    Case("CFG-A02", AGENT.replace("Helper", "{{ env.X }}") + LLM, ("`name`", "`X`"), {"X": " "}),
    # --- models
    Case("CFG-L01", AGENT, ("[agent.llm]", "provider")),
    Case("CFG-L02", AGENT + "[agent.llm]\nmodel = 'm'\n", ("[agent.llm]", "`openai`", "`openrouter`", "`bedrock`")),
    Case(
        "CFG-L02",
        ORCHESTRATED + WORKER + "llm = { model = 'm' }\n",
        ("orchestration.worker.a.llm", "must be complete"),
        name="worker",
    ),
    Case("CFG-L03", llm(""), ("API key is required", "agent.llm", "`KEY`", "empty"), {"KEY": ""}),
    Case("CFG-L04", llm("region = 'x'"), ("`region`", "`bedrock`"), {"KEY": KEY}),
    Case("CFG-L05", llm("additional_params = '{{ env.KEY }}'"), ("additional_params",), {"KEY": KEY}),
    Case("CFG-L05", llm("additional_params = { stream = false }"), ("`stream`",), {"KEY": KEY}, name="structural"),
    Case("CFG-L06", llm("", key='api_key = "{{ env.KEY }}"\nmodel = " "\n'), ("`model`",), {"KEY": KEY}),
    Case("CFG-L06", llm('base_url = "ftp://{{ env.KEY }}"'), ("base_url", "http"), {"KEY": KEY}, name="url"),
    # --- scratchpad
    Case(
        "CFG-P01",
        llm("context_window = 9\n[agent.scratchpad]\nenabled = true"),
        ("memory_dir", "[agent."),
        {"KEY": KEY},
    ),
    Case(
        "CFG-P02",
        "memory_dir = 'm'\n" + llm("[agent.scratchpad]\nenabled = true"),
        ("context_window", "[agent.llm]"),
        {"KEY": KEY},
    ),
    Case(
        "CFG-P03",
        "memory_dir = 'm'\n" + ORCHESTRATED + WORKER + "scratchpad = { enabled = true }\n",
        ("context_window", "'a'"),
    ),
    Case("CFG-P05", MINIMAL + "[agent.scratchpad]\ncontext_safety_margin = 1.0\n", ("1.0", "below 1")),
    # --- skills
    Case("CFG-K01", SKILLS, ("Skill source path cannot be empty",), {"SKILLS": ""}),
    Case("CFG-K02", SKILLS, ("not found", "{{ env.SKILLS }}", "working directory"), {"SKILLS": SENTINEL}),
    Case("CFG-K03", SKILLS, ("cannot be read",), {"SKILLS": SENTINEL}, {SENTINEL: "a file"}),
    skill("CFG-K04", "no front matter", ("YAML frontmatter", "SKILL.md")),
    skill("CFG-K05", "---\nname: good\n", ("missing closing", "SKILL.md")),
    skill("CFG-K06", "---\nname: [\n---\n", ("SKILL.md", "YAML")),
    skill("CFG-K06", "---\nname: good\n---\n", ("'description'",), name="missing"),
    skill("CFG-K07", "---\nname: '" + "a" * 65 + "'\ndescription: d\n---\n", ("1-64 characters",), name="long"),
    skill("CFG-K07", "---\nname: Good\ndescription: d\n---\n", ("invalid characters",), name="characters"),
    skill("CFG-K07", "---\nname: -a\ndescription: d\n---\n", ("must not start or end with a hyphen",), name="state"),
    skill("CFG-K07", "---\nname: a--b\ndescription: d\n---\n", ("consecutive hyphens",), name="double"),
    skill("CFG-K08", "---\nname: bad\ndescription: d\n---\n", ("`bad`", "`good`", "does not match directory name")),
    skill("CFG-K09", "---\nname: good\ndescription: ''\n---\n", ("non-empty 'description'",)),
    skill(
        "CFG-K09", "---\nname: good\ndescription: " + "d" * 1025 + "\n---\n", ("1024 character limit", "1025"), name="l"
    ),
    # --- MCP
    Case("CFG-M01", MINIMAL + "[mcp.servers.web]\nurl = 'x'\n", ("web", "`stdio`", "`http_streamable`", "`sse`")),
    Case("CFG-M01", MINIMAL + "[mcp.servers.web]\ntransport = 'http'\n", ("write `http_streamable`",), name="hint"),
    Case("CFG-M02", stdio("cmd = []"), ("files", 'cmd = ["npx"]')),
    Case("CFG-M03", http("", 'url = "ws://{{ env.HOST }}"'), ("web", "http"), HOST),
    Case("CFG-M04", http('headers = { A = "{{ env.BAD }}" }'), ("`A`",), {"BAD": f"{SENTINEL}\n1"}),
    Case("CFG-M04", http('headers = { "a b" = "c" }'), ("a b",), name="name"),
    Case("CFG-M05", http("headers_from_request = { X = 'a', x = 'b' }"), ("`X`", "`x`")),
    Case("CFG-M06", stdio("cmd = ['a']\nheaders = { A = '{{ env.KEY }}' }"), ("files", "`headers`"), {"KEY": KEY}),
    # --- vector stores
    Case("CFG-R01", MINIMAL + store(QDRANT, "a b"), ("a b",), {"KEY": KEY}),
    Case("CFG-R02", MINIMAL + store(QDRANT) + store(QDRANT), ("books",), {"KEY": KEY}),
    Case("CFG-R03", MINIMAL + store(QDRANT), ("API key", "`books`"), {"KEY": " "}),
    Case(
        "CFG-R04", MINIMAL + store("type = 'bedrock_kb'\nknowledge_base_id = 'k'\nregion = ''"), ("region", "`books`")
    ),
    Case(
        "CFG-R05",
        ORCHESTRATED + WORKER + "vector_stores = ['{{ env.X }}']\n" + store(QDRANT),
        ("vector_stores", "`{{ env.X }}`", "`books`"),
        {"KEY": KEY, "X": SENTINEL},
    ),
    Case("CFG-S01", MINIMAL + store(""), ("type", "vector_stores[0] 'books'"), name="store"),
    # --- approvals
    Case("CFG-H01", MINIMAL + "[hitl]\nrequire_approval = []\n", ("[hitl.route]", "`conversational`", "`webhook`")),
    Case(
        "CFG-H02",
        MINIMAL + '[hitl.route]\nmode = "webhook"\nurl = "{{ env.HOST }}"\n',
        ("must start with http://",),
        HOST,
    ),
    Case("CFG-H02", MINIMAL + '[hitl.route]\nmode = "webhook"\n', ("must start with http://",), name="missing"),
    Case("CFG-H03", MINIMAL + "[hitl]\nrequire_approval = ['a{b']\n" + WEBHOOK, ("a{b", "position 2"), HOST),
    Case("CFG-H04", MINIMAL + '[hitl.route]\nmode = "conversational"\ntimeout_secs = 0\n', ("`0`",)),
    Case(
        "CFG-H05",
        MINIMAL + WEBHOOK.replace("https", "http"),
        ("plaintext", "https"),
        {**HOST, "AURA_HITL_WEBHOOK_SECRET": KEY * 3},
    ),
    Case(
        "CFG-H06",
        MINIMAL + WEBHOOK + "tool_headers_from_response = { 'a b' = 'c' }\n",
        ("not a valid http header name",),
        HOST,
    ),
    Case(
        "CFG-H07",
        MINIMAL + WEBHOOK + "tool_headers_from_response = { A = 'c', a = 'd' }\n",
        ("duplicate tool header override",),
        HOST,
    ),
    Case(
        "CFG-H08",
        MINIMAL + WEBHOOK + "tool_headers_from_response = { Host = 'c' }\n",
        ("reserved transport header",),
        HOST,
    ),
    # --- orchestration and identity
    Case(
        "CFG-O01", MINIMAL + WORKER.replace("worker.a", 'worker." "'), ("Empty worker name", "[orchestration.worker.*]")
    ),
    Case("CFG-O02", MINIMAL + WORKER + WORKER.replace("worker.a", "worker.A"), ("Duplicate worker name", "`a`", "`A`")),
    Case(
        "CFG-I01",
        "",
        ("duplicate alias", "unique alias", "a.toml", "b.toml", "{{ env.X }}"),
        {"X": SENTINEL},
        {f"{name}.toml": AGENT + "alias = '{{ env.X }}'\n" + LLM for name in "ab"},
    ),
    Case(
        "CFG-I02", "", ("same agent name", "Helper", "a.toml", "b.toml"), {}, {f"{name}.toml": MINIMAL for name in "ab"}
    ),
    Case(
        "CFG-I03",
        MINIMAL,
        ("`nobody`", "does not match any loaded agent name or alias", "`Helper`"),
        settings={"default_agent": "nobody"},
    ),
    # --- warnings
    Case("WARN-TO01", ORCHESTRATED, ("hangs",)),
    Case("WARN-TO02", LIMITED.replace("= 50", "= 100"), ("never fire",)),
    Case("WARN-TO03", LIMITED + '[hitl.route]\nmode = "conversational"\ntimeout_secs = 100\n', ("raise",)),
    Case("WARN-TO04", LIMITED, ("100 s",), settings={"streaming_timeout_secs": 100}),
    Case("WARN-TO05", LIMITED, ("exempt",), settings={"stream_inactivity_timeout_secs": 50}),
    Case("WARN-TO06", LIMITED, ("pause",), settings={"stream_inactivity_timeout_secs": 90}),
    Case(
        "WARN-TO07",
        LIMITED + '[hitl.route]\nmode = "conversational"\n',
        ("60 s",),
        settings={"stream_inactivity_timeout_secs": 60},
    ),
    Case("WARN-HI01", MINIMAL + WEBHOOK, ("unsigned",), HOST),
    Case("WARN-KEY01", MINIMAL + "[foo_bar]\n", ("foo_bar",)),
    Case("WARN-KEY02", MINIMAL + "[orchestration]\nmax_iterations = 3\n", ("max_iterations", "max_planning_cycles")),
    Case("WARN-ENV02", AGENT.replace("Help.", "{{ env.a-b }}") + LLM, ("{{ env.a-b }}",)),
    Case("WARN-SEC01", llm("").replace("Help.", "{{ env.KEY }}"), ("`KEY`", "agent.llm.api_key"), {"KEY": KEY}),
    Case("WARN-SEC02", f'{AGENT}[agent.llm]\nprovider="openai"\nmodel="m"\napi_key="{KEY}"\n', ("chmod 600",)),
    Case("WARN-AG01", AGENT.replace("Help.", "") + LLM, ("system_prompt",)),
    Case("WARN-AG02", AGENT + "created_at = 1767225600\n" + LLM, ("milliseconds",)),
    Case(
        "WARN-AG03",
        AGENT + "enable_client_tools = true\n" + LLM + "[orchestration]\nenabled = true\n",
        ("client tools",),
    ),
    Case(
        "WARN-AG04",
        AGENT + 'request_overrides = ["seed"]\n' + LLM + "[orchestration]\nenabled = true\n",
        ("parameters of a request",),
    ),
    Case("WARN-LLM01", MINIMAL + "temperature = 2.1\n", ("2.1",)),
    Case("WARN-LLM02", MINIMAL + "context_window = 9\nadditional_params = { num_ctx = 8 }\n", ("num_ctx",)),
    Case("WARN-LLM03", MINIMAL + "fallback_tool_parsing = true\n", ("MCP",)),
    Case("WARN-MCP01", MINIMAL + '[mcp.servers."a b"]\ntransport="stdio"\ncmd=["a"]\n', ("a b",)),
    Case("WARN-MCP02", http('headers = { Authorization = "Bearer {{ env.T }}" }'), ("not sent",), {"T": ""}),
    Case(
        "WARN-SK01",
        SKILLS + '[[agent.skills.local]]\nsource = "two"\n',
        ("`good`",),
        {"SKILLS": SENTINEL},
        {f"{place}/good/SKILL.md": "---\nname: good\ndescription: d\n---\n" for place in (SENTINEL, "two")},
    ),
    Case(
        "CFG-R06",
        MINIMAL + store("type = 'in_memory'\nsources = ['d']\nmode = 'vector'\n"),
        ("embedding model", "`books`"),
    ),
    Case("CFG-R07", MINIMAL + store("type = 'in_memory'\nsources = ['{{ env.X }}']\n"), ("sources[0]",), {"X": " "}),
    Case("WARN-VS01", MINIMAL + store("type = 'in_memory'\n" + EMBEDDING), ("in-memory",), {"KEY": KEY}),
    Case("WARN-VS02", ORCHESTRATED + WORKER + store(QDRANT), ("books",), {"KEY": KEY}),
    Case("WARN-TL01", MINIMAL + "[tools]\ncustom_tools = ['a']\n", ("no effect",)),
    Case("WARN-OR01", ORCHESTRATED + "max_planning_cycles = 0\n", ("like 1",)),
    Case("WARN-OR02", ORCHESTRATED + "worker_system_prompt = 'p'\n" + WORKER, ("generic worker",)),
    Case("WARN-OR03", ORCHESTRATED + "duplicate_call_block_threshold = 3\n", ("not above",)),
    Case(
        "WARN-ID01",
        "",
        ("letter case",),
        {"X": SENTINEL, "Y": SENTINEL.upper()},
        {f"{name}.toml": AGENT + "alias = '{{ env.X }}'\n".replace("X", name) + LLM for name in "XY"},
    ),
    Case("WARN-ID02", AGENT + "hidden = true\n" + LLM, ("hidden",)),
    Case("WARN-ID03", AGENT + "alias = 'gpt-5-helper'\n" + LLM, ("gpt-5-helper",)),
    Case("WARN-DIR01", "", ("directory",), {}, {"a.toml": MINIMAL, "b.toml/x": ""}),
    Case(
        "INFO-MEM01", MINIMAL + "[orchestration.artifacts]\nmemory_dir = '{{ env.X }}'\n", ("legacy",), {"X": SENTINEL}
    ),
)
