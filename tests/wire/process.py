"""The real server as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_SECONDS = 30.0
STOP_SECONDS = 20.0
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from aura_py.cli import main; sys.exit(main())", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: nothing of the machine's own settings or `.env` files."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "AURA_DISABLE_DOTENV": "1", "PYTHONUNBUFFERED": "1", "AURA_WATCH_LOOP": "1", **(extra or {})}


@dataclass(slots=True)
class AuraServer:
    """A running ``aura serve``. ``lines`` is what it printed until it was ready."""

    process: subprocess.Popen[str]
    errors: Path
    lines: list[str] = field(default_factory=list)
    url: str = ""

    @classmethod
    def start(
        cls, directory: Path, scratch: Path, *flags: str, env: Mapping[str, str] | None = None, port: int = 0
    ) -> AuraServer:
        errors = scratch / f"stderr-{time.monotonic_ns()}.txt"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                command("serve", str(directory), "--port", str(port), *flags),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment(env),
                cwd=scratch,
            )
        server = cls(process, errors)
        assert process.stdout is not None
        for line in process.stdout:
            server.lines.append(line.rstrip("\n"))
            if line.startswith("listening on "):
                server.url = line.split()[-1]
                return server
        process.wait(START_SECONDS)
        raise AssertionError(f"the server ended with {process.returncode}: {server.log}")

    @property
    def log(self) -> str:
        return self.errors.read_text()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def open_files(self) -> int:
        return psutil.Process(self.process.pid).num_fds()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for the end, at which no child may be left; gives the exit status."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        status = self.process.wait(seconds)
        _gone, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, f"children were left behind: {alive}"
        return status

    def stop(self) -> None:
        """Stops the server and checks that it ends cleanly."""
        if self.process.poll() is None:
            self.signal()
            assert self.wait() == 0, self.log
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert "Traceback" not in self.log, self.log
        assert "the event loop was held" not in self.log, self.log
