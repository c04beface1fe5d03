"""Recorded runs, as the machine emits them, made with the sdk's own classes.

`python -m tests.exporters.recorded NAME [SPEED]` plays one in the live view.
"""

from __future__ import annotations

import io
import sys
import time
from datetime import UTC, datetime, timedelta

from exporters.terminal import TerminalView
from gameday.sdk import (
    AnyEvent,
    Cause,
    Closed,
    Dependent,
    ExpectationBroken,
    ExpectationMet,
    Gap,
    GuardBreached,
    HoldReleased,
    HoldTaken,
    Interruption,
    Interval,
    Latent,
    LeakSeen,
    Observation,
    Phase,
    PhaseEntered,
    PreflightChecked,
    ProbeFacts,
    ProbeObserved,
    RadiusObserved,
    RadiusPredicted,
    RollbackFinished,
    RollbackStarted,
    RunAbandoned,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    Seen,
    Sizes,
    Staged,
    StepClosed,
    StepFacts,
    StepInjected,
    StepIntended,
    StepReadBack,
    TargetFacts,
    UndoTried,
    Verdict,
    seal,
)

RUN = "7f3a9c12"
START = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
KEY = "arn:aws:kms:us-east-1:123456789012:key/12ab34cd-56ef-7890-abcd-1234567890ab"
INSTANCE = "arn:aws:ec2:us-east-1:123456789012:instance/i-0abc123def4567890"
LIMITS = {
    "effect_within": 60.0,
    "hold": 10.0,
    "max_fault": 300.0,
    "rollback_within": 120.0,
    "recover_within": 300.0,
    "evidence_within": 1200.0,
}
OK = Observation(cause=Cause.OK, latency=0.041)
DISABLED = Observation(
    cause=Cause.KEY_DISABLED, code="KMS.DisabledException", detail=f"{KEY} is disabled.", latency=0.038
)
BOOT_REFUSED = Observation(
    cause=Cause.BOOT_REFUSED,
    code="Client.InvalidKMSKey.InvalidState",
    detail="The instance went from pending back to stopped",
    latency=14.2,
)
GRANT = {
    "eventID": "2f1c3c52-0000-4000-8000-000000000001",
    "eventName": "CreateGrant",
    "eventTime": "2026-03-03T10:00:52Z",
    "errorCode": "DisabledException",
    "errorMessage": f"{KEY} is disabled.",
    "userIdentity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/voclabs/gameday-7f3a9c12",
        "invokedBy": "ec2.amazonaws.com",
    },
}
FOUND = Observation(cause=Cause.FOUND, detail="1 CreateGrant event", latency=0.2, records=(GRANT,))

PROBES = (
    ProbeFacts(
        name="read-clock",
        uses="s3.read",
        resource="arn:aws:s3:::gameday-clock/clock.png",
        expect={Phase.BASELINE: ("ok",), Phase.FAULT: ("key_disabled",), Phase.RECOVERY: ("ok",)},
        within={Phase.FAULT: 60.0, Phase.RECOVERY: 300.0},
    ),
    ProbeFacts(
        name="boot-instance",
        uses="ec2.boot",
        resource=INSTANCE,
        expect={Phase.BASELINE: ("ok",), Phase.FAULT: ("key_disabled", "boot_refused"), Phase.RECOVERY: ("ok",)},
        within={Phase.FAULT: 180.0, Phase.RECOVERY: 480.0},
    ),
    ProbeFacts(
        name="key-state",
        uses="kms.state",
        resource=KEY,
        expect={Phase.BASELINE: ("ok",), Phase.FAULT: ("key_disabled",), Phase.RECOVERY: ("ok",)},
    ),
    ProbeFacts(name="smoking-gun", uses="cloudtrail.event", resource=INSTANCE, expect={Phase.EVIDENCE: ("found",)}),
    ProbeFacts(
        name="checkout",
        uses="http.get",
        resource="https://shop.example/health",
        expect=dict.fromkeys((Phase.BASELINE, Phase.FAULT, Phase.RECOVERY), ("ok",)),
        guard="3 of 5",
    ),
)
STEPS = (
    StepFacts(id="key", uses="kms.disable_key", step="disable", resource=KEY),
    StepFacts(id="boot", uses="ec2.boot", step="power", resource=INSTANCE),
)


class Stream(io.StringIO):
    """A stream that can still be read when it is closed over."""

    @property
    def text(self) -> str:
        return self.getvalue()


class Recorder:
    """Seals events one behind the other."""

    def __init__(self, playbook: str = "killswitch") -> None:
        self.events: list[Sealed] = []
        self.at = 0.0
        self.emit(
            RunStarted(
                run=RUN,
                playbook=playbook,
                description="Disabling MyKMSKey makes clock.png unreadable.",
                version="0.1.0",
            )
        )

    @classmethod
    def after(cls, events: list[Sealed]) -> Recorder:
        """Go on behind a recorded run."""
        run = cls()
        run.events = list(events)
        return run

    def emit(self, *events: AnyEvent) -> None:
        """Seal at the present time."""
        for event in events:
            wall = (START + timedelta(seconds=self.at)).isoformat(timespec="microseconds")
            previous = self.events[-1].hash if self.events else ""
            self.events.append(seal(RUN, len(self.events), wall, previous, event))

    def look(self, probe: str, phase: Phase, seen: Observation, meets: bool | None = None, times: int = 1) -> None:
        """Look ``times`` times, one second apart."""
        for _ in range(times):
            self.at += 1.0
            self.emit(
                ProbeObserved(
                    probe=probe,
                    phase=phase,
                    asked=self.at - seen.latency,
                    answered=self.at,
                    observation=seen,
                    meets=meets,
                )
            )

    def enter(self, phase: Phase, limit: float | None = None) -> None:
        """Enter a phase now."""
        self.emit(PhaseEntered(phase=phase, at=self.at, limit=limit))

    def met(self, probe: str, phase: Phase, cause: str, after: float, by: float) -> None:
        """An expectation is met."""
        self.emit(ExpectationMet(probe=probe, phase=phase, cause=cause, interval=Interval(after=after, by=by)))

    # The parts of a run

    def prepare(self) -> None:
        self.emit(Staged(uses="kms.key", detail="alias/MyKMSKey made"), Staged(uses="s3.object", detail="clock.png"))
        for check in ("account and Region", "credentials", "undo of kms.disable_key", "no hold on the resources"):
            self.at += 0.2
            self.emit(PreflightChecked(check=check, ok=True, detail=""))
        self.emit(
            RunPrepared(
                target=TargetFacts(kind="lab", account="123456789012", region="us-east-1"),
                probes=PROBES,
                steps=STEPS,
                limits=LIMITS,
            )
        )

    def baseline(self) -> None:
        self.enter(Phase.BASELINE, 60.0)
        self.look("read-clock", Phase.BASELINE, OK, True, 3)
        self.look("key-state", Phase.BASELINE, OK, True, 2)
        self.look("checkout", Phase.BASELINE, OK, True, 4)
        for probe in ("read-clock", "key-state", "checkout"):
            self.met(probe, Phase.BASELINE, "ok", 0.0, 0.1)
        self.emit(HoldTaken(resource=INSTANCE), StepIntended(step="boot", at=self.at))
        self.at += 30.0
        self.emit(StepInjected(step="boot", asked=self.at - 30, answered=self.at, certain=True))
        self.look("boot-instance", Phase.BASELINE, OK.model_copy(update={"latency": 31.0}), True)
        self.met("boot-instance", Phase.BASELINE, "ok", 0.0, 31.0)

    def inject(self) -> None:
        self.enter(Phase.FAULT, 300.0)
        self.emit(HoldTaken(resource=KEY), StepIntended(step="key", at=self.at))
        self.at += 0.3
        self.emit(StepInjected(step="key", asked=self.at - 0.2, answered=self.at, certain=True, request_id="r-1"))

    def goes_dark(self) -> None:
        self.look("read-clock", Phase.FAULT, OK, False, 3)
        self.look("key-state", Phase.FAULT, DISABLED, True)
        self.met("key-state", Phase.FAULT, "key_disabled", 0.2, 4.2)
        self.look("read-clock", Phase.FAULT, DISABLED, True)
        self.met("read-clock", Phase.FAULT, "key_disabled", 3.1, 5.2)
        self.look("checkout", Phase.FAULT, OK, True, 3)
        self.look("read-clock", Phase.FAULT, DISABLED, True, 8)
        self.look("key-state", Phase.FAULT, DISABLED, True)

    def refuses_to_boot(self) -> None:
        self.at += 14.0
        self.look("boot-instance", Phase.FAULT, BOOT_REFUSED, True)
        self.met("boot-instance", Phase.FAULT, "boot_refused", 14.1, 32.2)
        self.look("read-clock", Phase.FAULT, DISABLED, True, 5)

    def roll_back(self, reason: str = "the effect was held for 10 s", failures: int = 0) -> None:
        self.enter(Phase.ROLLBACK, 120.0)
        began = self.at
        self.emit(RollbackStarted(at=self.at, reason=reason))
        for attempt in range(1, failures + 1):
            self.at += 1.0
            self.undo("key", attempt, ok=False, detail="ThrottlingException: Rate exceeded")
        self.at += 0.4
        self.undo("key", failures + 1, ok=True)
        self.close("key", Closed.RESTORED)
        self.emit(HoldReleased(resource=KEY), RollbackFinished(at=self.at, seconds=self.at - began, complete=True))

    def undo(self, step: str, attempt: int, *, ok: bool, detail: str = "") -> None:
        self.emit(UndoTried(step=step, attempt=attempt, asked=self.at - 0.1, answered=self.at, ok=ok, detail=detail))

    def close(self, step: str, closed: Closed, detail: str = "") -> None:
        self.emit(
            StepReadBack(step=step, at=self.at, found="drifted" if closed is Closed.DRIFTED else "restored"),
            StepClosed(step=step, at=self.at, closed=closed, detail=detail),
        )

    def recover(self) -> None:
        self.enter(Phase.RECOVERY, 300.0)
        self.look("read-clock", Phase.RECOVERY, DISABLED, False, 2)
        self.look("key-state", Phase.RECOVERY, OK, True)
        self.met("key-state", Phase.RECOVERY, "ok", 0.1, 3.4)
        self.look("read-clock", Phase.RECOVERY, OK, True, 2)
        self.met("read-clock", Phase.RECOVERY, "ok", 2.4, 4.4)
        self.look("checkout", Phase.RECOVERY, OK, True, 2)
        self.at += 30
        self.look("boot-instance", Phase.RECOVERY, OK.model_copy(update={"latency": 36.0}), True)
        self.met("boot-instance", Phase.RECOVERY, "ok", 2.4, 38.4)
        self.undo("boot", 1, ok=True)
        self.close("boot", Closed.RESTORED)
        self.emit(HoldReleased(resource=INSTANCE))

    def evidence(self) -> None:
        self.enter(Phase.EVIDENCE, 1200.0)
        self.look("smoking-gun", Phase.EVIDENCE, Observation(cause=Cause.NOT_FOUND, detail="not delivered yet"), False)
        self.at += 20
        self.look("smoking-gun", Phase.EVIDENCE, FOUND, True)
        self.met("smoking-gun", Phase.EVIDENCE, "found", 1.0, 22.0)

    def finish(self, verdict: Verdict, code: int, story: str, *reasons: str, finish_with: str = "") -> list[Sealed]:
        self.emit(
            RunFinished(
                at=self.at, verdict=verdict, exit_code=code, story=story, reasons=reasons, finish_with=finish_with
            )
        )
        return self.events

    def finish_with(self, command: str) -> None:
        """Finish with something still changed."""
        self.finish(Verdict.FAILED, 9, command, command, finish_with=command)


def passed() -> list[Sealed]:
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.refuses_to_boot()
    run.roll_back()
    run.recover()
    run.evidence()
    return run.finish(
        Verdict.PASSED, 0, "With the key disabled 3 probes went dark within 32 s, and all came back within 38 s."
    )


def surprised() -> list[Sealed]:
    """Somebody was refused whom nobody predicted."""
    run = Recorder()
    used = Dependent(principal="arn:aws:iam::123456789012:role/app", service="s3.amazonaws.com", why="used", uses=7)
    volume = Latent(service="ec2.amazonaws.com", resource="vol-0123 of i-0123", when="works on while i-0123 runs")
    at = "2026-11-23T10:00:00Z"
    run.emit(
        RadiusPredicted(
            key=KEY,
            since=at,
            until=at,
            sizes=Sizes(dependents=4, principals=2, services=2, resources=3, uses=7),
            dependents=(used,),
            latent=(volume,),
            unknown=("the key's grants could not be listed: kms:ListGrants not permitted",),
        )
    )
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.refuses_to_boot()
    run.roll_back()
    run.recover()
    run.evidence()
    mallory = Seen(
        fate="unexpected",
        principal="arn:aws:iam::123456789012:role/mallory",
        service="s3.amazonaws.com",
        refused=3,
        first_refused=at,
        effect=Gap(after=1, by=2),
        recover=Gap(after=0, by=4),
    )
    run.emit(
        RadiusObserved(
            key=KEY,
            at=run.at,
            off=at,
            on=at,
            counts={"as predicted": 1, "unexpected": 1, "spared": 0, "silent": 2},
            refused=5,
            own=9,
            seen=(mallory,),
            first_refused="2026-03-03T10:00:00Z",
            delivered_after=4.2,
        )
    )
    return run.finish(Verdict.FAILED, 1, "An expectation did not hold: 1 refused that nobody predicted.")


def failed() -> list[Sealed]:
    """The lab was told not to enforce the key; one read leaks."""
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.look("read-clock", Phase.FAULT, OK, False)
    run.emit(LeakSeen(probe="read-clock", at=run.at, observation=OK))
    why = "expected key_disabled or boot_refused within 3 min, saw ok"
    run.look("boot-instance", Phase.FAULT, OK, False)
    run.emit(ExpectationBroken(probe="boot-instance", phase=Phase.FAULT, at=run.at, why=why))
    run.roll_back("an expectation did not hold")
    run.recover()
    run.evidence()
    return run.finish(
        Verdict.FAILED, 1, "boot-instance stayed up although the key was disabled.", f"boot-instance: {why}"
    )


def aborted() -> list[Sealed]:
    """A guard breaks, and two undo attempts are throttled."""
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.look("checkout", Phase.FAULT, Observation(cause=Cause.UNHEALTHY, code="503", latency=1.2), False, 3)
    run.emit(GuardBreached(guard="checkout", phase=Phase.FAULT, at=run.at, why="3 of the last 5 failed: unhealthy 503"))
    run.roll_back("guard checkout was breached", failures=2)
    run.emit(Interruption(at=run.at, why="SIGINT", ignored=True))
    run.recover()
    return run.finish(
        Verdict.ABORTED,
        3,
        "The guard checkout was breached 16 s after the inject; everything was put back in 2.4 s.",
        "guard checkout: 3 of the last 5 failed: unhealthy 503",
    )


def refused() -> list[Sealed]:
    run = Recorder()
    run.at = 0.4
    run.emit(
        PreflightChecked(check="account and Region", ok=True, detail="123456789012 us-east-1"),
        PreflightChecked(
            check="kms.disable_key", ok=False, detail="the key is already Disabled; it is not ours to enable"
        ),
    )
    return run.finish(
        Verdict.REFUSED, 5, "Nothing was touched: the key is already disabled.", "kms.disable_key: already Disabled"
    )


def incomplete() -> list[Sealed]:
    """EnableKey is denied until past rollback_within: exit code 9."""
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.refuses_to_boot()
    run.enter(Phase.ROLLBACK, 120.0)
    began = run.at
    run.emit(RollbackStarted(at=run.at, reason="the effect was held for 10 s"))
    denied = "AccessDeniedException: not authorized to perform kms:EnableKey"
    for attempt in range(1, 9):
        run.at += 15.0
        run.undo("key", attempt, ok=False, detail=denied)
    run.emit(StepReadBack(step="key", at=run.at, found="still_ours", detail="Disabled"))
    still = f"{KEY} is still Disabled: {denied}"
    run.emit(RollbackFinished(at=run.at, seconds=run.at - began, complete=False, open=(still,)))
    return run.finish(
        Verdict.FAILED,
        9,
        "The key could not be enabled again within 2 min.",
        still,
        finish_with=f"gameday rollback {RUN}",
    )


def inconclusive() -> list[Sealed]:
    """Someone else deleted the key meanwhile (drift), and no evidence came in time."""
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    run.refuses_to_boot()
    run.enter(Phase.ROLLBACK, 120.0)
    run.emit(RollbackStarted(at=run.at, reason="the effect was held for 10 s"))
    run.at += 0.2
    run.undo("key", 1, ok=False, detail="KMSInvalidStateException")
    run.close("key", Closed.DRIFTED, "PendingDeletion since 10:01:02Z by role/ops; left alone")
    run.emit(RollbackFinished(at=run.at, seconds=0.2, complete=True))
    run.undo("boot", 1, ok=True)
    run.close("boot", Closed.RESTORED)
    run.enter(Phase.EVIDENCE, 1200.0)
    run.look("smoking-gun", Phase.EVIDENCE, Observation(cause=Cause.NOT_FOUND), False, 3)
    run.emit(
        ExpectationBroken(
            probe="smoking-gun", phase=Phase.EVIDENCE, at=run.at, why="no event within 20 min", inconclusive=True
        )
    )
    return run.finish(
        Verdict.INCONCLUSIVE,
        4,
        "Someone else scheduled the key's deletion during the run; it was left alone.",
        f"{KEY}: drifted",
        "smoking-gun: no event within 20 min",
    )


def abandoned() -> list[Sealed]:
    """A real incident began on the same key: it stays off, and only the instance is as it was found."""
    run = Recorder()
    run.prepare()
    run.baseline()
    run.inject()
    run.goes_dark()
    why = "abandoned by ann@desk at 2026-03-03T10:04:00Z: a real incident on this key"
    run.emit(RunAbandoned(at=run.at, why=why))
    run.close("key", Closed.ABANDONED, why)
    run.close("boot", Closed.RESTORED)
    run.emit(RollbackFinished(at=run.at, seconds=0.1, complete=True))
    return run.finish(Verdict.ABANDONED, 4, f"ABANDONED, left as it is: kms.disable_key on {KEY}. {why}.", why)


RUNS = {
    "passed": passed,
    "failed": failed,
    "aborted": aborted,
    "refused": refused,
    "incomplete": incomplete,
    "abandoned": abandoned,
    "inconclusive": inconclusive,
}


def main() -> None:
    """Play a run in the live view at its own pace, or faster."""
    speed = float((sys.argv[2:] or ["1"])[0])
    began = time.monotonic()
    view = TerminalView(journal="~/.local/state/gameday/journal.db", clock=lambda: (time.monotonic() - began) * speed)
    for sealed in RUNS[sys.argv[1]]():
        at = (datetime.fromisoformat(sealed.at) - START).total_seconds()
        time.sleep(max(at / speed - (time.monotonic() - began), 0))
        view.consume(sealed)
    view.close()


if __name__ == "__main__":
    main()
