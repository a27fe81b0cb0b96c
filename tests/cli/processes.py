"""`aura` as a process of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_SETTINGS = ("CONFIG_PATH", "PORT", "HOST", "DEFAULT_AGENT")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would configure Aura."""
    kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS and not name.startswith("AURA_")}
    return kept | {"AURA_DISABLE_DOTENV": "true", "PYTHONPATH": str(PROJECT)} | dict(extra or {})


def start(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aura_py", *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def aura(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aura_py", *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def on_terminal(*arguments: str | Path, columns: int = 80, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit status, and what a terminal of this width is sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "aura_py", *map(str, arguments)],
        env=environment({"TERM": "xterm", "COLUMNS": str(columns)} | dict(env or {})),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 65536):
            sent += part
    except OSError:  # how Linux says that the other side has gone
        pass
    finally:
        os.close(ours)
    return process.wait(60), sent.decode().replace("\r\n", "\n")
