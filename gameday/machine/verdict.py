"""The verdict: what all that happened amounts to."""

from __future__ import annotations

from gameday.errors import ExitCode
from gameday.machine.state import Ending
from gameday.sdk import RunFinished, Verdict

EXIT_CODES = {
    Verdict.PASSED: ExitCode.PASSED,
    Verdict.FAILED: ExitCode.FAILED,
    Verdict.ABORTED: ExitCode.ABORTED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.REFUSED: ExitCode.REFUSED,
    Verdict.ABANDONED: ExitCode.INCONCLUSIVE,
}


def judge(ending: Ending, at: float, finish_with: str) -> RunFinished:
    """The last event of a run; exit code 9 outranks every other."""
    verdict, story, reasons = _weigh(ending)
    code = ending.refused_code if verdict is Verdict.REFUSED else EXIT_CODES[verdict]
    if ending.open:
        verdict = Verdict.FAILED if verdict is Verdict.PASSED else verdict
        code = ExitCode.INCOMPLETE
        story = f"ROLLBACK INCOMPLETE: something is still changed, or could not be read back. {story}"
        reasons = (*ending.open, *reasons)
    return RunFinished(
        at=at,
        verdict=verdict,
        exit_code=code,
        story=story,
        reasons=reasons,
        finish_with=finish_with if ending.open else "",
    )


def _weigh(ending: Ending) -> tuple[Verdict, str, tuple[str, ...]]:
    rest = (*ending.failures, *ending.doubts)
    if ending.abandoned:  # not restored, and not to be: whoever abandoned it has the resource from here on
        left = ", ".join(ending.left) or "nothing of this run's"
        story = f"ABANDONED, left as it is: {left}. {ending.abandoned}."
        return Verdict.ABANDONED, story, (ending.abandoned, *ending.drifted, *rest)
    if ending.drifted:  # every other verdict says that everything is restored, which is not true here
        why = (ending.interrupted, ending.refused)
        return Verdict.INCONCLUSIVE, ending.drifted[0], (*ending.drifted, *filter(None, why), *rest)
    if ending.interrupted:
        return Verdict.ABORTED, f"The run was cut short: {ending.interrupted}.", (ending.interrupted, *rest)
    if ending.refused:
        return Verdict.REFUSED, f"The run was refused: {ending.refused}", (ending.refused, *rest)
    if ending.failures:
        count = len(ending.failures)
        words = "An expectation" if count == 1 else f"{count} expectations"
        return Verdict.FAILED, f"{words} did not hold: {ending.failures[0]}", rest
    if ending.doubts:
        return Verdict.INCONCLUSIVE, f"Too little was seen to judge: {ending.doubts[0]}", rest
    if ending.effects:
        return Verdict.PASSED, f"Everything went dark and came back as expected: {', '.join(ending.effects)}.", ()
    return Verdict.PASSED, "Everything was as expected.", ()
