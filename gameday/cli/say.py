"""What commands print: every text goes through here, so that none can move a terminal's cursor or hide a line."""

from __future__ import annotations

import click


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text, harmless whatever they hold: names, reasons and answers come from others."""
    from gameday.sdk import clean_lines

    click.echo(clean_lines(str(text)), err=err, nl=nl)
