"""``--target`` and what belongs to it."""

from __future__ import annotations

import click

from gameday.target import TargetChoice


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
