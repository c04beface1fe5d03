"""``--target`` and what belongs to it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from gameday.cli.variables import read_vars
from gameday.playbook import Playbook, find, load, load_target
from gameday.target import Target, TargetChoice, choice_of, open_target


def read_target(target: str, account: str | None, region: str | None, profile: str | None, preset: str) -> TargetChoice:
    """The target that the options name.

    Raises click.UsageError for one that is incomplete, and PlaybookInvalid for a target file with mistakes.
    """
    if target == "lab":
        return TargetChoice("embedded", region=region or "", account=account or "", preset=preset)
    if target.startswith("lab="):
        return TargetChoice("lab", url=target.removeprefix("lab="), region=region or "", account=account or "")
    if target != "aws":
        return _from_file(target, {"--account": account, "--region": region, "--profile": profile}, preset)
    if not account or not region:
        raise click.UsageError("--target aws needs --account ID and --region REGION: no real account by accident")
    return TargetChoice("aws", account=account, region=region, profile=profile or "")


def _from_file(target: str, besides: dict[str, str | None], preset: str) -> TargetChoice:
    if not target.endswith((".yaml", ".yml")) and not Path(target).exists():
        raise click.UsageError(f"--target {target!r} is none of: lab, lab=URL, aws, and no target file (FILE.yaml)")
    for option, value in besides.items():
        if value:
            raise click.UsageError(f"{option} does not go with a target file: {target} says it")
    return choice_of(load_target(target), preset)


def journal_of(journal: str | None, choice: TargetChoice) -> str | None:
    """Where the journal is, as far as it is said: --journal, else the target file's."""
    return journal or (choice.file.journal if choice.file else "") or None


def journal_words(journal: str | None, choice: TargetChoice, target: str) -> str | None:
    """How a command names that journal: by --journal as it was given, else by the target file."""
    return journal or (target if choice.file and (choice.file.journal or choice.file.journal_seal) else None)


def load_for(playbook: str, var: tuple[str, ...], choice: TargetChoice) -> Playbook:
    """A playbook with the variables and identities of the target; raises PlaybookInvalid."""
    return load(find(playbook), read_vars(var), lab=choice.is_lab, target=choice.file)


@contextmanager
def playbook_on_target(
    playbook: str, var: tuple[str, ...], target: dict[str, str | None], *, purpose: str, no_lab: str
) -> Iterator[tuple[Playbook, Target, TargetChoice]]:
    """A playbook and the AWS that the options name, open until the block ends.

    For commands that need an AWS which outlives them: ``no_lab`` says why an embedded lab is none. ``purpose`` is the
    beginning of the run id in the user agent.
    """
    choice = read_target(
        target["target"] or "lab", target["account"], target["region"], target["profile"], target["preset"] or "brisk"
    )
    if choice.kind == "embedded":
        raise click.UsageError(no_lab)
    loaded = load_for(playbook, var, choice)
    opened = open_target(choice, f"{purpose}-{secrets.token_hex(4)}", datetime.now(UTC))
    try:
        yield loaded, opened, choice
    finally:
        opened.close()
