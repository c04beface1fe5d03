"""How boto3's sessions and clients are made: with the chain of credentials of everywhere, or isolated from it."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config

_CONNECTIONS = 64
"""More than the probes of one run ever have on the wire; botocore's 10 would make them wait for each other."""


@dataclass(frozen=True)
class Keys:
    """Explicit credentials; a session that has them looks at nothing in the environment."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


LAB_KEYS = Keys("test", "test")
"""What the embedded lab takes; no real AWS accepts them."""


def config(service: str, *, run: str, read_timeout: float, custom: bool, proxies: bool, unsigned: bool) -> Config:
    """How a client of ours speaks: once, briefly, and naming its run.

    A call is given up after ``read_timeout`` seconds without a byte; ``custom`` is an endpoint of its own, ``proxies``
    uses the environment's, ``unsigned`` signs nothing.
    """
    from botocore import UNSIGNED
    from botocore.config import Config

    options: dict[str, Any] = {
        # One attempt: a retry hides the outage from a probe, and repeats a change.
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": 2.0,
        "read_timeout": read_timeout,
        "max_pool_connections": _CONNECTIONS,
        "user_agent_extra": f"gameday/{run}",
    }
    if not proxies:
        options["proxies"] = {}  # None would mean the environment's
    if service == "s3":
        # SSE-KMS refuses Signature Version 2; a bucket's own host name does not resolve on a custom endpoint.
        options["signature_version"] = "s3v4"
        options["s3"] = {"addressing_style": "path" if custom else "auto"}
    if unsigned:
        options["signature_version"] = UNSIGNED
    return Config(**options)


def without_account(request: AWSRequest, **_: object) -> None:
    """S3 Control puts the account before the host, and such a name does not resolve on a custom endpoint."""
    request.url = re.sub(r"^(https?://)\d{12}\.", r"\1", request.url or "")


def usual(profile: str | None, region: str) -> boto3.Session:
    """boto3 as everywhere: its chain of credentials, its configuration files and variables."""
    import boto3

    return boto3.Session(profile_name=profile, region_name=region)


@functools.cache
def isolated(keys: Keys, region: str) -> boto3.Session:
    """A session with these keys that reads no AWS_* variable and no configuration file.

    Whatever the environment holds (a profile that does not exist, FIPS endpoints, another retry mode) is somebody
    else's AWS. Every variable botocore knows is redefined without its environment name. So it is the same for every run
    of this process, and its models (a tenth of a second for EC2's) are read once.
    """
    import boto3
    import botocore.session
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN

    quiet: dict[str, tuple[Any, Any, Any, Any]] = {
        name: (None, None, default, kind) for name, (_, _, default, kind) in KNOWN.items()
    }
    for file in ("config_file", "credentials_file"):
        quiet[file] = (None, None, os.devnull, None)
    return boto3.Session(
        botocore_session=botocore.session.Session(session_vars=quiet),
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token or None,
        region_name=region,
    )
