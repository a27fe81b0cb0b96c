"""`aura schema`: what an editor needs to know about the agent file."""

from __future__ import annotations

import click


@click.command("schema", short_help="Print the JSON Schema of the agent file.")
def command() -> None:
    """Print the JSON Schema of the agent file.

    Save it and name it in the first line of an agent file, `#:schema ./agent.schema.json`: editors then complete and
    check keys.
    """
    import json

    from aura_py.config.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
