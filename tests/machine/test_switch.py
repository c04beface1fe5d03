"""The dead man's switch in the machine: armed before the first change, gone after the last, whatever happens."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gameday.machine import Run, StepSpec
from gameday.machine.commands import Capture, Command, Inject, ReadBackStep, ReleaseHold, Undo
from gameday.machine.inputs import Captured, Injected, InjectRefused, ReadBackDone, Undone
from gameday.sdk import Closed, Rank, ReadBack, Restored, StepClosed, StillOurs, SwitchArmed, Unknown

from .one_run import LONGEST_STALENESS, TIMING, Trouble, World, broken_promises

SWITCH = StepSpec("w", "eventbridge.schedule", "schedule", "arn:schedule", Rank.SWITCH, 99)
FIRES_AFTER = TIMING.max_fault + 60


class Switched(World):
    """A run that asked for a switch, which enables the first key when it fires."""

    def __init__(self, seed: int, trouble: Trouble, keys: int = 1) -> None:
        super().__init__(seed, trouble, keys)
        self.spec = replace(self.spec, steps=(*self.spec.steps, SWITCH))
        self.schedule: list[tuple[float, bool]] = [(-1000.0, False)]
        self.fired = False

    @property
    def there(self) -> bool:
        """Whether AWS has the schedule."""
        return self.schedule[-1][1]

    def _carry_out(self, command: Command, before: Run) -> None:
        step = getattr(command, "step", "")
        if isinstance(command, Inject) and step != SWITCH.id:
            assert self._armed and self.there, "a fault was injected before the switch was armed"
        if isinstance(command, ReleaseHold) and self._open(SWITCH.id):
            raise AssertionError("a hold was released over an armed switch")
        match command:
            case Capture() if step == SWITCH.id:
                self._answer(0.01, lambda now: Captured(now, step, {"fires_at": "2026-01-01T00:00:00Z"}))
            case Inject() if step == SWITCH.id:
                self._make()
            case Undo() if step == SWITCH.id:
                assert not any(self._open(key) for key in self.keys), (
                    "the switch was taken away before the key was back"
                )
                self._delete(command.attempt)
            case ReadBackStep() if step == SWITCH.id:
                self._read_schedule(command.attempt)
            case _:
                super()._carry_out(command, before)

    @property
    def _armed(self) -> bool:
        return any(isinstance(event, SwitchArmed) for event in self.events)

    def _open(self, step: str) -> bool:
        return not self.journal.get(step, "closed").startswith("closed")

    def _set_there(self, there: bool) -> None:
        self.schedule.append((self.now, there))
        if there:
            self._later(FIRES_AFTER, self._fire)

    def _fire(self) -> None:
        if self.there:
            self.fired = True
            self.keys["s0"].set(self.now, "Enabled")
            self.schedule.append((self.now, False))

    def _make(self) -> None:
        kind = (
            self.random.choice(["refused", "lost", "nothing", "late"]) if self._strikes(self.trouble.inject) else "ok"
        )
        if kind == "refused":
            self._answer(0.05, lambda now: InjectRefused(now, SWITCH.id, "AccessDenied"))
            return
        if kind in ("ok", "lost"):
            self._set_there(True)
        elif kind == "late":
            self._later(self.random.uniform(0, 7 + TIMING.settle - 0.1), lambda: self._set_there(True))
        certain = kind == "ok"
        self._answer(0.05 if certain else 7.0, lambda now: Injected(now, SWITCH.id, certain=certain))

    def _delete(self, attempt: int) -> None:
        kind = self.random.choice(["refused", "lost", "nothing"]) if self._strikes(self.trouble.undo) else "ok"
        if kind in ("ok", "lost"):
            self.schedule.append((self.now, False))
        pause = 6.0 if kind in ("lost", "nothing") else 0.05
        self._answer(pause, lambda now: Undone(now, SWITCH.id, attempt, kind == "ok", "" if kind == "ok" else kind))

    def _read_schedule(self, attempt: int) -> None:
        seen = self.there
        found: ReadBack = StillOurs("armed") if seen else Restored("gone")
        if self._strikes(self.trouble.read):
            kind = self.random.choice(["never", "unknown", "stale"])
            if kind == "never":
                return
            behind = self.now - self.random.uniform(0, LONGEST_STALENESS)
            stale = [there for when, there in self.schedule if when <= behind][-1]
            found = Unknown("no answer") if kind == "unknown" else StillOurs("armed") if stale else Restored("gone")
        self._answer(0.02, lambda now: ReadBackDone(now, SWITCH.id, attempt, found))


def broken(world: Switched) -> list[str]:
    """The run's promises, and those of its switch."""
    wrong = broken_promises(world)
    if world.fired and world.exit_code != 9:  # nothing else could tell that a schedule was left: it fires in the end
        wrong.append(f"it fired after the run had ended with {world.exit_code}")
    return wrong


def troubles() -> st.SearchStrategy[Trouble]:
    chance = st.sampled_from([0.0, 0.1, 0.5, 0.9])
    return st.builds(Trouble, inject=chance, undo=chance, read=chance, look=chance, foreign=chance, signal=chance)


@settings(max_examples=500, deadline=None)
@given(seed=st.integers(0, 2**32), trouble=troubles(), keys=st.integers(1, 2))
def test_it_never_acts_on_what_is_put_back(seed: int, trouble: Trouble, keys: int) -> None:
    world = Switched(seed, trouble, keys).run()
    assert broken(world) == [], f"Switched({seed}, {trouble}, {keys})"


def test_without_trouble_it_is_the_last_to_be_closed() -> None:
    world = Switched(1, Trouble()).run()
    assert world.exit_code == 0
    closed = [(event.step, event.closed) for event in world.events if isinstance(event, StepClosed)]
    assert closed == [("s0", Closed.RESTORED), ("w", Closed.RESTORED)]


def test_it_stays_armed_while_the_key_cannot_be_put_back() -> None:
    world = Switched(1, Trouble(undo=1.0, inject=0.0)).run()
    assert world.exit_code == 9
    assert any("stays armed" in reason and "2026-01-01T00:00:00Z" in reason for reason in world.finished.reasons)
    assert world.fired
    assert world.keys["s0"].now() == "Enabled", "AWS has put it back"
