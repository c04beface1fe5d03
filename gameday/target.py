"""Which AWS: starts the lab, or checks that the account is the one that was named; and as whom to run and put back.

The only place besides the lab itself that knows of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gameday.aws.identity import caller
from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.errors import TargetError
from gameday.sdk import RoleFacts, TargetFacts
from gameday.urls import is_web_address

if TYPE_CHECKING:
    from gameday.lab import LabProcess
    from gameday.playbook import RoleUse, TargetFile


@dataclass(frozen=True)
class TargetChoice:
    """What the command line or a target file asks for.

    Parameters
    ----------
    kind: ``embedded`` starts a lab for this run; ``lab`` uses one that is up at ``url``; ``aws`` is a real account.
    account, region: for ``aws``; STS must agree with the account.
    profile: one of boto3's profiles, for ``aws``.
    preset: the embedded lab's preset.
    file: the target file, if there is one.
    role, rollback_role: as whom to run, and to put back; None is the credentials themselves, and who runs.
    """

    kind: Literal["embedded", "lab", "aws"] = "embedded"
    url: str = ""
    account: str = ""
    region: str = ""
    profile: str = ""
    preset: str = "brisk"
    file: TargetFile | None = None
    role: RoleFacts | None = None
    rollback_role: RoleFacts | None = None

    @property
    def where(self) -> tuple[str, str, str]:
        """Target, account and Region as far as they are known before it is opened."""
        name = self.file.target if self.file else "aws" if self.kind == "aws" else "lab"
        return name, self.account, self.region

    @property
    def is_lab(self) -> bool:
        """Whether a playbook's own values of its variables apply."""
        return self.kind != "aws"


@dataclass(frozen=True)
class Target:
    """An AWS that answered, and is the one that was asked for.

    Parameters
    ----------
    session: as who runs.
    undoes: as who puts back, which is the same unless the target file names a ``rollback_role``.
    stages: whether a run may make what its playbook needs; on a real account only ``gameday stage`` does.
    """

    session: Session
    undoes: Session
    facts: TargetFacts
    stages: bool
    close: Callable[[], None]
    pipe: int = -1
    """The descriptor that keeps an embedded lab alive."""


def choice_of(file: TargetFile, preset: str) -> TargetChoice:
    """What a target file asks for; ``preset`` is for an embedded lab."""
    return TargetChoice(
        kind="embedded" if file.lab == "embedded" else "lab" if file.lab else "aws",
        url=file.lab if file.lab != "embedded" else "",
        account=file.account,
        region=file.region,
        profile=file.profile,
        preset=preset,
        file=file,
        role=_role_facts(file.role, file.session_tags),
        rollback_role=_role_facts(file.rollback_role, file.session_tags),
    )


def _role_facts(use: RoleUse | None, tags: dict[str, str]) -> RoleFacts | None:
    if use is None:
        return None
    seconds = int(use.session.total_seconds())
    return RoleFacts(arn=use.assume, external_id=use.external_id, seconds=seconds, tags=tags)


def open_target(choice: TargetChoice, run: str, started: datetime) -> Target:
    """Start or reach the AWS that was asked for; raises TargetError or LabError, with nothing left running."""
    if choice.kind == "aws":
        return _account(choice, run, started)
    lab = _lab(choice.preset) if choice.kind == "embedded" else None
    url = lab.url if lab else choice.url
    close = lab.stop if lab else _nothing
    try:
        base, region = _lab_session(url, choice.region, run, started)
        facts = TargetFacts(kind="lab", account="", region=region, endpoint=url, lab_pid=lab.pid if lab else 0)
        target = _checked(base, choice, facts, stages=True, close=close)
        return replace(target, pipe=lab.owner_pipe) if lab else target
    except BaseException:  # whatever ends this, the lab that was started for it ends too
        close()
        raise


def _lab(preset: str) -> LabProcess:
    from gameday.lab import start  # not needed, and not loaded, on a real account

    return start(preset)


def _lab_session(url: str, region: str, run: str, started: datetime) -> tuple[Session, str]:
    if not is_web_address(url):  # the URL is not repeated: it may hold a password
        raise TargetError("lab=URL names no URL of a lab; start one with gameday lab, and give the URL that it prints")
    region = region or "us-east-1"
    return Session(region=region, run=run, endpoint=url, keys=LAB_KEYS, started=started), region


def _account(choice: TargetChoice, run: str, started: datetime) -> Target:
    if not (choice.account and choice.region):
        raise TargetError("a real account must be named: give --account ID and --region REGION with --target aws")
    base = Session(region=choice.region, run=run, profile=choice.profile or None, started=started)
    facts = TargetFacts(kind="aws", account="", region=choice.region, profile=choice.profile)
    return _checked(base, choice, facts, stages=False, close=_nothing)


def _checked(
    base: Session, choice: TargetChoice, facts: TargetFacts, *, stages: bool, close: Callable[[], None]
) -> Target:
    account, arn = caller(base)
    base = base.but(account=choice.account or account, partition=arn.split(":")[1])
    session, undoes = _as_role(base, choice.role), _as_role(base, choice.rollback_role)
    mine = _same_account(session, base.account) if choice.role else _expect(account, arn, base.account)
    theirs = _same_account(undoes, base.account) if choice.rollback_role else ""
    facts = facts.model_copy(
        update={
            "account": base.account,
            "name": choice.file.target if choice.file else "",
            "caller": mine,
            "run_role": _resolved(choice.role, session),
            "rollback_role": _resolved(choice.rollback_role, undoes),
            "rollback_caller": theirs,
        }
    )
    session = session.but(callers=tuple(dict.fromkeys(who for who in (mine, theirs, arn) if who)))
    undoes = undoes.but(callers=session.callers) if choice.rollback_role else session
    return Target(session, undoes, facts, stages, close)


def _as_role(base: Session, role: RoleFacts | None) -> Session:
    if role is None:
        return base
    from gameday.aws.assumed import Role  # loads botocore, which a run without roles loads later anyhow

    return base.as_role(Role(role.arn, role.external_id, role.seconds, tuple(sorted(role.tags.items()))))


def _resolved(role: RoleFacts | None, session: Session) -> RoleFacts | None:
    return role and role.model_copy(update={"arn": session.role})


def _same_account(session: Session, account: str) -> str:
    return _expect(*caller(session), account)


def _expect(found: str, arn: str, account: str) -> str:
    """The caller's ARN; raises TargetError for one of another account."""
    if found != account:
        raise TargetError(
            f"the credentials are of account {found} ({arn}), but the target is account {account}; "
            "nothing was touched: use credentials of that account, or name the account that you mean"
        )
    return arn


def reopen(facts: TargetFacts, run: str) -> Session:
    """A session on the AWS of an earlier run, as who puts things back there; raises TargetError.

    What the watchdog and ``gameday rollback`` use: it starts from the facts that the journal keeps and from boto3's
    chain of credentials as this process finds it, so it also proves that both are enough.
    """
    started = datetime.now(UTC)
    if facts.kind == "lab":
        base, _ = _lab_session(facts.endpoint, facts.region, run, started)
    else:
        base = Session(region=facts.region, run=run, profile=facts.profile or None, started=started)
    account, arn = caller(base)
    base = base.but(account=facts.account or account, partition=arn.split(":")[1])
    role = facts.rollback_role or facts.run_role
    session = _as_role(base, role)
    if role:
        _same_account(session, base.account)
    else:
        _expect(account, arn, base.account)
    return session


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
