"""Which AWS: starts the lab, or checks that the account is the one that was named.

The only place besides the lab itself that knows of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from gameday.aws.identity import caller
from gameday.aws.session import LAB_KEYS, Session
from gameday.errors import TargetError
from gameday.sdk import TargetFacts

if TYPE_CHECKING:
    from gameday.lab import LabProcess


@dataclass(frozen=True)
class TargetChoice:
    """What the command line asks for.

    Parameters
    ----------
    kind: ``embedded`` starts a lab for this run; ``lab`` uses one that is up at ``url``; ``aws`` is a real account.
    account, region: for ``aws``; STS must agree with the account.
    profile: one of boto3's profiles, for ``aws``.
    preset: the embedded lab's preset.
    """

    kind: Literal["embedded", "lab", "aws"] = "embedded"
    url: str = ""
    account: str = ""
    region: str = ""
    profile: str = ""
    preset: str = "brisk"

    @property
    def is_lab(self) -> bool:
        """Whether a playbook's own values of its variables apply."""
        return self.kind != "aws"


@dataclass(frozen=True)
class Target:
    """An AWS that answered, and is the one that was asked for.

    Parameters
    ----------
    stages: whether a run may make what its playbook needs; on a real account only ``gameday stage`` does.
    """

    session: Session
    facts: TargetFacts
    stages: bool
    close: Callable[[], None]


def open_target(choice: TargetChoice, run: str, started: datetime) -> Target:
    """Start or reach the AWS that was asked for; raises TargetError or LabError, with nothing left running."""
    if choice.kind == "aws":
        return _account(choice, run, started)
    lab = _lab(choice.preset) if choice.kind == "embedded" else None
    url = lab.url if lab else choice.url
    close = lab.stop if lab else _nothing
    try:
        if not urlsplit(url).hostname:
            raise TargetError(
                f"{url!r} is no URL of a lab; start one with gameday lab, and give the URL that it prints"
            )
        region = choice.region or "us-east-1"
        session = Session(region=region, run=run, endpoint=url, keys=LAB_KEYS, started=started)
        return _checked(
            session,
            choice,
            TargetFacts(kind="lab", account="", region=region, endpoint=url, lab_pid=lab.pid if lab else 0),
            stages=True,
            close=close,
        )
    except BaseException:  # whatever ends this, the lab that was started for it ends too
        close()
        raise


def _lab(preset: str) -> LabProcess:
    from gameday.lab import start  # not needed, and not loaded, on a real account

    return start(preset)


def _account(choice: TargetChoice, run: str, started: datetime) -> Target:
    if not (choice.account and choice.region):
        raise TargetError("a real account must be named: give --account ID and --region REGION with --target aws")
    session = Session(region=choice.region, run=run, profile=choice.profile or None, started=started)
    facts = TargetFacts(kind="aws", account="", region=choice.region, profile=choice.profile)
    return _checked(session, choice, facts, stages=False, close=_nothing)


def _checked(
    session: Session, choice: TargetChoice, facts: TargetFacts, *, stages: bool, close: Callable[[], None]
) -> Target:
    account, arn = caller(session)
    if choice.account and account != choice.account:
        raise TargetError(
            f"the credentials are of account {account} ({arn}), but the target is account {choice.account}; "
            "nothing was touched: use credentials of that account, or name the account that you mean"
        )
    session = session.but(account=account, partition=arn.split(":")[1])
    return Target(session, facts.model_copy(update={"account": account, "caller": arn}), stages, close)


def reopen(facts: TargetFacts, run: str) -> Session:
    """A session on the AWS of an earlier run, to put things back; raises TargetError."""
    choice = TargetChoice(
        kind=facts.kind, url=facts.endpoint, account=facts.account, region=facts.region, profile=facts.profile
    )
    return open_target(choice, run, datetime.now(UTC)).session


def vanished(facts: TargetFacts) -> bool:
    """Whether it was a run's own embedded lab, which ended with that run: its key and all else is gone with it."""
    if not facts.lab_pid:
        return False
    with suppress(TargetError):
        reopen(facts, "status")
        return False
    return True


def _nothing() -> None:
    """A target that was there before stays."""
