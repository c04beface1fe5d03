"""``gameday stage`` and ``gameday unstage``."""

from __future__ import annotations

from collections.abc import Callable

from gameday.cli.say import say
from gameday.cli.target_options import playbook_on_target
from gameday.errors import Refused
from gameday.playbook import Playbook
from gameday.sdk import AWS


def stage_playbook(playbook: str, var: tuple[str, ...], **target: str | None) -> None:
    """Make what is missing; raises Refused where something that exists is not fit."""
    _with_target(playbook, var, target, _make)


def unstage_playbook(playbook: str, var: tuple[str, ...], **target: str | None) -> None:
    """Remove what gameday made, in the reverse order."""
    _with_target(playbook, var, target, _unmake)


def _with_target(
    playbook: str, var: tuple[str, ...], target: dict[str, str | None], work: Callable[[Playbook, AWS], None]
) -> None:
    why = "an embedded lab ends with its run; name the AWS to stage in: --target lab=URL, aws, or a target file"
    with playbook_on_target(playbook, var, target, purpose="stage", no_lab=why) as (loaded, opened, _):
        work(loaded, opened.session)


def _make(playbook: Playbook, aws: AWS) -> None:
    for use in playbook.stage:
        if not use.part.check(aws):
            say(f"{use.uses}: is there and fit; left as it is")
            continue
        use.part.make(aws)
        if still := use.part.check(aws):
            raise Refused(f"stage {use.uses}: {still}")
        say(f"{use.uses}: made")


def _unmake(playbook: Playbook, aws: AWS) -> None:
    for use in reversed(playbook.stage):
        say(f"{use.uses}: {use.part.unmake(aws)}")
