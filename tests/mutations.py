"""``python -m tests.mutations``: breaks the arming and the rollback on purpose, and says which test goes red.

Each breakage is made in a copy of the tree; one that no test catches is an alarm, and the exit code says so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREE = ("gameday", "probes", "exporters", "playbooks", "tests", "docs", "pyproject.toml", "README.md")
MACHINE = tuple(f"tests/machine/test_{name}.py" for name in ("run", "others", "switch", "simulation"))
WATCHDOG = "tests/e2e/test_e2e_watchdog.py::test_watchdog"
ROLLBACK = tuple(f"tests/rollback/test_rollback_{name}.py" for name in ("claim", "receipts", "vigil"))


@dataclass(frozen=True)
class Mutation:
    """One deliberate breakage: ``old`` stands in ``file`` exactly once, and becomes ``new``."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = MACHINE


MUTATIONS = (
    Mutation(
        "instances are put back before keys",
        "gameday/machine/rollback.py",
        "elif other.spec.rank < step.spec.rank and not other.tried:",
        "elif other.spec.rank > step.spec.rank and not other.tried:",
    ),
    Mutation(
        "a fault's steps are undone in the order of injection",
        "gameday/machine/rollback.py",
        "if other.spec.order > step.spec.order:",
        "if other.spec.order < step.spec.order:",
    ),
    Mutation(
        "a step is closed on any read-back",
        "gameday/machine/rollback.py",
        "            if _believed(step, now, rollback.timing):",
        "            if True:",
    ),
    Mutation(
        "an undo that was asked for before the inject was over is believed",
        "gameday/machine/rollback.py",
        "if step.undone_at is not None and step.undone_at >= step.settle_until:",
        "if step.undone_at is not None:",
    ),
    Mutation(
        "the read-back is skipped when the undo was answered with a yes",
        "gameday/machine/rollback.py",
        "    # Read back even after a refusal",
        "    if event.ok:\n        return _swap(rollback, _close(step, Closed.RESTORED, event.now, '', out))\n"
        "    # Read back even after a refusal",
    ),
    Mutation(
        "a stale read of 'restored' is believed at once",
        "gameday/machine/rollback.py",
        "now - max(step.restored_since, step.settle_until) >= timing.settle",
        "now >= step.restored_since",
    ),
    Mutation(
        "drift closes a step while a call of ours may still land",
        "gameday/machine/rollback.py",
        "case Drifted() if now < step.settle_until:",
        "case Drifted() if now < 0:",
    ),
    Mutation(
        "what somebody else changed is overwritten until it reads as captured",
        "gameday/machine/rollback.py",
        "            return _swap(rollback, _close(step, Closed.DRIFTED, now, found.detail, out))",
        "            return _swap(rollback, _again(step, now, found.detail))",
    ),
    Mutation(
        "an inject without a certain answer cannot land later",
        "gameday/machine/spec.py",
        "return 0.0 if certain else self.settle",
        "return 0.0",
    ),
    Mutation(
        "an inject without an answer counts as not made",
        "gameday/machine/state.py",
        "TOUCHED = (Readiness.INJECTING, ",
        "TOUCHED = (",
    ),
    Mutation(
        "the fence is dropped",
        "gameday/machine/state.py",
        "return self.stage is Stage.INJECTING and now < min(self.leased_until, self.fault_deadline())",
        "return True",
    ),
    Mutation(
        "the fence does not ask for the lease",
        "gameday/machine/state.py",
        "now < min(self.leased_until, self.fault_deadline())",
        "now < self.fault_deadline()",
    ),
    Mutation(
        "the lease never ends",
        "gameday/machine/run.py",
        "if turn.run.needs_lease and turn.now >= turn.run.leased_until:",
        "if False:",
    ),
    Mutation(
        "the hold is given back while an undo may still land",
        "gameday/machine/way_back.py",
        "turn.step(step.spec.id, Readiness.CLOSED, free_at=step.loose_until)",
        "turn.step(step.spec.id, Readiness.CLOSED)",
    ),
    Mutation(
        "the hold is given back while the rehearsal may still land",
        "gameday/machine/arming.py",
        "asked=turn.now, held_at=turn.now, free_at=lands",
        "asked=turn.now, held_at=turn.now",
    ),
    Mutation(
        "the change comes before it is written down",
        "gameday/machine/arming.py",
        "            turn.out.append(Intend(event.step, event.before))",
        "            turn.out.append(Inject(event.step, event.before))\n"
        "            turn.out.append(Intend(event.step, event.before))",
    ),
    Mutation(
        "an inject that is answered after its step was closed is forgotten",
        "gameday/machine/run.py",
        "        turn.out.append(Reopen(event.step))\n",
        "        return\n",
    ),
    Mutation(
        "a halt is not heard",
        "gameday/machine/others.py",
        'elif event.halted and _first(turn, f"halted {event.halted}"):',
        "elif False:",
    ),
    Mutation(
        "an abandoned step is undone all the same",
        "gameday/machine/way_back.py",
        "step if step.spec.switch else replace(step, leave=why)",
        "step",
    ),
    Mutation(
        "an abandoned run leaves its dead man's switch armed",
        "gameday/machine/way_back.py",
        "step if step.spec.switch else replace(step, leave=why)",
        "replace(step, leave=why)",
    ),
    Mutation(
        "the watchdog is not told that the run was abandoned",
        "gameday/machine/way_back.py",
        "    turn.out.append(StandDown())\n",
        "",
    ),
    Mutation(
        "what is open does not outrank the verdict",
        "gameday/machine/verdict.py",
        "        code = ROLLBACK_INCOMPLETE\n",
        "",
    ),
    Mutation(
        "max_fault does not end the fault",
        "gameday/machine/run.py",
        "elif turn.now >= run.fault_deadline():",
        "elif False:",
    ),
    Mutation(
        "who comes later believes that nothing can land any more",
        "gameday/rollback/recovery.py",
        'if state.state == "injected":\n        return 0.0',
        "if True:\n        return 0.0",
    ),
    Mutation(
        "the journal is not asked before a dead run's undo",
        "gameday/rollback/hands.py",
        "if (lost := self._is_lost(command.step)) is not None:",
        "if (lost := None) is not None:",
        ROLLBACK,
    ),
    Mutation(
        "a dead run's hold is given back while an undo may still land",
        "gameday/rollback/driver.py",
        "while not state.open and not abandoned() and",
        "while False and",
        ROLLBACK,
    ),
    Mutation(
        "an abandoned run's hold is given back while an undo may still land",
        "gameday/machine/rollback.py",
        "return replace(closed, loose_until=loose)",
        "return closed",
    ),
    Mutation(
        "the journal's word is enough: the watchdog's is not waited for",
        "gameday/rollback/keeper.py",
        "            self._leash.ask(Guard(record=intent), write, lambda why, _: refused(why))",
        "            self._leash.tell(Guard(record=intent))\n            write()",
        (f"{WATCHDOG}[a_watchdog_that_stands_still_is_waited_for_and_nothing_is_broken]",),
    ),
    Mutation(
        "the runner is not killed first",
        "gameday/rollback/watchdog.py",
        "            self._runner.end(0.0 if self._vigil.charges else LEAVES_WITHIN)\n",
        "",
        (f"{WATCHDOG}[a_runner_that_stands_still_past_max_fault_is_killed_first]",),
    ),
    Mutation(
        "a journal that is deadly to touch is touched",
        "gameday/rollback/rescue.py",
        "trouble = deadly(journal.place)",
        'trouble = ""',
        (f"{WATCHDOG}[a_journal_whose_shared_memory_is_cut_off_in_the_fault]",),
    ),
    Mutation(
        "a receipt closes no step",
        "gameday/rollback/receipts.py",
        "            journal.close(run, receipt.step, receipt.closed, detail)\n",
        "",
        ROLLBACK,
    ),
)


def try_one(mutation: Mutation, seeds: int) -> tuple[str, str]:
    """Break it in a copy; the first test that goes red, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="gameday-mutation-") as place:
        for name in TREE:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, Path(place) / name)
        file = Path(place) / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            return "STALE", f"{mutation.file} holds {mutation.old!r} {text.count(mutation.old)} times"
        file.write_text(text.replace(mutation.old, mutation.new))
        env = {**os.environ, "GAMEDAY_SEEDS": str(seeds), "PYTHONPATH": place}
        words = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *mutation.tests]
        done = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "SURVIVED", "no test noticed"
    red = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    return (
        ("caught", red.group(1))
        if red and done.returncode == 1
        else ("BROKEN", done.stdout[-300:] + done.stderr[-300:])
    )


def main(mutations: tuple[Mutation, ...] = MUTATIONS) -> int:
    """Try all, or those whose name holds a word; print the table of docs/safety.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seeds", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    chosen = [mutation for mutation in mutations if asked.word in mutation.name]
    print("| breakage | what happened |\n|---|---|")  # noqa: T201 - what it is for
    alarms = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for mutation, (how, what) in zip(chosen, pool.map(lambda m: try_one(m, asked.seeds), chosen), strict=True):
            alarms += how != "caught"
            print(f"| {mutation.name} | {how}: `{what}` |", flush=True)  # noqa: T201
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
