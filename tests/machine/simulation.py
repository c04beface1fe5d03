"""The machine under a deterministic clock, against KMS and a journal in memory, with trouble drawn from a seed.

What a seed draws is all that differs between two runs, so a seed that breaks a promise replays exactly:
``python -m tests.machine.simulate --seed N``.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf

from gameday.errors import GamedayError
from gameday.journal import StepRecord, StepState
from gameday.machine import Expect, ProbeSpec, Spec, StepSpec, Timing
from gameday.machine.commands import CloseStep, Sample
from gameday.machine.inputs import Observed, Signalled, Tick
from gameday.machine.rollback import Undoing
from gameday.rollback.claim import Lost, lost
from gameday.sdk import Cause, Closed, Observation, Phase, Rank
from tests.machine.actors import Actor, Rescuer, Runner
from tests.machine.memory_journal import MemoryJournal
from tests.machine.model_kms import DISABLED, ENABLED, PENDING, Key, State

TIMING = Timing(hold=1.0, max_fault=60.0, rollback_within=60.0, settle=10.0, call_limit=8.0)
LONGEST_STALENESS = 4.0
"""Seconds that a read may be behind; below the time that an unconfirmed "restored" must last."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
WATCHDOG_MARGIN = 2.0
LONGEST = 3000.0


@dataclass(frozen=True)
class Trouble:
    """How often each kind of trouble strikes; probabilities, of one call or of the whole run."""

    inject: float = 0.0
    undo: float = 0.0
    read: float = 0.0
    look: float = 0.0
    foreign: float = 0.0
    signal: float = 0.0
    crash: float = 0.0
    watchdog: float = 0.0
    """That the watchdog dies too, at some time."""
    stop: float = 0.0
    """That the runner is stopped for a while (SIGSTOP, a laptop that sleeps)."""
    halt: float = 0.0
    abandon: float = 0.0
    journal: float = 0.0
    """That the journal does not answer for a while."""
    rival: float = 0.0
    """That another run wants the same key."""
    human: float = 0.0
    """That somebody calls `gameday rollback` while the watchdog is at it."""

    @classmethod
    def mixed(cls, seed: int) -> Trouble:
        """The mix for a seed: from none to plenty."""
        chance = (seed % 10) / 10
        rare = 0.0 if seed % 7 == 0 else 0.25
        return cls(
            inject=chance,
            undo=chance,
            read=chance,
            look=chance / 3,
            foreign=rare,
            signal=0.3,
            crash=rare * 2,
            watchdog=rare * 2,
            stop=rare / 2,
            halt=rare / 2,
            abandon=rare / 2,
            journal=rare / 2,
            rival=rare,
            human=rare,
        )


def spec(keys: int = 1, *, every: float = 1.0) -> Spec:
    """A kill switch on so many keys, each with a probe; every third key loses its policy instead."""
    expect = {
        Phase.BASELINE: Expect(frozenset({"ok"}), 0.0),
        Phase.FAULT: Expect(frozenset({"key_disabled"}), 20.0),
        Phase.RECOVERY: Expect(frozenset({"ok"}), 20.0),
    }
    uses = ["kms.disable_key", "kms.disable_key", "kms.deny"]
    ranks = [Rank.KEY, Rank.KEY, Rank.POLICY]
    steps = [StepSpec(f"s{n}", uses[n % 3], "inject", f"key{n}", ranks[n % 3], n) for n in range(keys)]
    probes = [ProbeSpec(f"p{n}", expect, every) for n in range(keys)]
    return Spec(tuple(probes), tuple(steps), TIMING)


@dataclass
class Foreign:
    """What somebody else did."""

    at: float
    resource: str
    what: str
    sid: str = ""


class World:
    """Everything from the beginning of a run to the last late effect and the last rollback."""

    def __init__(self, seed: int, trouble: Trouble, keys: int = 1) -> None:
        self.random, self.seed, self.trouble = random.Random(seed), seed, trouble
        self.now, self._order = 0.0, count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.keys = {f"key{n}": Key(on_change=self._changed(f"key{n}")) for n in range(keys)}
        self.timing, self.longest_staleness = TIMING, LONGEST_STALENESS
        self.beat = 1.0 if trouble.halt or trouble.abandon or trouble.journal else 4.0
        self._down = (inf, inf)
        self.journal = MemoryJournal(lambda: EPOCH + timedelta(seconds=self.now), self._journal_is_down)
        self.receipts: list[tuple[str, CloseStep]] = []
        self.runs: list[Runner] = []
        self.rescuers: list[Rescuer] = []
        self.foreign: list[Foreign] = []
        self.closed: dict[tuple[str, str], tuple[float, Closed]] = {}
        self.calls: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.watchdog_dies_at = self.random.uniform(0, 60) if self.strikes(trouble.watchdog) else inf

    def run(self) -> World:
        """To the end; then whoever comes later finishes what is still open."""
        crash_at = self.random.randrange(1, 60) if self.strikes(self.trouble.crash) else -1
        runner = Runner(self, "aaaa", spec(len(self.keys)), crash_at=crash_at)
        self.runs.append(runner)
        self._draw_events(runner)
        runner.begin()
        self._until_quiet()
        calm = Trouble()
        for _ in range(3):
            if not self.journal.steps(only_open=True):
                break
            self.later(self.random.choice([0.0, 5.0, 30.0, 3600.0]), lambda: None)
            self._until_quiet()
            self.trouble, self._down = calm, (inf, inf)
            for run in [runner.run for runner in self.runs]:
                self._roll_back_later(run)
            self._until_quiet()
        return self

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something at its time."""
        heapq.heappush(self.agenda, (self.now + seconds, next(self._order), what))

    def strikes(self, chance: float) -> bool:
        """Draw."""
        return chance > 0 and self.random.random() < chance

    def _until_quiet(self) -> None:
        while True:
            actors = [actor for actor in (*self.runs, *self.rescuers) if actor.alive]
            due = self.agenda[0][0] if self.agenda else inf
            wake, sleeper = min(((actor.wake_at(), n) for n, actor in enumerate(actors)), default=(inf, 0))
            if min(due, wake) == inf:
                return
            assert self.now < LONGEST + 4 * 3600, f"seed {self.seed}: it does not end"
            if due <= wake:
                self.now, _, what = heapq.heappop(self.agenda)
                what()
            else:
                self.now = max(self.now, wake)
                actors[sleeper].feed(Tick(self.now))

    # What is drawn

    def _draw_events(self, runner: Runner) -> None:  # noqa: C901 - one short case a trouble
        random, trouble = self.random, self.trouble
        if self.strikes(trouble.signal):
            self.later(random.uniform(0, 40), lambda: runner.feed(Signalled(self.now, "SIGTERM")))
        if self.strikes(trouble.foreign):
            for _ in range(random.randrange(1, 4)):
                self.later(random.choice([random.uniform(0, 10), random.uniform(0, 90)]), self._somebody)
        if self.strikes(trouble.stop):
            self.later(random.uniform(0, 20), lambda: self._stop(runner, random.uniform(1, 120)))
        if self.strikes(trouble.crash / 2):
            self.later(random.uniform(0, 60), runner.die)
        if self.strikes(trouble.halt):
            self.later(random.uniform(0, 20), lambda: self._try(lambda: self.journal.halt("ann", "fire")))
            self.later(random.uniform(20, 60), lambda: self._try(self.journal.resume))
        if self.strikes(trouble.abandon):
            self.later(random.uniform(0, 30), lambda: self._abandon(runner))
        if self.strikes(trouble.journal):
            start = random.uniform(0, 20)
            self._down = (start, start + random.uniform(0.5, 60))
        if self.strikes(trouble.rival):
            self.later(random.uniform(0, 60), self._rival)
        if self.strikes(trouble.human):
            self.later(random.uniform(5, 90), lambda: self._roll_back_later(runner.run))

    def _journal_is_down(self) -> bool:
        return self._down[0] <= self.now < self._down[1]

    def _try(self, what: Callable[[], object]) -> None:
        with suppress(GamedayError):
            what()

    def _abandon(self, runner: Runner) -> None:
        """`gameday abandon`: asks the run that lives, or closes the steps of one that does not."""
        if self._journal_is_down():
            return
        self._try(lambda: self.journal.abandon(runner.run, "ann", "an incident"))
        if not runner.alive and not any(r.alive for r in self.rescuers):
            for state in self.journal.steps(runner.run, only_open=True):
                self.close(runner.run, CloseStep(state.record.id, Closed.ABANDONED, "ann"), None)
            self.release_all(runner.run)

    def _somebody(self) -> None:
        """Someone else changes a key: an incident, or a colleague."""
        resource = self.random.choice(sorted(self.keys))
        key, what = self.keys[resource], self.random.choice(["disable", "enable", "delete", "policy"])
        sid = f"Other{len(self.foreign)}" if what == "policy" else ""
        before = key.now
        {
            "disable": lambda: key.disable(self.now, "other"),
            "enable": lambda: key.enable(self.now, "other"),
            "delete": lambda: key.schedule_deletion(self.now, "other"),
            "policy": lambda: key.put_policy(self.now, "other", key.now.policy | {sid}),
        }[what]()
        if key.now is not before:
            self.foreign.append(Foreign(self.now, resource, what, sid))

    def _stop(self, runner: Runner, seconds: float) -> None:
        runner.stopped_until = self.now + seconds
        limit = runner.state.fault_deadline() + WATCHDOG_MARGIN
        if self.watchdog_dies_at > limit and limit < runner.stopped_until:  # it kills whom it finds asleep at his post
            self.later(limit - self.now, lambda: runner.die() if self.now < runner.stopped_until else None)

    def _rival(self) -> None:
        runner = Runner(self, "bbbb", spec(1))
        self.runs.append(runner)
        runner.begin()

    # What the actors ask of the world

    def runner_died(self, runner: Runner) -> None:
        """The watchdog wakes up, if it lives."""
        if self.now >= self.watchdog_dies_at:
            return

        def wake() -> None:
            if self.now >= self.watchdog_dies_at:
                return
            lands = self.now + TIMING.lands_after_death
            open_ = [undoing(record, 0.0 if over else lands) for record, over in runner.charges.values()]
            # Its undo may be on the wire; or, with nothing to undo, its rehearsal, if it died while it was armed.
            calling = runner.state.rollback is not None or not open_
            rescuer = Rescuer(self, runner.run, tuple(open_), tries_on=True, free_at=lands if calling else 0.0)
            self.rescuers.append(rescuer)
            if self.watchdog_dies_at < inf:
                self.later(self.watchdog_dies_at - self.now, rescuer.die)

        self.later(0.1, wake)

    def _roll_back_later(self, run: str) -> None:
        """`gameday rollback RUN`, from the journal alone; refused while the run lives."""
        if any(runner.run == run and runner.alive for runner in self.runs) or self._journal_is_down():
            return
        for of, command in self.receipts:
            self.journal.close(of, command.step, command.closed, command.detail)
        self.receipts.clear()
        open_ = self.journal.steps(run, only_open=True)
        if not open_:
            return
        record = self.journal.run(run)
        if record.abandon is not None:  # whoever abandoned it was not heard by the run that died
            for state in open_:
                self.close(run, CloseStep(state.record.id, Closed.ABANDONED, "ann"), None)
            self.release_all(run)
            return
        wall = EPOCH + timedelta(seconds=self.now)
        steps = tuple(undoing(s.record, self.now + lands_for(s, record, wall)) for s in open_)
        died_at = next(runner.died_at for runner in self.runs if runner.run == run)
        free_at = died_at + TIMING.lands_after_death  # by then who needs the hold takes it from the dead
        self.rescuers.append(Rescuer(self, run, steps, tries_on=False, free_at=free_at))

    def close(self, run: str, command: CloseStep, writer: Callable[[Callable[[], None]], None] | None) -> None:
        """Somebody closes a step: in the journal, or on a receipt where that does not answer."""
        self.closed.setdefault((run, command.step), (self.now, command.closed))
        if self._journal_is_down():
            self.receipts.append((run, command))
        if writer is not None:
            writer(lambda: self.journal.close(run, command.step, command.closed, command.detail))
        elif not self._journal_is_down():
            self.journal.close(run, command.step, command.closed, command.detail)

    def lost(self, actor: Actor, step: str) -> Lost | None:
        """What the journal says to an undo of somebody who is not the runner; nothing while it is down."""
        if self._journal_is_down() or not isinstance(actor, Rescuer):
            return None
        state = next((s for s in self.journal.steps(actor.run) if s.record.id == step), None)
        holder = self.journal.holds().get(state.record.resource) if state is not None else None
        return lost(state, actor.run, holder)

    def release_all(self, run: str) -> None:
        """Give back what a run held and left nothing open on."""
        for resource, owner in self.journal.holds().items():
            if owner == run:
                self._try(lambda resource=resource: self.journal.release(run, resource))  # type: ignore[misc]

    def open_steps(self, run: str) -> list[str]:
        """What is open, receipts taken into account."""
        told = {(of, command.step) for of, command in self.receipts}
        states = self.journal.steps(run, only_open=True)
        return [state.record.id for state in states if (run, state.record.id) not in told]

    def check_fence(self, runner: Runner, step: str) -> None:
        """An inject is being sent: the hold must be the run's, whatever has happened meanwhile."""
        resource = runner.hands.specs[step].resource
        if self.journal.holds().get(resource) != runner.run:
            self.wrong.append(f"{runner.run} injects {step} without the hold")

    def look(self, runner: Runner, command: Sample) -> None:
        """A probe looks."""
        key = self.keys["key" + command.probe[1:]]

        def answer(seconds: float, cause: Cause) -> None:
            seen = Observation(cause=cause)
            self.later(seconds, lambda: runner.feed(Observed(self.now, command.sample, seen)))

        if self.strikes(self.trouble.look):
            kind = self.random.choice(["never", "unreachable", "throttled"])
            return None if kind == "never" else answer(1.0, Cause(kind))
        seen = key.then(self.now - self.random.uniform(0, 1.5))
        denied = any(sid.startswith("Gameday") for sid in seen.policy)
        causes = {ENABLED: Cause.OK, DISABLED: Cause.KEY_DISABLED, PENDING: Cause.KEY_PENDING_DELETION}
        return answer(0.02, Cause.KEY_DISABLED if denied else causes[seen.state])

    def _changed(self, resource: str) -> Callable[[State], None]:
        def note(state: State) -> None:
            owner = self.journal.holds().get(resource)
            if state.by != "other" and owner not in (state.by, None):
                self.wrong.append(f"at {state.at:.2f} a call of {state.by} lands on {resource} under {owner}'s hold")

        return note


def undoing(record: StepRecord, settle_until: float) -> Undoing:
    """An open step as whoever comes later sees it."""
    place = StepSpec(
        record.id, record.uses, record.step, record.resource, Rank(record.rank), record.chain, record.order
    )
    return Undoing(place, record.before, settle_until=settle_until)


def lands_for(state: StepState, run: object, wall: datetime) -> float:
    """Seconds for which the inject of a run that is gone may still land; gameday.rollback.recovery's own rule."""
    from gameday.rollback import recovery

    return recovery._may_land_for(state, run, wall, TIMING)  # type: ignore[arg-type]  # the parts that it reads
