"""The modules that a streamed chat without tools passes, from the route to the provider's bytes and back.

``python -m benchmarks.modules`` prints them; a test holds their number to the bound. A module counts when one of its
functions runs during a second, equal request, when everything that is prepared once has been prepared.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from types import FrameType

from benchmarks.processes import PROJECT, free_port, running

BOUND = 35
_PACKAGE = str(PROJECT / "aura_py") + "/"
_AGENT = """
[agent]
name = "a"
system_prompt = "Answer."
[agent.llm]
provider = "openai"
model = "fake"
api_key = "none"
base_url = "http://127.0.0.1:{port}/v1"
"""
_BODY = b'{"model": "a", "stream": true, "messages": [{"role": "user", "content": "chunks=5 interval=0 first=0"}]}'


def modules() -> list[str]:
    """Their names below ``aura_py``, without ``.py``."""
    model, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        agent, found = Path(folder, "a.toml"), Path(folder, "found")
        agent.write_text(_AGENT.format(port=model))
        with running(["-m", "benchmarks.relay_upstream", str(model)], model):
            server = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.modules", str(found), str(agent), str(port)],
                cwd=PROJECT,
                env={"AURA_DISABLE_DOTENV": "1", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                text=True,
            )
            assert server.stdout is not None
            try:
                assert any(line.startswith("listening on ") for line in server.stdout)
                _ask(port)
                server.send_signal(signal.SIGUSR1)
                _ask(port)
            finally:
                server.terminate()
                server.wait(30)
                server.stdout.close()
        return found.read_text().split()


def _ask(port: int) -> None:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = urllib.request.Request(url, _BODY, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read()
    assert text.endswith(b"data: [DONE]\n\n"), text


def _serve(found: Path, agent: str, port: str) -> None:
    """A server that notes, from the first SIGUSR1 on until it is told to stop, which modules run."""
    from aura_py.cli import main
    from aura_py.server.state import ServerState

    seen: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        # Only what runs, not what is defined.
        if event == "call" and (name := frame.f_code.co_filename).startswith(_PACKAGE):
            seen.add(name.removeprefix(_PACKAGE).removesuffix(".py"))

    signal.signal(signal.SIGUSR1, lambda *_what: sys.setprofile(note))
    drain = ServerState.start_draining

    def start_draining(state: ServerState) -> None:
        sys.setprofile(None)  # shutting down is no part of a chat
        drain(state)

    ServerState.start_draining = start_draining  # type: ignore[method-assign,assignment]
    main(["serve", agent, "--port", port])
    own = {"cli/serve", "server/lifecycle"}
    found.write_text("\n".join(sorted(seen - own)))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        _serve(Path(sys.argv[1]), *sys.argv[2:])
    else:
        names = modules()
        print("\n".join(names))
        print(f"{len(names)} modules, at most {BOUND}", file=sys.stderr)
