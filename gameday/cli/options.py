"""Options that several commands share; nothing heavy is imported here."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from gameday.cli import completion

F = TypeVar("F", bound=Callable[..., object])


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without the garbage collector: importing allocates much and frees nothing (a tenth of the start).

    What is imported is then kept out of every later collection, which also keeps those short while a key is off.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def journal_option(command: F) -> F:
    """Where the journal is."""
    return click.option(
        "--journal",
        metavar="FILE|URL",
        help="Where runs and undo steps are kept; a target file means the one that it names.  "
        "[default: $GAMEDAY_JOURNAL, or journal.db in the state directory]",
    )(command)


def target_options(command: F) -> F:
    """Which AWS."""
    for option in (
        click.option("--profile", help="One of boto3's profiles, with --target aws."),
        click.option("--region", help="The Region; needed with --target aws."),
        click.option("--account", help="The account that you mean; needed with --target aws, and STS must agree."),
        click.option(
            "--preset",
            type=click.Choice(["instant", "brisk", "aws"]),
            default="brisk",
            show_default=True,
            help="How fast the embedded lab is.",
        ),
        click.option(
            "--target",
            metavar="lab|lab=URL|aws|FILE.yaml",
            shell_complete=completion.targets,
            default="lab",
            show_default=True,
            help="Which AWS: an embedded lab, one that is already up, a real account, or what a target file says.",
        ),
    ):
        command = option(command)
    return command


def vars_option(command: F) -> F:
    """The values of variables."""
    return click.option("--var", "var", multiple=True, metavar="NAME=VALUE", help="A variable's value; repeatable.")(
        command
    )


def seconds_option(text: str, name: str) -> float:
    """A duration on the command line, ``90s`` or ``10m``, in seconds; raises click.UsageError."""
    from gameday.sdk import parse_duration

    try:
        value = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from error
    return float(getattr(value, "total_seconds", lambda: 0.0)())
