"""What must hold at the end of every simulated run, whatever happened in it."""

from __future__ import annotations

from gameday.sdk import Closed, RunFinished
from tests.machine.actors import Runner
from tests.machine.model_kms import ENABLED, PENDING, Key
from tests.machine.simulation import LONGEST_STALENESS, World


def broken_promises(world: World) -> list[str]:
    """Every promise that was broken, in a sentence each."""
    wrong = list(world.wrong)
    for runner in world.runs:
        wrong += _verdict(world, runner)
    for resource, key in world.keys.items():
        wrong += _resource(world, resource, key)
    wrong += _drift(world)
    if left := world.journal.steps(only_open=True):
        wrong.append(f"still open after everybody tried: {[state.record.id for state in left]}")
    return wrong


def _verdict(world: World, runner: Runner) -> list[str]:
    """The exit code says what is left."""
    if runner.exit_code is None:
        return []  # killed
    wrong = []
    if runner.exit_code == 9 and not runner.open_at_end:
        wrong.append(f"{runner.run}: exit code 9 with nothing open")
    if runner.exit_code != 9 and runner.open_at_end:
        wrong.append(f"{runner.run}: exit code {runner.exit_code} with {runner.open_at_end} open")
    if runner.events and isinstance(runner.events[-1], RunFinished) and runner.exit_code == 0:
        ways = {closed for (run, _), (_, closed) in world.closed.items() if run == runner.run}
        if not ways <= {Closed.RESTORED}:
            wrong.append(f"{runner.run}: passed, with steps closed as {ways}")
    return wrong


def _resource(world: World, resource: str, key: Key) -> list[str]:
    """As captured, or changed last by somebody else, or left so because somebody said so."""
    wrong = []
    abandoned = _closed_on(world, resource, Closed.ABANDONED)
    if key.now.state != ENABLED and not abandoned:
        since = next(s for n, s in enumerate(key.history) if all(t.state == key.now.state for t in key.history[n:]))
        if since.by != "other":
            wrong.append(f"{resource} is {key.now.state} since {since.at:.1f}, by {since.by}")
    ours = {sid for sid in key.now.policy if sid.startswith("Gameday")}
    if ours and not abandoned:
        wrong.append(f"{resource} still has {ours}")
    if "Root" not in key.now.policy:
        wrong.append(f"{resource} has lost the statement that it was found with")
    for foreign in world.foreign:
        if foreign.resource == resource and foreign.sid and foreign.sid not in key.now.policy:
            lost = next(s for s in key.history if s.at >= foreign.at and foreign.sid not in s.policy)
            # PutKeyPolicy has no compare-and-set: what comes between our read and our write is lost.
            if lost.at - foreign.at > 0.3:
                wrong.append(f"{resource}: {foreign.sid} was taken away {lost.at - foreign.at:.1f} s after it was made")
    return wrong


def _drift(world: World) -> list[str]:
    """Who schedules the deletion of a key that we have disabled is never told that it was restored."""
    wrong = []
    for (run, step), (at, closed) in world.closed.items():
        resource = f"key{step[1:]}"
        if step != "s2" and step != "s5" and closed is Closed.RESTORED and _was_injected(world, run, step):
            gone = [s.at for s in world.keys[resource].history if s.state == PENDING]
            if gone and at > gone[0] + 2 * LONGEST_STALENESS:
                wrong.append(
                    f"{run} {step} was sent to its deletion at {gone[0]:.1f}, and is called {closed} at {at:.1f}"
                )
    return wrong


def _was_injected(world: World, run: str, step: str) -> bool:
    return any(s.record.id == step and s.injected_at for s in world.journal.steps(run))


def _closed_on(world: World, resource: str, how: Closed) -> bool:
    steps = {(s.record.run, s.record.id) for s in world.journal.steps() if s.record.resource == resource}
    return any(world.closed.get(step, (0.0, None))[1] is how for step in steps)
