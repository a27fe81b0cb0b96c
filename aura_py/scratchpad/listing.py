"""``list_files``: what was parked, for models that lost the names."""

from __future__ import annotations

from aura_py.scratchpad.arguments import Arguments
from aura_py.scratchpad.results import ExplorationContext, Result, answer


def list_files(context: ExplorationContext, arguments: Arguments) -> str:
    offset = arguments.count("offset", 0)
    outputs = context.store.records()
    units: list[str] = []
    for record in outputs[offset:]:
        units.append(
            f"{record.file} (~{record.tokens} tokens, {record.lines} lines, {record.format}) "
            f"from {record.tool} {record.arguments}"
        )
        units += (f"  {part.file} ({part.lines} lines, {part.format}) from {part.path}" for part in record.companions)
    companions = sum(len(record.companions) for record in outputs)
    result = Result(
        "list_files",
        lambda _shown: f"{len(outputs)} outputs, {companions} companions",
        lambda _shown: 'grep(file=".", pattern="…") or a single file',
        {"files": len(outputs)},
        ['grep(file=".", pattern="…") searches all of them'],
    )
    return answer(context, result, units)
