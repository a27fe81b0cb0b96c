"""What substitution met, as problems of the file."""

from __future__ import annotations

from aura_py.config.problems import FileProblems, Location
from aura_py.config.templates import SubstitutionFindings, is_prose

_RIGHT_FORM = (
    "write `{{ env.NAME }}` or `{{ env.NAME | default: 'text' }}`; literal text is escaped as `{{! env.NAME }}`"
)


def report(findings: SubstitutionFindings, problems: FileProblems) -> None:
    if findings.missing:
        names = findings.missing
        listed = "\n".join(
            f"  `{name}` used by " + ", ".join(f"`{problems.key(path)}`" for path in dict.fromkeys(paths))
            for name, paths in names.items()
        )
        first = next(iter(names.values()))[0]
        plural = "s" if len(names) > 1 else ""
        exports = " ".join(f"{name}=…" for name in names)
        example = f"{{{{ env.{next(iter(names))} | default: '…' }}}}"
        problems.add(
            "error",
            "CFG-V01",
            first,
            f"Missing environment variable{plural}:\n{listed}",
            f"put it in `.env`, or `export {exports}`, or add a default: `{example}`",
        )
    for name, paths in findings.undecodable.items():
        problems.add(
            "error",
            "CFG-V02",
            paths[0],
            f"the environment variable `{name}` is not UTF-8",
            f"set `{name}` to UTF-8 text",
        )
    for malformed in findings.malformed:
        at = Location(problems, malformed.path)
        if malformed.variable:
            at.error(
                "CFG-V03",
                f"`{malformed.text}` in `{at.key}` is not how Aura names an environment variable",
                f"write `{{{{ env.{malformed.variable} }}}}`",
            )
        elif is_prose(malformed.path):
            at.warn(
                "WARN-ENV02", f"`{malformed.text}` looks like a placeholder but is none; it stays as it is", _RIGHT_FORM
            )
        else:
            at.error("CFG-V03", f"`{malformed.text}` in `{at.key}` is not a valid placeholder", _RIGHT_FORM)
    for path, first_key, second_key in findings.collisions:
        problems.add(
            "error",
            "CFG-V04",
            path,
            f"the keys `{first_key}` and `{second_key}` are the same key once resolved",
            "rename one",
        )
