"""What AWS's partitions are called and where their endpoints are, from botocore's own table: no list of ours."""

from __future__ import annotations

import re
from functools import cache

from botocore.loaders import create_loader


@cache
def _partitions() -> tuple[tuple[str, str, str, frozenset[str]], ...]:
    """Each partition's id, DNS suffix, pattern of Regions, and Regions; botocore's ``partitions.json``."""
    return tuple(
        (one["id"], one["outputs"]["dnsSuffix"], one["regionRegex"], frozenset(one["regions"]))
        for one in create_loader().load_data("partitions")["partitions"]
    )


def dns_suffix(region: str) -> str:
    """What endpoints and ``kms:ViaService`` end with in a Region: ``amazonaws.com``, in China ``amazonaws.com.cn``.

    A Region that botocore does not know is taken by the form of its name, and else for one of the partition ``aws``.
    """
    known = next((suffix for _, suffix, _, regions in _partitions() if region in regions), "")
    like = next((suffix for _, suffix, pattern, _ in _partitions() if re.search(pattern, region)), "")
    return known or like or next(suffix for id_, suffix, _, _ in _partitions() if id_ == "aws")
