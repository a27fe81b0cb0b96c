"""Serves the quickstart: starts the desk server on a free port, then `aura serve agents/`, and stops both together.

`PORT` chooses the port (8080). Everything listens on 127.0.0.1 only, unless `QUICKSTART_HOST`, which containers need,
names another address for Aura.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
STOP_SECONDS = 40.0

WELCOME = """
Agents answer on http://127.0.0.1:{port}/v1 as the {models}.
Their model is scripted: no key, no network, no intelligence. The tools and their answers are real.

Ask with curl:

  curl -N http://127.0.0.1:{port}/v1/chat/completions \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "assistant", "stream": true,
         "messages": [{{"role": "user", "content": "What is 37% of 1240?"}}]}}'

or with the OpenAI SDK, in {python}:

  from openai import OpenAI

  client = OpenAI(base_url="http://127.0.0.1:{port}/v1", api_key="none")
  question = {{"role": "user", "content": "How many Python files are in the project and which is the largest?"}}
  for chunk in client.chat.completions.create(model="assistant", messages=[question], stream=True):
      if chunk.choices:
          print(chunk.choices[0].delta.content or "", end="", flush=True)

{team}Ctrl-C stops everything. A real model is a change of three lines: examples/minimal/openai.toml
"""

TEAM = """The model `team` plans and delegates to workers:

  curl -N http://127.0.0.1:{port}/v1/chat/completions \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "team", "stream": true,
         "messages": [{{"role": "user", "content": "Write a report on the project files"}}]}}'

"""


def main() -> int:
    port = _port()
    if port is None:
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    # Groups of their own: Ctrl-C reaches this process only, which then stops both in order.
    desk = subprocess.Popen(
        [sys.executable, str(HERE / "desk_server.py")], stdout=subprocess.PIPE, text=True, process_group=0
    )
    server: subprocess.Popen[bytes] | None = None
    try:
        assert desk.stdout is not None
        url = desk.stdout.readline().strip()
        if not url:
            print("The desk server did not start; its message is above.", file=sys.stderr)
            return 1
        server = subprocess.Popen(
            [sys.executable, "-m", "aura_py", "serve", str(HERE / "agents"), "--port", str(port)],
            env=os.environ | _surroundings(url),
            cwd=PROJECT,
            process_group=0,
        )
        if _listening(server, port):
            print(_welcome(port), flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        _end(server)
        _end(desk)
        if desk.stdout is not None:
            desk.stdout.close()


def _surroundings(desk_url: str) -> dict[str, str]:
    """What the agents' files ask for as `{{ env.… }}`."""
    return {
        "QUICKSTART_DESK_URL": desk_url,
        "QUICKSTART_FILES_SERVER": str(HERE / "files_server.py"),
        "QUICKSTART_FOLDER": str(PROJECT),
        "QUICKSTART_PYTHON": sys.executable,
        "HOST": os.environ.get("QUICKSTART_HOST", "127.0.0.1"),
    }


def _port() -> int | None:
    """The port to serve on; None, with a sentence on stderr, when it cannot be had."""
    wish = os.environ.get("PORT", "").strip() or "8080"
    if not wish.isdigit() or not 0 < int(wish) < 65536:
        print(f"PORT is `{wish}`; it must be a number from 1 to 65535.", file=sys.stderr)
        return None
    try:
        with socket.create_server(("127.0.0.1", int(wish))):
            return int(wish)
    except OSError as error:
        print(
            f"Port {wish} cannot be used ({os.strerror(error.errno or 0)}); choose another one: PORT=8090 make run",
            file=sys.stderr,
        )
        return None


def _listening(server: subprocess.Popen[bytes], port: int) -> bool:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.05)
    return False


def _welcome(port: int) -> str:
    names = _models(port)
    shown = [f"`{name}`" for name in names]
    models = "models " + ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else f"model {''.join(shown)}"
    team = TEAM.format(port=port) if "team" in names else ""
    return WELCOME.format(port=port, models=models, team=team, python=_shown(Path(sys.executable)))


def _models(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10) as answer:
        return [each["id"] for each in json.load(answer)["data"]]


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def _stop(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str] | None) -> None:
    """Asks, waits, then insists; an impatient Ctrl-C asks again, which Aura takes as a wish to hurry."""
    while process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main())
