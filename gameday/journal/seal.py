"""A seal on undo steps that a writer of the journal cannot make: an HMAC whose key is not in the journal."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
from dataclasses import dataclass
from pathlib import Path

from gameday.errors import Refused
from gameday.journal.place import not_ours_alone
from gameday.journal.records import StepRecord
from gameday.sdk import TargetFacts

SHORTEST = 32
"""Bytes of a key; an HMAC with SHA-256 gains nothing from a longer one (RFC 2104, section 3)."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals undo steps, and says whether a sealed one is as it was written.

    Parameters
    ----------
    key: at least 32 bytes, which nobody who may write the journal has.
    required: whether a step without a seal is refused, too.
    """

    key: bytes
    required: bool = False

    @classmethod
    def from_file(cls, place: str, *, required: bool) -> Seal:
        """The key in a file; raises Refused where it is missing, short, or not readable by its owner alone."""
        path = Path(place).expanduser()
        try:
            found, key = path.stat(), path.read_bytes().strip()
            why = not_ours_alone(path, regular=True)
        except OSError as error:
            raise Refused(f"the key of the journal's seal cannot be read: {error}") from error
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            why = why or f"{path} can be read by others (mode {found.st_mode & 0o7777:04o}); chmod 600 {path}"
        if len(key) < SHORTEST:
            why = why or f"{path} holds {len(key)} bytes, and a key has {SHORTEST}: openssl rand -hex 32 > {path}"
        if why:
            raise Refused(f"the key of the journal's seal is refused: {why}")
        return cls(key, required)

    def of(self, record: StepRecord, target: TargetFacts | None) -> str:
        """The seal of a step of a run on that target."""
        step = record.model_dump(mode="json", exclude={"seal"})
        where = target.model_dump(mode="json") if target else None
        body = json.dumps(["gameday undo step", step, where], sort_keys=True, separators=(",", ":"))
        return hmac.new(self.key, body.encode(), hashlib.sha256).hexdigest()

    def refusal(self, record: StepRecord, target: TargetFacts | None) -> str:
        """Why a step is not one that a holder of the key wrote, in a few words, or ``""``."""
        if not record.seal:
            return "it has no seal, and the target requires one" if self.required else ""
        right = hmac.compare_digest(record.seal.encode(), self.of(record, target).encode())
        return "" if right else "its seal is not the one that the target's key makes"
