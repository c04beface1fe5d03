"""Several resources at once: a sample of them, and which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from gameday.sdk._fields import InstanceId
from gameday.sdk._parts import Probe

T = TypeVar("T")


def evenly(found: Sequence[T], sample: int) -> tuple[T, ...]:
    """A sample of what was found: evenly spread over it, the first among them; all of it where there is no more.

    The same of the same, so that what is looked at does not change from look to look.
    """
    count = min(sample, len(found))
    return tuple(found[number * len(found) // count] for number in range(count))


def _pairs(value: object) -> object:
    if isinstance(value, dict):
        return tuple(value.items())
    if not isinstance(value, tuple):
        raise ValueError("must be tags with their values, such as {Role: web}")
    return value


Tags = Annotated[
    tuple[tuple[str, str], ...],
    BeforeValidator(_pairs),
    PlainSerializer(dict, return_type=dict[str, str]),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
"""Tags with their values, written as ``{Key: Value}``; a resource must carry all of them."""


class OnInstances(Probe):
    """A probe of one instance, or of a sample of those that carry a tag.

    A tag is looked up once, in preflight, and each instance of the sample becomes a probe of its own, ``name#1``,
    ``name#2`` …: with looks of its own, an undo step of its own, and a time of its own.
    """

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["instance"]}, {"required": ["tag", "sample"]}]}
    )

    instance: InstanceId = ""
    """One instance: its id, its ARN or its Name tag; or else a tag."""
    tag: Tags = ()
    """A sample of the instances that carry this tag, such as `{Role: web}`; of several tags, all. It is taken once, in
    preflight, and each instance in it is looked at by a probe of its own: `name#1`, `name#2` …"""
    sample: int | None = Field(default=None, gt=0, le=20)
    """How many of them, to be said with a tag: evenly spread over their ids. What was sampled of how many stands in
    the plan, in preflight and in the report."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.instance) == bool(self.tag):
            raise ValueError("needs either an instance or a tag")
        if self.tag and self.sample is None:
            raise ValueError("a tag needs a sample: how many of the instances that carry it")
        if self.sample is not None and not self.tag:
            raise ValueError("sample goes with a tag, not with an instance")
        return self
