"""``gameday validate``, ``schema``, ``probes`` and ``faults``: what a playbook can say."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from textwrap import indent

import click

from gameday.cli.variables import read_vars
from gameday.errors import PlaybookInvalid
from gameday.playbook import field_docs, find, json_schema, load, load_target, target_schema
from gameday.sdk import EXPORTERS, FAULTS, PROBES, STAGES, Part, format_duration


def validate_playbooks(names: Sequence[str], var: Sequence[str], target: str | None) -> None:
    """Check each playbook, and the target file that it is meant for; raises PlaybookInvalid with all mistakes."""
    variables, wrong = read_vars(var), []
    file = load_target(target) if target else None
    for name in names:
        try:
            playbook = load(find(name), variables, lab=file is None or bool(file.lab), target=file)
        except PlaybookInvalid as error:
            wrong.append(str(error))
        else:
            counts = f"{len(playbook.probes)} probes, {len(playbook.guards)} guards, {len(playbook.faults)} faults"
            click.echo(f"{name}: valid ({counts})")
    if wrong:
        raise PlaybookInvalid("\n".join(wrong))


def print_schema(of: str | None) -> None:
    """Print the JSON Schema of a playbook; or of a ``target`` file, or of the JSON ``report``."""
    if of == "report":
        from exporters.report.model import Report

        schema = Report.model_json_schema(mode="serialization")
    else:
        schema = target_schema() if of == "target" else json_schema()
    click.echo(json.dumps(schema, indent=2, ensure_ascii=False))


def print_parts(kind: str, *, markdown: bool) -> None:
    """Print each probe, fault or prerequisite with its documentation, parameters and permissions."""
    kinds: dict[str, Mapping[str, type[Part]]] = {"probes": PROBES, "faults": FAULTS, "prerequisites": STAGES}
    parts = [*kinds[kind].values()]
    if markdown:
        click.echo(f"# The {kind}\n\n_Made by `gameday {kind} --markdown`; a test holds it to the code._")
    for number, part in enumerate(parts):
        if markdown:
            click.echo(f"\n## `{part.uses}`\n\n{_about(part)}\n")
            click.echo("| parameter | default | meaning |\n|---|---|---|")
            for name, default, said in _parameters(part):
                click.echo(f"| `{name}` | {default} | {said} |")
            click.echo(f"\nPermissions: {', '.join(f'`{one}`' for one in part.permissions) or 'none'}")
        else:
            click.echo(("\n" if number else "") + click.style(part.uses, bold=True))
            click.echo(indent(_about(part), "  "))
            for name, default, said in _parameters(part):
                click.echo(f"  - {name} ({default})" + (f": {said}" if said else ""))
            click.echo(f"  permissions: {', '.join(part.permissions) or 'none'}")


def print_exporters(*, markdown: bool) -> None:
    """Print each exporter that the environment switches on."""
    if markdown:
        click.echo("# The exporters\n\n_Made by `gameday exporters --markdown`; a test holds it to the code._\n")
        click.echo("Beside what `gameday run --help` offers, these are switched on by the environment.")
    for number, (name, exporter) in enumerate(EXPORTERS.items()):
        said = inspect.getdoc(exporter) or ""
        if markdown:
            click.echo(f"\n## `{name}`\n\n{said}")
        else:
            click.echo(("\n" if number else "") + click.style(name, bold=True))
            click.echo(indent(said, "  "))


def _about(part: type[Part]) -> str:
    return inspect.getdoc(part) or ""


def _parameters(part: type[Part]) -> Iterator[tuple[str, str, str]]:
    """Each parameter's name, default and meaning, in one line each."""
    said = field_docs(part)
    for name, field in part.model_fields.items():
        default = "required" if field.is_required() else _written(field.get_default(call_default_factory=False))
        yield name, default, " ".join((field.description or said.get(name, "")).split())


def _written(value: object) -> str:
    """A default as a playbook would write it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple | list):
        return ", ".join(str(one) for one in value) or "none"
    return str(value) if value not in ("", None) else "none"
