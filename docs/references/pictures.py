"""Takes the pictures of the documentation from the running product: ``python -m docs.references.pictures``.

Commands run on a terminal of their own, 100 columns wide; what they show becomes an SVG.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[2]
PICTURES = PROJECT / "docs" / "assets"
_COLUMNS = "100"
_SHOWN = {
    "check": ["check", "examples/quickstart/agents"],
    "mistakes": ["check", "docs/references/mistakes.toml"],
}


def take(name: str) -> None:
    """One picture, `docs/assets/<name>.svg`."""
    command = _SHOWN[name]
    output = _on_a_terminal([sys.executable, "-m", "aura_py", *command])
    console = Console(record=True, width=int(_COLUMNS), file=io.StringIO())
    console.print(Text(f"$ aura {' '.join(command)}", style="bold"))
    console.print(Text.from_ansi(output.rstrip()))
    svg = console.export_svg(title="aura", unique_id=name)
    # Fonts of this machine, not of another origin.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")
    (PICTURES / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE) + "\n")


def _on_a_terminal(command: list[str]) -> str:
    outer, inner = pty.openpty()
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "COLUMNS": _COLUMNS,
        "TERM": "xterm-256color",
        "AURA_DISABLE_DOTENV": "1",
    }
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner
    )
    os.close(inner)
    shown = bytearray()
    try:
        while piece := os.read(outer, 65536):
            shown += piece
    except OSError:  # on Linux, the end of a terminal whose program has ended
        pass
    process.wait()
    os.close(outer)
    return shown.decode(errors="replace").replace("\r\n", "\n")


if __name__ == "__main__":
    for each in _SHOWN:
        take(each)
