"""The onlookers: what other people do to the run's resources while it is on, from CloudTrail and from reads.

They look gently, they hold up nothing, and what they cannot see they say.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from gameday.errors import JournalError
from gameday.machine import Run, Stage
from gameday.machine.inputs import OthersSeen, OthersWatching, StateSeen
from gameday.machine.state import TOUCHED, Armed, Readiness
from gameday.rollback.hands import Clock, Post
from gameday.sdk import AWS, Drifted, Restored, Step, StillOurs, TrailRecord

log = logging.getLogger(__name__)

_RUN = re.compile(r"\bgameday/([0-9a-z-]+)")

EVERY = 2.0
"""Seconds between two looks, each of one resource in turn: LookupEvents allows an account two requests a second, and
the run's evidence and other runs need them too."""
UNHURRIED = 10.0
"""Seconds between two looks once everything is put back: the run's evidence needs those two requests a second more."""
SLOWEST = 60.0
"""Seconds between two looks where CloudTrail throttles."""


class Onlookers(threading.Thread):
    """Watches the resources of one run, on a thread of its own.

    Parameters
    ----------
    aws: the run's session; nothing is changed with it.
    steps: the undo steps by id.
    state: gives the run as it stands.
    over: whether a run of that id is over: it had the resource before this one, and its calls are no news; raises
        JournalError when it is not known.
    post: takes what was seen.
    clock: the run's steady clock.
    """

    def __init__(
        self,
        aws: AWS,
        steps: Mapping[str, Step],
        state: Callable[[], Run],
        over: Callable[[str], bool],
        post: Post,
        clock: Clock,
    ) -> None:
        super().__init__(name="onlookers", daemon=True)
        self._aws, self._steps, self._state = aws, steps, state
        self._over_before, self._post, self._clock = over, post, clock
        self._over = threading.Event()
        self._began = datetime.now(UTC).timestamp() - clock()
        self._watching: bool | None = None
        self._pause = EVERY
        self._in_place: set[str] = set()
        self._suspicious: dict[str, str] = {}

    def run(self) -> None:
        """Look until the run ends."""
        resources = tuple(dict.fromkeys(step.resource for step in self._steps.values()))
        turn = 0
        while resources and not self._over.wait(self._between()):
            resource = resources[turn % len(resources)]
            turn += 1
            try:
                if self._watching is not False:
                    self._look_up(resource)
                self._read(resource)
            except Exception:  # an onlooker's own bug must not reach the run
                log.exception("the onlookers failed on %s", resource)

    def _between(self) -> float:
        return max(self._pause, UNHURRIED if self._state().stage is Stage.EVIDENCE else 0.0)

    def stop(self) -> None:
        """End after the look that is under way."""
        self._over.set()

    # CloudTrail

    def _look_up(self, resource: str) -> None:
        records: list[TrailRecord] = []
        with self._aws.answering() as answer:
            page = self._aws.client("cloudtrail").lookup_events(
                LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": name_in_trail(resource)}],
                StartTime=self._aws.started.replace(microsecond=0),
            )
            records = [TrailRecord.parse(event.get("CloudTrailEvent", "{}")) for event in page["Events"]]
        if answer.ok:
            self._pause = EVERY
            self._say(ok=True)
            for record in foreign(records, self._aws.run):
                changed = record.time.timestamp() - self._began
                if changed < 0 or self._of_earlier(record):  # records carry whole seconds
                    continue
                seen = OthersSeen(self._clock(), resource, record.principal, record.name, changed, "CloudTrail")
                self._post(seen)
        elif answer.cause in ("access_denied", "credentials", "invalid"):
            self._say(ok=False, why=f"cloudtrail:LookupEvents was refused ({answer.code or answer.cause})")
        else:  # throttled or silent: it may come back
            self._pause = min(self._pause * 2, SLOWEST)

    def _of_earlier(self, record: TrailRecord) -> bool:
        """Whether a run made it that gave the resource back before this one took it, maybe within one second."""
        named = _RUN.search(record.user_agent)
        try:
            return named is not None and self._over_before(named[1])
        except JournalError:  # then it is told: rather once too often
            return False

    def _say(self, *, ok: bool, why: str = "") -> None:
        if self._watching is not ok:
            self._watching = ok
            detail = why or "CloudTrail, some minutes late"
            self._post(OthersWatching(self._clock(), ok, detail))

    # Reads

    def _read(self, resource: str) -> None:
        """In the fault: a resource that does not read as we left it was changed by somebody."""
        for armed in self._injected(self._state(), resource):
            asked = self._clock()
            found = self._steps[armed.spec.id].read_back(self._aws, armed.before)
            said = ""
            if found.state:
                self._post(StateSeen(self._clock(), resource, found.state, asked))
            if isinstance(found, StillOurs):
                self._in_place.add(armed.spec.id)
            if isinstance(found, Restored) and armed.spec.id in self._in_place:  # else the inject may be late
                said = f"reads as restored, though this run has not undone it: {found.detail}"
            elif isinstance(found, Drifted):
                said = found.detail
            # One read may be stale or come from another front-end: it is believed when the next says the same.
            again = bool(said) and self._suspicious.get(armed.spec.id) == said
            if again and armed.spec.id in {one.spec.id for one in self._injected(self._state(), resource)}:
                self._post(OthersSeen(self._clock(), resource, "", said, self._clock(), "read"))
            self._suspicious[armed.spec.id] = said

    def _injected(self, run: Run, resource: str) -> list[Armed]:
        """The faults' steps on a resource whose change was made, or may have been, and is the run's last word on it."""
        if run.stage is not Stage.FAULT or run.fault_at is None:
            return []
        touched = [s for s in run.steps.values() if s.spec.resource == resource and s.readiness in TOUCHED]
        last = {self._steps[s.spec.id].aspect or s.spec.id: s for s in touched}  # a later step supersedes an earlier
        return [s for s in last.values() if not s.spec.probe and s.readiness is Readiness.INJECTED]


def foreign(records: list[TrailRecord], run: str) -> Iterator[TrailRecord]:
    """The changes that were not made by this run, nor by those who finish its rollback, oldest first."""
    return (record for record in reversed(records) if record.changed and f"gameday/{run}" not in record.user_agent)


def name_in_trail(resource: str) -> str:
    """How CloudTrail's event history names a resource: a key by its ARN, everything else by its name or id."""
    return resource if ":kms:" in resource else resource.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
