"""``--var NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence

import click


def read_vars(pairs: Sequence[str]) -> dict[str, str]:
    """The pairs as a mapping; raises click.UsageError for one that is no pair, or a name given twice."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--var {pair!r} is not NAME=VALUE")
        if name in found:
            raise click.UsageError(f"--var {name} is given twice")
        found[name] = value
    return found
