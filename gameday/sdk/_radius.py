"""The blast radius as readers of a run's events need it: who depends on the key, and what became of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Why = Literal["used", "granted", "protected", "this run"]
Fate = Literal["as predicted", "unexpected", "spared", "silent"]


class Dependent(BaseModel):
    """Someone or something that needs the key.

    Parameters
    ----------
    principal: the role, user or service, never the session; ``""`` is whoever uses the resource.
    service: through which it is used (``s3.amazonaws.com``), or ``direct``; ``""`` is any.
    resource: an ARN or an id as AWS writes it, or ``""`` when nothing names it.
    instance: the EC2 instance that it belongs to, or ``""``.
    also: further names of the resource, as encryption contexts may give them.
    why: ``used`` in the look-back, ``granted`` by a grant, ``protected`` by the key today, or ``this run`` itself.
    last_used: UTC, ISO 8601, or ``""``.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    principal: str = ""
    service: str = ""
    resource: str = ""
    instance: str = ""
    also: tuple[str, ...] = ()
    why: Why
    uses: int = 0
    last_used: str = ""
    detail: str = ""


class Latent(BaseModel):
    """What does not fail when the key goes, but later; or does not come back when the key does.

    Parameters
    ----------
    when: what makes it fail, or when it fails.
    needs: what brings it back besides the key.
    by: the time within which that must be done, or ``""``.
    unrecoverable: whether enabling the key alone does not bring it back.
    source: where AWS says so.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    service: str
    resource: str
    when: str
    needs: str = ""
    by: str = ""
    unrecoverable: bool = False
    source: str = ""


class Gap(BaseModel):
    """A time that CloudTrail's whole seconds bound: seconds since the change, by the log's own clock."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    after: float
    by: float


class Seen(BaseModel):
    """What became of one dependent while the key was away, as CloudTrail shows it.

    Parameters
    ----------
    refused: refused calls; they name no resource when a service made them, so ``resource`` may be ``""``.
    first_refused, last_refused, recovered_at: UTC, ISO 8601, or ``""`` when the log does not show it.
    effect, recover: between the last old answer and the first new one, since the key went and since it came back.
    behind: the EC2 or S3 calls that share the refused call's request id.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    fate: Fate
    principal: str = ""
    service: str = ""
    resource: str = ""
    refused: int = 0
    succeeded: int = 0
    first_refused: str = ""
    last_refused: str = ""
    recovered_at: str = ""
    effect: Gap | None = None
    recover: Gap | None = None
    behind: tuple[str, ...] = ()


class Sizes(BaseModel):
    """How large a blast radius is; dependents that are this run itself are not counted."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    dependents: int = 0
    principals: int = 0
    services: int = 0
    resources: int = 0
    uses: int = 0
