"""What a dashboard says, without Grafana's words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AT = 'target=~"$target", account=~"$account", region=~"$region"'
BOOK = f'playbook=~"$playbook", {AT}'
PLACE = "target, account, region"
OWNED = f"playbook, {PLACE}"
"""What tells one playbook's series from another's, and one target's from another's."""
ERRORS = f'gameday_probe_observations_total{{{BOOK}, cause!~"ok|found"}}'

Shape = Literal["stat", "lines", "states", "bars"]
Steps = tuple[tuple[float | None, str], ...]
GOOD_AT_0: Steps = ((None, "green"), (1, "red"))
GOOD_AT_1: Steps = ((None, "red"), (1, "green"))
SHARE: Steps = ((None, "green"), (0.7, "orange"), (1, "red"))
PLAIN: Steps = ((None, "blue"),)


@dataclass(frozen=True)
class Panel:
    """One panel: what it asks, and how it shows the answer.

    Parameters
    ----------
    queries: PromQL and the legend of its series.
    width: of 24 columns.
    steps: thresholds, from which value on which colour.
    words: values that are shown as words.
    """

    title: str
    about: str
    shape: Shape
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    steps: Steps = PLAIN
    words: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Board:
    """One dashboard: its rows with their panels."""

    uid: str
    title: str
    about: str
    since: str
    refresh: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def newest(metric: str, by: str, more: str = "") -> str:
    """A metric once for each of its labels, also where both a run and a watch serve it."""
    by = by.replace("playbook", OWNED)
    return f"max by ({by}) (gameday_{metric}{{{BOOK}{more}}})"


UP_DOWN = (("0", "dark", "dark-purple"), ("1", "up", "green"))
AS_EXPECTED = (("0", "no", "red"), ("1", "yes", "green"))
