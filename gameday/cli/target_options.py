"""``--target`` and what belongs to it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from gameday.cli.variables import read_vars
from gameday.playbook import Playbook, find, load
from gameday.target import Target, TargetChoice, open_target


def read_target(target: str, account: str | None, region: str | None, profile: str | None, preset: str) -> TargetChoice:
    """The target that the options name; raises click.UsageError for one that is incomplete."""
    if target == "lab":
        return TargetChoice("embedded", region=region or "", account=account or "", preset=preset)
    if target.startswith("lab="):
        return TargetChoice("lab", url=target.removeprefix("lab="), region=region or "", account=account or "")
    if target != "aws":
        raise click.UsageError(f"--target {target!r} is none of: lab, lab=URL, aws")
    if not account or not region:
        raise click.UsageError("--target aws needs --account ID and --region REGION: no real account by accident")
    return TargetChoice("aws", account=account, region=region, profile=profile or "")


@contextmanager
def playbook_on_target(
    playbook: str, var: tuple[str, ...], target: dict[str, str | None], *, purpose: str, no_lab: str
) -> Iterator[tuple[Playbook, Target]]:
    """A playbook and the AWS that the options name, open until the block ends.

    For commands that need an AWS which outlives them: ``no_lab`` says why an embedded lab is none. ``purpose`` is the
    beginning of the run id in the user agent.
    """
    choice = read_target(
        target["target"] or "lab", target["account"], target["region"], target["profile"], target["preset"] or "brisk"
    )
    if choice.kind == "embedded":
        raise click.UsageError(no_lab)
    loaded = load(find(playbook), read_vars(var), lab=choice.is_lab)
    opened = open_target(choice, f"{purpose}-{secrets.token_hex(4)}", datetime.now(UTC))
    try:
        yield loaded, opened
    finally:
        opened.close()
