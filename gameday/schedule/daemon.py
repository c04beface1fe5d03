"""The daemon: an alarm clock, claims in the journal, and a process for each game day."""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler

from gameday.errors import JournalError
from gameday.journal import DueRecord, Owner
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from gameday.schedule.calendar import begins, due_after
from gameday.schedule.entries import Entries, Entry
from gameday.schedule.launch import ALL_OUTCOMES, Launcher
from gameday.schedule.numbers import Numbers, serve
from gameday.schedule.occasion import Occasion, Stop
from gameday.schedule.patrol import Patrol
from gameday.schedule.trigger import CalendarTrigger
from gameday.schedule.windows import utc

log = logging.getLogger("gameday.schedule")

MOST_MISSED = 500
"""Due times missed in a row that get a line each; what is missed beyond them is counted in one more."""
SKEW_WORTH_SAYING = 2.0
STALE = 60.0
"""Seconds without a round after which the daemon is not healthy."""
WATCH_EVERY = 5.0


@dataclass(frozen=True)
class Settings:
    """How the daemon behaves.

    Parameters
    ----------
    listen: host and port of metrics and health.
    limit: game days under way at once, on all daemons of the journal together.
    rolls_back: whether SIGTERM rolls a running game day back, or lets it finish.
    patrol_every: seconds between two looks at what others left behind.
    """

    listen: tuple[str, int]
    limit: int
    rolls_back: bool
    patrol_every: float = WATCH_EVERY


class Daemon:
    """Runs game days when they are due, until it is told to end."""

    def __init__(self, entries: Entries, journal: SqlJournal, launcher: Launcher, settings: Settings) -> None:
        self._source, self._journal, self._launcher, self._settings = entries, journal, launcher, settings
        self._times, self._owner, self._numbers = DueTimes(journal.database), Owner.this(), Numbers()
        self._patrol = Patrol(journal, self._times, launcher, self._owner, self._numbers, self._resume, self._labels)
        self._clock = BackgroundScheduler(timezone=UTC)
        self._entries: Mapping[str, Entry] = {}
        self._dealing = threading.Lock()
        self._occasions: set[Occasion] = set()
        self._stop = Stop(threading.Event(), settings.rolls_back)
        self._ahead = timedelta()
        self._looked, self._up = time.monotonic(), True

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code. Call it on the main thread."""
        reader = _signals()
        server = serve(self._numbers, *self._settings.listen, self._unhealthy, self._unready)
        log.info("metrics and health on http://%s:%s", *server.server_address[:2])
        self._asking(self._compare_clocks)
        self._load()
        self._clock.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        while not self._stop.now.is_set():
            select.select([reader], [], [])
            for number in os.read(reader, 64):
                self._signalled(signal.Signals(number))
        self._clock.shutdown(wait=False)
        for occasion in list(self._occasions):
            occasion.join()
        server.shutdown()
        return 0

    def _signalled(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            self._load()
            return
        what = "rolls back" if self._settings.rolls_back else "may finish"
        under_way = f"; {len(self._occasions)} under way {what}" if self._occasions else ""
        log.warning("%s: no more game days begin%s", number.name, under_way)
        self._stop.now.set()

    def _load(self) -> None:
        """Read the playbooks again; what is broken is said, and its old version kept."""
        entries, wrong = self._source.load()
        for sentence in wrong:
            log.error("%s", sentence)
        self._numbers.broken.set(len(wrong))
        with self._dealing:
            self._entries = entries
        self._clock.remove_all_jobs()
        for entry in entries.values():
            trigger = CalendarTrigger(entry.schedule, entry.id, lambda: self._ahead)
            for outcome in ALL_OUTCOMES:  # a counter that begins at 0 shows its first increase
                self._numbers.due.labels(*entry.labels, outcome)
            self._clock.add_job(self._alarm, trigger, args=[entry.id], misfire_grace_time=None, coalesce=True)
            self._asking(partial(self._deal, entry))  # a new one is watched from here on
            upcoming = trigger.get_next_fire_time(None, datetime.now(UTC))
            said = utc(upcoming - self._ahead) if upcoming else "no time any more"  # the alarm is our own clock's
            log.info("%s: next at %s", entry.name, said)
        log.info("%d scheduled, %d broken", len(entries), len(wrong))

    def _alarm(self, id_: str) -> None:
        entry = self._entries.get(id_)
        if entry is not None and not self._stop.now.is_set():
            self._asking(lambda: self._deal(entry))

    def _deal(self, entry: Entry) -> None:
        """Claim what is due, and note what has been missed; nothing is run in a burst."""
        with self._dealing:
            now, last = self._times.now(), self._times.last(entry.id, self._owner)
            due = self._due(entry, last, now)
            for moment in due[:-1]:
                self._missed(entry, moment, "nobody was there to run it in time")
            if due and now > entry.latest(due[-1]):
                self._missed(entry, due[-1], "nobody was there to run it in time")
            elif due:
                run = secrets.token_hex(4)
                if self._times.claim(entry.id, due[-1], self._owner, run):
                    self._begin(entry, due[-1], run)
        upcoming = next(iter(due_after(entry.schedule, now)), None)
        self._numbers.next.labels(*entry.labels).set(
            begins(entry.schedule, entry.id, upcoming).timestamp() if upcoming else 0
        )

    def _due(self, entry: Entry, last: datetime, now: datetime) -> list[datetime]:
        """The due times that have come and are nobody's, in order; most of them only after a long absence."""
        found: list[datetime] = []
        beyond = 0
        for moment in due_after(entry.schedule, last):
            if begins(entry.schedule, entry.id, moment) > now:
                break
            if len(found) > MOST_MISSED:
                beyond, found[-1] = beyond + 1, moment
            else:
                found.append(moment)
        if beyond:
            said = f"and {beyond} more before it: nobody was there to run them in time"
            self._missed(entry, found.pop(-2), said, count=beyond + 1)
        return found

    def _missed(self, entry: Entry, due: datetime, why: str, *, count: int = 1) -> None:
        if self._times.note(entry.id, due, self._owner, "missed", why):
            self._numbers.due.labels(*entry.labels, "missed").inc(count)
            log.warning("%s: due %s: missed %s", entry.name, utc(due), why)

    def _begin(self, entry: Entry, due: datetime, run: str) -> None:
        occasion = Occasion(
            entry,
            due,
            run,
            self._times,
            self._launcher,
            owner=self._owner,
            limit=self._settings.limit,
            stop=self._stop,
            settled=self._settled,
        )
        self._occasions.add(occasion)
        self._numbers.running.set(len(self._occasions))
        occasion.start()

    def _labels(self, record: DueRecord) -> tuple[str, ...]:
        """The labels of a due time's series; of one that is not scheduled here the target is in its name only."""
        entry = self._entries.get(record.schedule)
        return entry.labels if entry is not None else (record.name, record.name.rpartition("@")[2], "", "")

    def _resume(self, record: DueRecord) -> bool:
        """Run what a daemon that died had claimed and not begun, while it is not too late; whether it is dealt with."""
        entry, due = self._entries.get(record.schedule), datetime.fromisoformat(record.due_at)
        if entry is None or self._stop.now.is_set() or self._times.now() > entry.latest(due):
            return False
        if self._times.take_over(record, self._owner):
            log.warning("%s: due %s is taken over from %s", entry.name, utc(due), record.claimed_by)
            self._begin(entry, due, record.run)
        return True

    def _settled(self, occasion: Occasion, outcome: str, code: int | None, _detail: str) -> None:
        labels = occasion.entry.labels
        if outcome:
            self._numbers.due.labels(*labels, outcome).inc()
        if code is not None:
            self._numbers.exit.labels(*labels).set(code)
            self._numbers.last.labels(*labels).set(time.time())
            # Whatever its exit code says: the journal may not have heard all of it, or its watchdog may be at work.
            self._asking(lambda: self._patrol.mend(occasion.run_id))
        self._occasions.discard(occasion)
        self._numbers.running.set(len(self._occasions))

    def _watch(self) -> None:
        """Round after round: what an alarm missed, what others left behind, and how the clocks differ."""
        while not self._stop.now.wait(self._settings.patrol_every):
            for entry in self._entries.values():
                self._asking(partial(self._deal, entry))
            self._asking(self._patrol.look)
            self._asking(self._compare_clocks)
            self._looked = time.monotonic()

    def _compare_clocks(self) -> None:
        skew = self._journal.database.skew()
        self._numbers.skew.set(skew)
        if abs(skew) > SKEW_WORTH_SAYING and abs(skew - self._ahead.total_seconds()) > SKEW_WORTH_SAYING:
            log.warning("this machine's clock is %+.1f s off the journal's, which is the one that counts", skew)
        self._ahead = timedelta(seconds=skew) if abs(skew) > SKEW_WORTH_SAYING else timedelta()

    def _asking(self, ask: Callable[[], object]) -> None:
        """Ask the journal; when it does not answer, the next round asks again."""
        try:
            ask()
        except JournalError as error:
            if self._up:
                log.error("%s", error)
            self._up = False
            self._numbers.errors.inc()
        except Exception:  # one round's bug must not end the calendar
            log.exception("a bug in the scheduler")
        else:
            self._up = True
        self._numbers.up.set(self._up)

    def _unhealthy(self) -> str:
        silent = time.monotonic() - self._looked
        return f"no round for {silent:.0f} s" if silent > max(STALE, 3 * self._settings.patrol_every) else ""

    def _unready(self) -> str:
        if self._stop.now.is_set():
            return "ending"
        if not self._up:
            return "the journal does not answer"
        return "" if self._entries else "nothing is scheduled"


def _signals() -> int:
    """A descriptor on which each signal that concerns the daemon arrives as a byte."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    return reader


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the descriptor says it all."""
