"""Receipts: what was put back while the journal could not be written, kept beside it until it can.

Without one, next week's ``gameday rollback`` would find a step open that was closed long ago, and enable a key which
somebody has really revoked since. So every command that looks at a run's open steps takes the receipts in first.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gameday.errors import JournalError
from gameday.journal import Journal, release_holds
from gameday.journal.place import not_ours_alone
from gameday.journal.records import RowUnreadable
from gameday.sdk import Closed, RunFinished, StepClosed

IGNORED = "NOT TAKEN IN:"
"""What begins a sentence about a receipt that is left where it is, since it cannot be read or believed."""
LARGEST = 1 << 20
"""Bytes of one file; a run leaves a few hundred."""


class Receipt(BaseModel):
    """One line: a step that was closed (or opened again: ``closed`` is None), or the run's end.

    Parameters
    ----------
    journal: the place of the journal that it is for.
    by: who put it back.
    at: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    journal: str
    by: str
    at: str
    step: str = ""
    closed: Closed | None = None
    detail: str = ""
    finished: RunFinished | None = None


class Receipts:
    """The receipts of one process for one run.

    Parameters
    ----------
    journal: the place of the journal that could not be written.
    by: who puts back, ``runner`` or ``watchdog``.
    """

    def __init__(self, run: str, journal: str, by: str) -> None:
        self._run, self._journal = run, journal
        self._by = f"{by} (process {os.getpid()} on {socket.gethostname()})"
        self.path = folder() / f"{run}-{by}.jsonl"

    def closed(self, step: str, closed: Closed, detail: str) -> str:
        """Write down that a step was closed; returns why that failed, or ``""``."""
        return self._leave(step=step, closed=closed, detail=detail)

    def reopened(self, step: str) -> str:
        """Write down that it is open again, where a receipt says otherwise."""
        return self._leave(step=step) if self.path.exists() else ""

    def finished(self, finished: RunFinished) -> str:
        """Write down how the run ended."""
        return self._leave(finished=finished)

    def _leave(self, **about: object) -> str:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = Receipt.model_validate(
            {"run": self._run, "journal": self._journal, "by": self._by, "at": at, **about}
        ).model_dump_json()
        try:
            self.path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, f"{line}\n".encode())
                os.fsync(file)
            finally:
                os.close(file)
            _sync(self.path.parent)
        except OSError as error:
            return f"no receipt could be left at {self.path}: {error}"
        return ""


def folder() -> Path:
    """Where receipts are: under the XDG state directory, wherever the journal is."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gameday" / "receipts"


def merge(journal: Journal) -> list[str]:
    """Take the receipts for this journal into it; returns a sentence for each run of which there were some.

    Raises JournalError when the journal cannot be written; the receipts stay then. One of a run that the journal does
    not know stays, too, and so does what is no receipt of ours: it is named, and takes no other with it.
    """
    said, refused = [], folder_refused()
    if refused:
        return [refused]
    for path in sorted(folder().glob("*.jsonl")):
        try:
            lines = _read(path)
        except (OSError, ValueError) as error:
            said.append(f"{IGNORED} {path}: {error}")
            continue
        found = [receipt for line in lines if (receipt := _receipt(line))]
        if broken := len(lines) - len(found):
            said.append(f"{path}: {broken} of {len(lines)} lines cannot be read, cut off perhaps, and were skipped")
        receipts = [receipt for receipt in found if receipt.journal == journal.place]
        if not receipts:
            continue
        run = receipts[0].run
        try:
            known = journal.known(run)
        except RowUnreadable as error:
            said.append(f"{IGNORED} {path}: {error}")
            continue
        if known is None:
            said.append(f"the receipt {path} is of run {run}, which this journal does not know")
            continue
        _take_in(journal, run, receipts)
        path.unlink(missing_ok=True)
        said.append(f"run {run}: took in {path.name}, of what was put back while the journal could not be written")
    return said


def _take_in(journal: Journal, run: str, receipts: list[Receipt]) -> None:
    last = {receipt.step: receipt for receipt in receipts if receipt.step}
    for receipt in last.values():
        if receipt.closed is not None:
            detail = f"{receipt.detail} (by the receipt of the {receipt.by}, {receipt.at})"
            journal.close(run, receipt.step, receipt.closed, detail)
            journal.append(run, StepClosed(step=receipt.step, at=0.0, closed=receipt.closed, detail=detail))
    finished = next((receipt.finished for receipt in reversed(receipts) if receipt.finished), None)
    if finished is not None and journal.run(run).finished_at is None:
        journal.append(run, finished)
        journal.finish_run(run, finished)
    if not journal.steps(run, only_open=True) and not journal.run(run).alive():
        release_holds(journal, run)


def merge_quietly(journal: Journal, within: list[str]) -> bool:
    """Try to take the receipts in; False when the journal cannot be written yet."""
    try:
        within += merge(journal)
    except JournalError:
        return False
    return True


def folder_refused() -> str:
    """Why the receipts in the folder may not be believed, or ``""``; no folder holds none."""
    try:
        why = not_ours_alone(folder())
    except FileNotFoundError:
        return ""
    except OSError as error:
        why = str(error)
    return f"{IGNORED} what is in {folder()}: {why}" if why else ""


def _read(path: Path) -> list[bytes]:
    """The lines of a file of receipts. Raises OSError or ValueError for what is none: a link, a pipe, another's."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as opened:
        if why := not_ours_alone(path, os.fstat(file), regular=True):
            raise ValueError(why)
        whole = opened.read(LARGEST + 1)
    if len(whole) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes, and a receipt has a few hundred")
    return [line for line in whole.split(b"\n") if line.strip()]


def _receipt(line: bytes) -> Receipt | None:
    """What a line says; None for one that the power cut in two, within a letter even."""
    try:
        return Receipt.model_validate_json(line)
    except ValueError:
        return None


def _sync(folder: Path) -> None:
    """The name is durable only when the directory is."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
