"""What AWS's partitions are called and where their endpoints are, from botocore's own table: no list of ours."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition, as botocore's ``partitions.json`` describes it.

    id: what its ARNs begin with after ``arn:``; dns_suffix: what its endpoints end with; pattern: what its Regions'
    names match; regions: those that botocore knows.
    """

    id: str
    dns_suffix: str
    pattern: str
    regions: frozenset[str]


@cache
def partitions() -> tuple[Partition, ...]:
    """All partitions that botocore knows."""
    from botocore.loaders import create_loader

    return tuple(
        Partition(one["id"], one["outputs"]["dnsSuffix"], one["regionRegex"], frozenset(one["regions"]))
        for one in create_loader().load_data("partitions")["partitions"]
    )


@lru_cache(maxsize=256)
def partition_of(region: str) -> Partition:
    """A Region's partition.

    A Region that botocore does not know is taken by the form of its name, and else for one of the partition ``aws``.
    """
    known = next((one for one in partitions() if region in one.regions), None)
    like = next((one for one in partitions() if re.search(one.pattern, region)), None)
    return known or like or next(one for one in partitions() if one.id == "aws")


def partition(region: str) -> str:
    """What ARNs of a Region begin with after ``arn:``: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on."""
    return partition_of(region).id


def dns_suffix(region: str) -> str:
    """What endpoints and ``kms:ViaService`` end with in a Region: ``amazonaws.com``, in China ``amazonaws.com.cn``."""
    return partition_of(region).dns_suffix


@cache
def any_suffix() -> str:
    """A pattern that matches the DNS suffix of any partition, the longest first."""
    return "|".join(sorted({re.escape(one.dns_suffix) for one in partitions()}, key=len, reverse=True))
