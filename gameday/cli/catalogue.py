"""``gameday validate``, ``schema``, ``probes`` and ``faults``: what a playbook can say."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence

import click

from gameday.cli.variables import read_vars
from gameday.errors import PlaybookInvalid
from gameday.playbook import find, json_schema, load
from gameday.sdk import FAULTS, PROBES, Part


def validate_playbooks(names: Sequence[str], var: Sequence[str]) -> None:
    """Check each playbook; raises PlaybookInvalid with the mistakes of all."""
    variables, wrong = read_vars(var), []
    for name in names:
        try:
            playbook = load(find(name), variables)
        except PlaybookInvalid as error:
            wrong.append(str(error))
        else:
            counts = f"{len(playbook.probes)} probes, {len(playbook.guards)} guards, {len(playbook.faults)} faults"
            click.echo(f"{name}: valid ({counts})")
    if wrong:
        raise PlaybookInvalid("\n".join(wrong))


def print_schema() -> None:
    """Print the JSON Schema."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def print_parts(kind: str) -> None:
    """Print each probe or fault with its documentation, parameters and permissions."""
    parts: list[type[Part]] = [*PROBES.values()] if kind == "probes" else [*FAULTS.values()]
    for number, part in enumerate(parts):
        click.echo(("\n" if number else "") + click.style(part.uses, bold=True))
        for line in (inspect.getdoc(part) or "").splitlines():
            click.echo(f"  {line}".rstrip())
        for name, field in part.model_fields.items():
            needed = "required" if field.is_required() else f"default {field.get_default()!s}"
            said = f": {field.description}" if field.description else ""
            click.echo(f"  - {name} ({needed}){said}")
        click.echo(f"  permissions: {', '.join(part.permissions) or 'none'}")
