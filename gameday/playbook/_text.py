"""A playbook as it is written: its keys, their types, their defaults and what each means.

The reader validates with these models and ``gameday schema`` prints them, so the two cannot part ways.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gameday.playbook._radius import BlastRadius
from gameday.playbook._schedule import Schedule
from gameday.sdk import Duration, Phase

NAME_PATTERN = "^[a-z0-9][a-z0-9-]*$"
FAILS_PATTERN = "^[1-9][0-9]? of ([1-9][0-9]?|100)$|^100 of 100$"
CODE_PATTERN = r"^[A-Z][A-Za-z0-9]+(\.[A-Z][A-Za-z0-9]+)*$"
"""An exact AWS error code, such as ``KMS.DisabledException``."""
ROLE_PATTERN = r"^(arn:aws[a-z-]*:iam::\d{12}:)?role/[\w+=,.@/-]{1,576}$"
SHORTEST_EVERY = timedelta(milliseconds=10)


GROUP_PATTERN = r"^[0-9a-zA-Z_.-]{1,64}$"
QUEUE_PATTERN = r"^arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}$"


def check_name(text: str) -> str:
    """The name of a playbook, probe or guard: it goes into metrics, file names and log lines."""
    if not re.fullmatch(NAME_PATTERN, text) or len(text) > 63:
        raise ValueError("a name is at most 63 of a-z, 0-9 and '-', and begins with a letter or digit")
    return text


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


def _every(value: timedelta) -> timedelta:
    if value < SHORTEST_EVERY:
        raise ValueError("is shorter than 10ms, which would be an attack and not a look")
    return value


def parse_fails(text: object) -> tuple[int, int]:
    """``3 of 5`` as two numbers."""
    found = re.fullmatch(r"(\d{1,3}) of (\d{1,3})", text, re.ASCII) if isinstance(text, str) else None
    if not found:
        raise ValueError("must be 'N of M', such as '3 of 5'")
    count, of = int(found[1]), int(found[2])
    if not 1 <= count <= of <= 100:
        raise ValueError("must be 'N of M' with N at least 1, and M at least N and at most 100")
    return count, of


def _role(text: str) -> str:
    if not re.fullmatch(ROLE_PATTERN, text):
        raise ValueError("must be role/NAME, or the ARN of a role")
    return text


def _margin(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("is shorter than 1m, and AWS's schedules know no time more exact than the minute")
    return value


def _group(text: str) -> str:
    if not re.fullmatch(GROUP_PATTERN, text):
        raise ValueError("is no name of a schedule group (1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-')")
    return text


def _queue(text: str) -> str:
    if text and not re.fullmatch(QUEUE_PATTERN, text):
        raise ValueError("must be the ARN of an SQS queue, arn:aws:sqs:REGION:ACCOUNT:NAME")
    return text


Role = Annotated[str, AfterValidator(_role), WithJsonSchema({"type": "string", "pattern": ROLE_PATTERN})]
Identities = Annotated[
    dict[str, Role],
    Field(description="Roles that probes look as (`as: NAME`), by name: role/NAME of the run's account, or an ARN."),
]
Name = Annotated[
    str, AfterValidator(check_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": 63})
]
Limit = Annotated[Duration, AfterValidator(_positive)]
Every = Annotated[Duration, AfterValidator(_every)]
FailsText = Annotated[
    tuple[int, int],
    BeforeValidator(parse_fails),
    WithJsonSchema({"type": "string", "pattern": FAILS_PATTERN, "examples": ["3 of 5"]}),
]

_AS = "Look as one of `identities`, not as the runner: its role is assumed for it."
_WITH = "The parameters of what `uses` names."
_TIMEOUT = "How long one look may take (default 10s; 10m for a probe that changes its resource while looking)."


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UseText(_Text):
    """Something that is used once: a fault or a stage step."""

    uses: str
    with_: dict[str, object] = Field({}, alias="with", description=_WITH)


class FaultText(UseText):
    """Something that is broken, and undone in any case."""

    keep: bool = Field(
        False,
        description="Leave the result when everything went as expected; a run that fails undoes it all the same.",
    )


class GuardText(_Text):
    """A probe that must see `ok` throughout; its breach refuses the run before the fault and rolls back after."""

    uses: str = Field(description="Which probe.")
    with_: dict[str, object] = Field({}, alias="with", description=_WITH)
    as_: str | None = Field(None, alias="as", description=_AS)
    every: Every = Field(timedelta(seconds=1), description="The time from one look to the next.")
    timeout: Limit | None = Field(None, description=_TIMEOUT)
    fails: FailsText = Field(
        (3, 5),
        description="How many of the last looks must have failed for a breach.",
        json_schema_extra={"default": "3 of 5"},
    )


class SwitchText(_Text):
    """Schedules in AWS itself that put everything back when runner and watchdog are dead."""

    role: Role = Field(
        description="The role that makes the calls, role/NAME or an ARN; it must trust scheduler.amazonaws.com."
    )
    margin: Annotated[Duration, AfterValidator(_margin)] = Field(
        timedelta(minutes=2), description="How long after max_fault they fire; at least 1m."
    )
    group: Annotated[str, AfterValidator(_group)] = Field(
        "default", description="The schedule group, which must exist.", json_schema_extra={"pattern": GROUP_PATTERN}
    )
    dead_letter_queue: Annotated[str, AfterValidator(_queue)] = Field(
        "",
        description="The ARN of an SQS queue that hears of a call that never worked.",
        json_schema_extra={"pattern": QUEUE_PATTERN},
    )


EXPECTED_PHASES = (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY, Phase.EVIDENCE)


class ProbeText(_Text):
    """A look at one resource, again and again, and what it must see in which phase."""

    uses: str = Field(description="Which probe.")
    with_: dict[str, object] = Field({}, alias="with", description=_WITH)
    as_: str | None = Field(None, alias="as", description=_AS)
    every: Every | None = Field(
        None,
        description="The time from one look to the next (default 1s; 2s for a probe that only speaks as evidence).",
    )
    once: Literal["per phase"] | None = Field(
        None, description="Look until the expectation is met, then not again in that phase."
    )
    timeout: Limit | None = Field(None, description=_TIMEOUT)
    expect: object = None
    """What must be seen, by phase; read by ``_expect``, which knows its several spellings."""


class Timing(_Text):
    """Upper bounds: a phase ends as soon as what it waits for has been seen."""

    baseline_within: Limit = Field(timedelta(minutes=2), description="How long the baseline may take.")
    effect_within: Limit = Field(
        timedelta(seconds=60), description="How long the fault's effect may take; the default of `within` in `fault`."
    )
    hold: Duration = Field(timedelta(0), description="How long the effect must last before it is taken back.")
    max_fault: Limit = Field(
        timedelta(minutes=5), description="From the first inject to the latest moment at which rollback starts."
    )
    rollback_within: Limit = Field(timedelta(minutes=2), description="How long rollback may take before exit code 9.")
    recover_within: Limit = Field(
        timedelta(minutes=5), description="How long recovery may take; the default of `within` in `recovery`."
    )
    evidence_within: Limit = Field(
        timedelta(minutes=20), description="How long evidence is waited for; the default of `within` in `evidence`."
    )
    settle: Duration = Field(
        timedelta(seconds=10), description="How long after a call without an answer its effect may still land."
    )

    def default_within(self, phase: Phase) -> timedelta:
        """How long an expectation may take in a phase when it does not say so itself."""
        defaults = {
            Phase.FAULT: self.effect_within,
            Phase.RECOVERY: self.recover_within,
            Phase.EVIDENCE: self.evidence_within,
        }
        return defaults.get(phase, timedelta(0))


class HeadText(_Text):
    """What a playbook says of itself."""

    playbook: Name = Field(description="The playbook's name.")
    description: str = Field("", description="What it proves, in a sentence.")


class IdentitiesText(_Text):
    """Roles that probes look as."""

    identities: Identities = {}


class PlaybookText(HeadText):
    """Which key goes away, what must go dark, what must stay up, and what must come back."""

    vars: dict[str, str] = Field(
        {}, description="Values for the lab; on a real account the target or --var must give each one."
    )
    identities: Identities = {}
    stage: list[UseText] = Field([], description="Resources that the playbook needs; made where they are missing.")
    probes: dict[str, ProbeText] = Field({}, description="What is looked at, and what must be seen, by name.")
    guards: dict[str, GuardText] = Field({}, description="What must stay up throughout, by name.")
    faults: list[FaultText] = Field([], description="What is broken, in this order.")
    timing: Timing = Field(Timing(), description="Limits.")
    dead_man_switch: SwitchText | None = Field(
        None, description="Put everything back from AWS itself, should runner and watchdog both be dead."
    )
    schedule: Schedule | None = Field(None, description="When gameday schedule runs it.")
    blast_radius: BlastRadius = Field(BlastRadius(), description="Who may feel it, and what that means for the run.")
