"""A probe of a tag becomes a probe of each instance in its sample, once, in preflight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gameday.aws.resolve import tagged
from gameday.playbook import GuardUse, ProbeUse
from gameday.sdk import AWS, OnInstances, evenly

Use = ProbeUse | GuardUse


@dataclass(frozen=True)
class Sampled:
    """What was taken, by the name in the playbook and by the names that came of it.

    Parameters
    ----------
    said: ``2 of the 5 instances tagged Role=web: i-…, i-…``, by the playbook's name of the probe.
    places: ``number 1 of a sample of 2 of the 5 instances tagged Role=web``, by the new name.
    """

    said: Mapping[str, str]
    places: Mapping[str, str]


def spread(uses: Iterable[Use], aws: AWS) -> tuple[list[Use], Sampled]:
    """The uses with each probe of a tag replaced by those of its sample; raises Refused where nothing carries it.

    A sample of one keeps the probe's name; of more, they are numbered in the order of the instances' ids.
    """
    every: list[Use] = []
    said: dict[str, str] = {}
    places: dict[str, str] = {}
    for use in uses:
        part = use.part
        if not isinstance(part, OnInstances) or not part.tag or part.sample is None:
            every.append(use)
            continue
        found = tagged(part.tag, aws)
        taken = evenly(found, part.sample)
        what = f"{len(taken)} of the {len(found)} instances tagged {written(part.tag)}"
        said[use.name] = f"{what}: {', '.join(arn.rsplit('/', 1)[-1] for arn in taken)}"
        for number, arn in enumerate(taken, 1):
            name = f"{use.name}#{number}" if len(taken) > 1 else use.name
            places[name] = f"number {number} of a sample of {what}"
            every.append(replace(use, name=name, part=_about(part, arn)))
    return every, Sampled(said, places)


def written(tag: tuple[tuple[str, str], ...]) -> str:
    """``Role=web``, and the next one after ``and``."""
    return " and ".join(f"{key}={value}" for key, value in tag)


def _about(part: OnInstances, arn: str) -> OnInstances:
    """The part as if the playbook had named the instance."""
    given = {name: getattr(part, name) for name in part.model_fields_set - {"tag", "sample"}}
    return type(part)(**{**given, "instance": arn})
