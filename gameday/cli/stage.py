"""``gameday stage`` and ``gameday unstage``."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import click

from gameday.cli.target_options import read_target
from gameday.cli.variables import read_vars
from gameday.errors import Refused
from gameday.playbook import Playbook, find, load
from gameday.sdk import AWS
from gameday.target import open_target


def stage_playbook(playbook: str, var: tuple[str, ...], **target: str | None) -> None:
    """Make what is missing; raises Refused where something that exists is not fit."""
    _with_target(playbook, var, target, _make)


def unstage_playbook(playbook: str, var: tuple[str, ...], **target: str | None) -> None:
    """Remove what gameday made, in the reverse order."""
    _with_target(playbook, var, target, _unmake)


def _with_target(
    playbook: str, var: tuple[str, ...], target: dict[str, str | None], work: Callable[[Playbook, AWS], None]
) -> None:
    choice = read_target(
        target["target"] or "lab", target["account"], target["region"], target["profile"], target["preset"] or "brisk"
    )
    if choice.kind == "embedded":
        raise click.UsageError("an embedded lab ends with its run; name the AWS to stage in: --target lab=URL or aws")
    loaded = load(find(playbook), read_vars(var), lab=choice.is_lab)
    opened = open_target(choice, f"stage-{secrets.token_hex(4)}", datetime.now(UTC))
    try:
        work(loaded, opened.session)
    finally:
        opened.close()


def _make(playbook: Playbook, aws: AWS) -> None:
    for use in playbook.stage:
        if not use.part.check(aws):
            click.echo(f"{use.uses}: is there and fit; left as it is")
            continue
        use.part.make(aws)
        if still := use.part.check(aws):
            raise Refused(f"stage {use.uses}: {still}")
        click.echo(f"{use.uses}: made")


def _unmake(playbook: Playbook, aws: AWS) -> None:
    for use in reversed(playbook.stage):
        click.echo(f"{use.uses}: {use.part.unmake(aws)}")
