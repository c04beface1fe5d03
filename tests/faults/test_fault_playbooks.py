"""Every playbook that ships, as a process of its own on a lab of its own: its exit code, and the account as it was.

A game day is mostly waited for, so some go on side by side, and each test waits for the end of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import pytest
from aws_rig import INSTANT, REGION

from gameday.lab import LabControl, start
from tests.deep import account

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
AT_ONCE = 4
EVERY = ("every: 1s", "every: 50ms")
QUICK = (("hold: 5s", "hold: 0s"), EVERY)
SOON = (EVERY, ("60s", "1s"), ("within: 3m", "within: 1s"), ("evidence_within: 20m", "evidence_within: 1s"))
"""For what never comes, the evidence of it too."""


@dataclass(frozen=True)
class GameDay:
    """A shipped playbook, made quick by replacing some of its text; with a knob turned off the lab misbehaves."""

    name: str
    more: tuple[str, ...] = ()
    knob: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.name, *self.more[1:], self.knob)))

    def tell(self, place: Path) -> None:
        """Stage it, run it, and look whether all is as it was."""
        text = (PLAYBOOKS / f"{self.name}.yaml").read_text()
        for slow, quick in SOON if self.knob else QUICK:
            text = text.replace(slow, quick)
        place.mkdir(parents=True)
        (place / "playbook.yaml").write_text(text)
        with start("instant") as lab:
            lab.control.knobs(**INSTANT)
            session = boto3.Session("test", "test", region_name=REGION)  # no two threads may share one
            client = partial(session.client, endpoint_url=lab.control.url)
            self._gameday(lab.control, place, "stage", ends_with=0)
            before = account(client)
            assert "alias/MyKMSKey" in before, "the account is looked at, and staged"
            if self.knob:
                lab.control.knobs(**{self.knob: False})
            said = self._gameday(
                lab.control, place, "run", "--journal", str(place / "j.db"), ends_with=1 if self.knob else 0
            )
            assert "rollback complete" in said or not self.knob, said
            assert account(client) == before

    def _gameday(self, lab: LabControl, place: Path, *words: str, ends_with: int) -> str:
        command = [str(Path(sys.executable).with_name("gameday")), *words, str(place / "playbook.yaml")]
        command += ["--target", f"lab={lab.url}", *self.more]
        said = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert said.returncode == ends_with, said.stdout + said.stderr
        return said.stdout


PASS = [
    *(GameDay(path.stem) for path in sorted(PLAYBOOKS.glob("*.yaml"))),
    GameDay("public-access", ("--var", "how=policy")),
]
FAIL = [
    GameDay("killswitch", knob="enforce_key"),
    GameDay("spare-volume", knob="enforce_key"),
    GameDay("schedule-deletion", knob="enforce_key"),
    GameDay("revoke-by-policy", knob="enforce_policies"),
    GameDay("revoke-by-iam", knob="enforce_policies"),
]


@pytest.fixture(scope="module")
def told(
    selected: Callable[[str], list[GameDay]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[GameDay, Future[None]]]:
    """The game days that were selected."""
    place = tmp_path_factory.mktemp("game-days")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {game_day: pool.submit(game_day.tell, place / str(game_day)) for game_day in selected("game_day")}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("game_day", PASS, ids=str)
def test_it_passes_and_leaves_nothing(told: dict[GameDay, Future[None]], game_day: GameDay) -> None:
    told[game_day].result()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("game_day", FAIL, ids=str)
def test_where_aws_does_not_do_what_is_expected_it_fails_and_puts_back(
    told: dict[GameDay, Future[None]], game_day: GameDay
) -> None:
    """The other playbooks' failures: tests/probes/test_access_playbooks.py and tests/e2e_volume."""
    told[game_day].result()
