"""Wire output kept as readable text files beside this module; set ``UPDATE_SNAPSHOTS=1`` to write them anew."""

from __future__ import annotations

import os
from pathlib import Path

_HERE = Path(__file__).parent


def check(name: Path, actual: str) -> None:
    """Compares ``actual`` with the recorded file byte for byte."""
    file = _HERE / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_bytes(actual.encode())
    assert file.exists(), f"no snapshot {name}; run with UPDATE_SNAPSHOTS=1 and read the file before committing it"
    assert actual == file.read_bytes().decode()
