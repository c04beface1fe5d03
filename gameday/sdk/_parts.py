"""The base classes of what a playbook can use: probes, faults and stage steps."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue

from gameday.sdk._aws import AWS
from gameday.sdk._fields import Ref, RefKind
from gameday.sdk._observation import Observation
from gameday.sdk._scope import ec2_resources

Before = Mapping[str, JsonValue]
"""The state that was found: all that an undo needs, as JSON, without secrets."""


def unlike(before: Before, **wanted: object) -> str:
    """Which value of ``before`` is not as wanted (one of several, for a tuple), in a few words, or ``""``."""
    for name, value in wanted.items():
        found = before.get(name)
        if found not in value if isinstance(value, tuple) else found != value:
            said = " or ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)
            return f"its {name} is {found!r}, and the run's would be {said}"
    return ""


class Part(BaseModel):
    """Something that a playbook names with ``uses:`` and configures with ``with:``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uses: ClassVar[str]
    """The name in a playbook, ``service.verb``."""
    permissions: ClassVar[tuple[str, ...]] = ()
    """The IAM actions that it needs, however it is configured."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Those of its permissions that it needs as it is configured: what ``gameday iam-policy`` prints."""
        return self.permissions

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The ARNs that one of its IAM actions is for: what ``gameday iam-policy`` scopes it to.

        By default what its fields are pinned to: of a KMS action its keys, of an EC2 action its instances and volumes.
        ``()`` where it names none: a KMS action is then for the keys of the playbook, any other for ``*``.
        The action is one of its ``permissions`` or of its steps' calls, ``s3:GetObject``; of ``aws`` only the account,
        the Region and the partition are read.
        """
        service = action.partition(":")[0]
        if service == "kms":
            return self.pinned(RefKind.KEY)
        if service != "ec2":
            return ()
        instances, volumes = self.pinned(RefKind.INSTANCE), self.pinned(RefKind.VOLUME)
        return ec2_resources(action, aws.partition, aws.region, aws.account, instances=instances, volumes=volumes)

    def pinned(self, kind: RefKind) -> tuple[str, ...]:
        """The ARNs that its fields of a kind were pinned to in preflight."""
        found: list[str] = []
        for name, about in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, str) and value.startswith("arn:"):
                found += [value for mark in about.metadata if isinstance(mark, Ref) and mark.kind is kind]
        return tuple(sorted(found))


class Rank(IntEnum):
    """The order in which rollback begins: keys first, then policies and doors, instances last.

    A dead man's switch is made before all of them, and taken away only when what it stands behind is closed.
    """

    KEY = 0
    POLICY = 1
    INSTANCE = 2
    SWITCH = 9


@dataclass(frozen=True)
class Restored:
    """The resource is as it was captured."""

    detail: str = ""
    state: str = field(default="", compare=False)
    """The resource's own word for its state where it has one, such as KMS's ``Disabled``; for who looks on."""


@dataclass(frozen=True)
class StillOurs:
    """What was injected is still there, or the way back is not over yet."""

    detail: str = ""
    state: str = field(default="", compare=False)
    """The resource's own word for its state where it has one, such as KMS's ``Disabled``; for who looks on."""


@dataclass(frozen=True)
class Drifted:
    """Someone else changed the resource meanwhile; it is left alone."""

    detail: str = ""
    state: str = field(default="", compare=False)
    """The resource's own word for its state where it has one, such as KMS's ``Disabled``; for who looks on."""


@dataclass(frozen=True)
class Unknown:
    """The resource did not answer."""

    detail: str = ""
    state: str = field(default="", compare=False)
    """The resource's own word for its state where it has one, such as KMS's ``Disabled``; for who looks on."""


ReadBack = Restored | StillOurs | Drifted | Unknown


@dataclass(frozen=True)
class Calls:
    """The IAM actions of a step's calls, in order: what ``gameday plan`` shows, and who must be allowed what.

    Parameters
    ----------
    inject: what makes the change.
    undo: what takes it back.
    read: what captures, checks and reads back.
    """

    inject: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


class CloudCall(BaseModel):
    """One call that undoes a step exactly, made by AWS itself: it needs no state, no read, and may come twice.

    Parameters
    ----------
    service, action: as the AWS SDK for Java names them, ``kms`` and ``enableKey``.
    parameters: the call's input, as JSON.
    permission: the IAM action that the switch's role needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    action: str
    parameters: dict[str, JsonValue]
    permission: str


def cli_command(service: str, call: str, key: str) -> str:
    """A command of the AWS CLI about a key, in the Region that its ARN names."""
    return shlex.join(["aws", service, call, "--key-id", key, "--region", key.split(":")[3]])


class Step(BaseModel, ABC):
    """One change in AWS that can be undone.

    Rebuilt from the journal by another process, so its fields hold all that it needs besides ``before``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: ClassVar[str]
    """The step's name, unique within its fault."""
    rank: ClassVar[Rank]
    calls: ClassVar[Calls] = Calls()
    denies: ClassVar[bool] = False
    """Whether it takes a permission away and leaves the key as it is: callers then see AccessDenied."""
    aspect: ClassVar[str] = ""
    """What of the resource it changes, where a later step of the same run may change it again: ``power``.

    The later step supersedes this one: until it is undone, the resource cannot show what became of this one.
    """

    @property
    @abstractmethod
    def resource(self) -> str:
        """The canonical ARN that the hold is taken on."""

    @abstractmethod
    def capture(self, aws: AWS) -> Before:
        """Read the state to come back to. Raises CannotInject when the step could not be undone exactly."""

    def check(self, aws: AWS) -> None:
        """In preflight: raise CannotInject when the step could not be injected or undone exactly.

        By default that is what a capture would find; a step that can only be captured after an earlier one has been
        injected says here what it can say before.
        """
        self.capture(aws)

    @abstractmethod
    def inject(self, aws: AWS, before: Before) -> None:
        """Make the change: one call, made once. An error that leaves the outcome open counts as done."""

    @abstractmethod
    def undo(self, aws: AWS, before: Before) -> None:
        """Take away what inject did, and nothing else. Idempotent; always calls."""

    @abstractmethod
    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Ask the resource whether it is as captured."""

    def mismatch(self, run: str, before: Before) -> str:
        """What of ``before`` this step cannot have captured in that run, in a few words, or ``""``. Asks nobody.

        An undo believes the journal only after this: what can be made again from the run's id and the step's own
        fields (a policy's name, a Sid, a tag) is made again here and compared; whoever can write the journal must not
        choose what is deleted.
        """
        return ""

    @property
    def by_hand(self) -> tuple[str, ...]:
        """The commands of the AWS CLI that undo it, for somebody who has nothing else; none where that takes more."""
        return ()

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...] | None:
        """The calls, in order, with which the cloud itself can undo this step when everyone else is dead.

        None where it cannot be undone without overwriting what others may have changed; ``()`` where nothing is needed,
        since another step's call makes it harmless. Raises CannotInject when the resource is not as that takes.
        """
        return None

    def rehearse(self, aws: AWS) -> None:
        """Prove in preflight that the undo is permitted, without changing anything. Raises what AWS answers."""


class Fault(Part, ABC):
    """Something that breaks, in ordered steps, and knows how to mend each."""

    needs_switch: ClassVar[bool] = False
    """Whether a real account must not see it without the dead man's switch armed: left alone, it ends in a loss."""

    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order of injection; the same for the same parameters, without asking AWS."""


class StepFault(Fault, Step):
    """A fault that is one step: it is its own."""

    def steps(self) -> tuple[Step, ...]:
        """Itself."""
        return (self,)


class Switch(Part, Step, ABC):
    """A dead man's switch: one call that the cloud makes by itself at a time, unless it is taken away before.

    It is a step like any other. Its inject arms it, its undo takes it away, and it reads back as StillOurs only while
    it is armed exactly as asked, as Restored only when it is gone. What it captures names ``fires_at``: UTC, ISO 8601.
    """

    rank: ClassVar[Rank] = Rank.SWITCH

    about: str
    """The ARN of what the call puts back."""
    call: CloudCall
    role: str
    """The ARN of the role that makes the call."""
    after: float
    """Seconds from its arming to its firing."""

    def steps(self) -> tuple[Step, ...]:
        """Itself."""
        return (self,)

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The role that is passed, and the switch itself."""
        return (self.role,) if action.endswith(":PassRole") else (self.resource,)


class Probe(Part, ABC):
    """Something that looks at one resource and says what it saw."""

    @abstractmethod
    def observe(self, aws: AWS) -> Observation:
        """Look once: never raises for what AWS answers, and never retries (a retry hides the outage)."""

    def refusal(self, aws: AWS) -> str:
        """In preflight: why this probe must not run against its resource, or ``""``."""
        return ""


class InvasiveProbe(Probe, ABC):
    """A probe that changes its resource while looking; it goes through holds and undo steps like a fault.

    The runner captures its steps before the first look; ``observe`` is the inject, and makes its changes
    through ``aws.changing`` and its pauses through ``aws.wait``, so that a rollback stops it at once.
    """

    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """The steps whose capture, undo and read-back put the resource back."""


class StageStep(Part, ABC):
    """A resource that a playbook needs: checked where it exists, made where it may be."""

    @abstractmethod
    def check(self, aws: AWS) -> str:
        """Why the resource is not there or not fit, or ``""``. Changes nothing."""

    @abstractmethod
    def make(self, aws: AWS) -> None:
        """Make the resource, tagged ``gameday:stage``; never alters one that exists."""

    @abstractmethod
    def unmake(self, aws: AWS) -> str:
        """Remove it if it carries the tag, and say in one sentence what was done."""
