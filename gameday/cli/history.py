"""``gameday status``, ``history`` and ``show``: what the journal holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.json_lines import JsonLines
from exporters.lines import PlainLines
from gameday.cli.halt import how_to_end
from gameday.cli.journals import open_journal, place_of, rollback_command, warn_of_open_steps
from gameday.cli.options import seconds_option
from gameday.cli.say import say
from gameday.errors import ExitCode, JournalError
from gameday.journal import DueRecord, Journal, Owner, RunRecord
from gameday.journal.audit import died_unaccounted
from gameday.journal.due import DueTimes
from gameday.journal.left import LATEST, Left, left_on_purpose
from gameday.rollback.receipts import IGNORED, merge
from gameday.sdk import WatchdogArmed

if TYPE_CHECKING:
    from gameday.cli.looked import Seen


def print_status(place: str | None, *, check: bool, look: bool = False, textfile: str | None = None) -> None:
    """Say what is open; with ``check`` the exit code says it too.

    0; 9 while an undo step is open; else 4 while something is left on purpose. ``look`` asks AWS about the latter.
    ``textfile`` is where to leave it for the node exporter's textfile collector.
    """
    if textfile is None:
        code = _tell_status(place, look=look)
    else:
        from gameday.cli.journal_fold import status_metrics

        with status_metrics(place_of(place), Path(textfile)):
            code = _tell_status(place, look=look)
    if check and code:
        sys.exit(code)


def _tell_status(place: str | None, *, look: bool) -> int:
    """Print it; the exit code that says the same."""
    journal = open_journal(place)
    not_taken = False
    for said in merge(journal):
        not_taken = not_taken or said.startswith(IGNORED)
        say(f"note  {said}")
    open_ = journal.steps(only_open=True)
    if halt := journal.halted():
        say(f"game days are {halt}")
    runs = journal.runs(LATEST)
    for run in (run for run in runs if run.finished_at is None):
        state = "running" if run.alive() else "DIED"
        say(f"run {run.run}  {run.playbook}  {state}  since {run.started_at[:19]}Z  {run.owner}")
    for hold in journal.holds():
        say(f"held  {hold.resource}  by run {hold.run}")
    for step in open_:
        say(f"OPEN  {step.record.uses} on {step.record.resource}: {step.state} at {step.intended_at[:19]}Z")
    _tell_how_to_mend(journal, list(dict.fromkeys(step.record.run for step in open_)), place)
    unaccounted = died_unaccounted(journal, runs)
    for name, strange in unaccounted.items():
        say(f"OPEN  by the events of run {name}: {'; '.join(strange)}")
        say(f"      see: {rollback_command(name, place)}")
    for said in journal.unreadable.values():
        say(f"UNREADABLE  {said}")
    doubtful = not_taken or bool(journal.unreadable or unaccounted)
    left = _tell_left(journal, look=look)
    if not (open_ or unaccounted):
        nothing = "no undo step" if left else "nothing"
        read = f"of what could be read, {nothing}" if doubtful else nothing
        say(f"{read} is open (journal {journal.place})")
    if open_ or doubtful:
        return ExitCode.INCOMPLETE
    return ExitCode.INCONCLUSIVE if left else ExitCode.PASSED


def _tell_left(journal: Journal, *, look: bool) -> bool:
    """Say what was left as it is on purpose; whether there is any."""
    still = False
    for one in left_on_purpose(journal):
        seen = _look_at(journal, one) if look else None
        now = "" if seen is None else f"; {seen.words}"
        if seen is not None and seen.over:
            say(f"over  {one}{now}")
            continue
        still = True
        say(f"LEFT  {one} (run {one.run.run}){now}")
        say(f"      to end this: {how_to_end(one.run.run)}")
    return still


def _look_at(journal: Journal, one: Left) -> Seen:
    from gameday.cli.looked import look_at  # loads boto3, which a status without it does without

    return look_at(journal, one)


def _tell_how_to_mend(journal: Journal, runs: list[str], place: str | None) -> None:
    """Of runs that have died and left something open."""
    for run_id in runs:
        try:
            record = journal.run(run_id)
        except JournalError as error:  # its row is gone, or cannot be read
            say(f"      run {run_id}: {error}")
            continue
        if record.alive():
            continue
        if watchdog := _watchdog(journal, record):
            say(f"      the watchdog of run {run_id} ({watchdog}) is putting it back")
        say(f"      put it back with: {rollback_command(run_id, place)}")


def _watchdog(journal: Journal, run: RunRecord) -> Owner | None:
    """The watchdog of a run that has died, while it is at work."""
    armed = [e.event for e in journal.events(run.run) if isinstance(e.event, WatchdogArmed)]
    if not armed:
        return None
    owner = run.owner.model_copy(update={"pid": armed[-1].pid, "began": armed[-1].began})
    return owner if owner.alive() else None


def print_history(place: str | None, limit: int) -> None:
    """List past runs, newest first."""
    journal = open_journal(place)
    warn_of_open_steps(journal, place)
    runs = journal.runs(limit)
    settled = [due for due in DueTimes(journal.database).latest(limit) if due.outcome is not None]
    verdicts = {run.run: run.verdict for run in runs}
    # Where the due time says the same as its run, one line says both, and why.
    said = {due.run: due.detail for due in settled if due.run and verdicts.get(due.run) == due.outcome}
    lines = [(run.started_at, _run_line(run, said.get(run.run, ""))) for run in runs]
    lines += [(due.due_at, _due_line(due)) for due in settled if due.run not in said]
    if not lines:
        say(f"no runs yet (journal {journal.place})")
    for _, line in sorted(lines, reverse=True)[:limit]:
        say(line)


def _run_line(run: RunRecord, why: str) -> str:
    verdict = run.verdict or ("running" if run.alive() else "died")
    code = "" if run.exit_code is None else str(run.exit_code)
    where = f"{run.target.kind} {run.target.account}/{run.target.region}" if run.target else "-"
    why = f"  {why}" if why and verdict != "passed" else ""
    return f"{run.run}  {run.started_at[:19]}Z  {verdict:<12} {code:>2}  {run.playbook}  {where}{why}"


def _due_line(due: DueRecord) -> str:
    detail = f", {due.detail}" if due.detail else ""
    return f"{due.run or '-':<8}  {due.due_at[:19]}Z  {due.name}: {due.outcome}{detail}"


def prune_history(place: str | None, older_than: str) -> None:
    """Forget what ended longer ago than that, except runs with an open undo step."""
    journal = open_journal(place)
    warn_of_open_steps(journal, place)
    seconds = seconds_option(older_than, "--prune")
    gone = journal.prune(seconds)
    say(f"pruned {gone} run{'' if gone == 1 else 's'} that ended more than {older_than} ago (journal {journal.place})")


def print_run(place: str | None, run: str, *, as_json: bool) -> None:
    """Tell a run again: the same fold over the same events as when it ran."""
    journal = open_journal(place)
    due = DueTimes(journal.database).of(run)
    if due is not None and journal.known(run) is None:  # the scheduler gives out the id before the run begins
        say(f"run {run} never began. {_due_line(due)}")
        return
    record = journal.run(run)
    alive = record.alive()
    teller = JsonLines(sys.stdout) if as_json else PlainLines(sys.stdout, journal.place, alive=alive)
    for sealed in journal.events(record.run):
        teller.consume(sealed)
    teller.close()
