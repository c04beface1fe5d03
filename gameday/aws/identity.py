"""Who we are: the account and the ARN behind the credentials, or one sentence that says what to do about it."""

from __future__ import annotations

from gameday.aws.session import Session
from gameday.errors import TargetError
from gameday.sdk import Cause


def caller(session: Session) -> tuple[str, str]:
    """The caller's account and ARN, from STS GetCallerIdentity; raises TargetError when they cannot be had."""
    account = arn = ""
    with session.answering() as answer:
        identity = session.client("sts").get_caller_identity()
        account, arn = identity.get("Account", ""), identity.get("Arn", "")
    if account:
        return account, arn
    raise TargetError(_sentence(session, answer.cause, answer.detail))


def _sentence(session: Session, cause: Cause, detail: str) -> str:
    where = session.endpoint or f"AWS in {session.region}"
    if cause is Cause.CREDENTIALS and session.role:
        return (
            f"{session.role} cannot be assumed ({detail}): its trust policy must allow who runs gameday, with the "
            "external id, session duration and tags that the target file names"
        )
    if cause is Cause.CREDENTIALS:
        return f"{where} does not accept the credentials, or there are none ({detail}): log in again, or name a profile"
    if cause is Cause.UNREACHABLE:
        return f"{where} does not answer ({detail}): check the endpoint, the Region and the network"
    if cause in (Cause.ACCESS_DENIED, Cause.KEY_POLICY_DENIED):
        return f"{where} denies sts:GetCallerIdentity ({detail}): use an identity that may ask who it is"
    if cause is Cause.THROTTLED:
        return f"{where} is throttling ({detail}): try again in a minute"
    return f"{where} did not say who the caller is ({cause}: {detail}): check that the endpoint speaks STS"
