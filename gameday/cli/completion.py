"""What the shell completes besides commands and options: playbooks, run ids, target files."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

MOST = 50
"""Run ids that are offered, newest first."""


def playbooks(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The playbooks that ship with gameday, and any file."""
    from gameday.playbook import shipped

    found = [CompletionItem(name, help="ships with gameday") for name in shipped() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def runs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the journal's runs; none where there is no journal, or none that opens."""
    from gameday.errors import GamedayError
    from gameday.journal.sql import SqlJournal, default_place

    place = str(ctx.params.get("journal") or default_place())
    try:
        known = SqlJournal(place, create=False).runs(MOST)
    except (GamedayError, OSError):  # there is nothing to offer, and nobody to tell
        return []
    return [CompletionItem(one.run, help=one.playbook) for one in known if one.run.startswith(incomplete)]


def targets(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``lab`` and ``aws``, and any file."""
    named = {"lab": "an embedded lab", "aws": "a real account, with --account and --region"}
    found = [CompletionItem(name, help=said) for name, said in named.items() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]
