"""One account and Region, as one identity, for one run: the sdk's ``AWS`` over boto3."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from gameday.aws.answers import Answering
from gameday.errors import Interrupted
from gameday.sdk import Answer

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_kms import KMSClient
    from types_boto3_s3 import S3Client
    from types_boto3_sts import STSClient

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


class Session:
    """Clients that never retry, have short timeouts, name the run in their user agent, and ask before they change.

    Parameters
    ----------
    region, account, partition: where; the account may be filled in later, see :meth:`but`.
    run: the run's id.
    endpoint: where every service is reached; None leaves it to boto3.
    keys: explicit credentials; then profiles, proxies and AWS_* variables are not looked at. Without, boto3's own
        chain decides, from ``profile`` where one is given.
    fence: whether this run may change things now; asked immediately before each request of a changing client.
    stopping: set when nobody waits for probes any more.
    started: when the run started; now, unless it is said.
    read_timeout: seconds without a byte from AWS before a call is given up.
    """

    def __init__(
        self,
        *,
        region: str,
        run: str,
        account: str = "",
        partition: str = "aws",
        endpoint: str | None = None,
        keys: Keys | None = None,
        profile: str | None = None,
        fence: Callable[[], bool] = lambda: True,
        stopping: threading.Event | None = None,
        started: datetime | None = None,
        read_timeout: float = 5.0,
    ) -> None:
        self._region, self._account, self._partition = region, account, partition
        self._run, self._endpoint, self._read_timeout = run, endpoint, read_timeout
        self._keys, self._profile = keys, profile
        self._fence, self._stopping = fence, stopping or threading.Event()
        self._started = started or datetime.now(UTC)
        self._boto: list[boto3.Session] = []
        self._clients: dict[tuple[str, bool], Any] = {}
        self._making = threading.RLock()
        self._heard = threading.local()

    @property
    def account(self) -> str:
        """The 12-digit account id that STS gave."""
        return self._account

    @property
    def region(self) -> str:
        """The Region, e.g. ``us-east-1``."""
        return self._region

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self._partition

    @property
    def run(self) -> str:
        """The run's id; what a run makes is tagged ``gameday:run`` with it."""
        return self._run

    @property
    def started(self) -> datetime:
        """When the run started, UTC."""
        return self._started

    @property
    def endpoint(self) -> str:
        """Where every service is reached, or ``""`` when boto3 decides."""
        return self._endpoint or ""

    def but(
        self,
        *,
        account: str | None = None,
        partition: str | None = None,
        fence: Callable[[], bool] | None = None,
        stopping: threading.Event | None = None,
        started: datetime | None = None,
    ) -> Session:
        """The same session with something else about it; what reads is shared, what changes asks the new fence."""
        other = copy.copy(self)
        other._account = self._account if account is None else account
        other._partition = partition or self._partition
        other._fence, other._stopping = fence or self._fence, stopping or self._stopping
        other._started = started or self._started
        if fence is not None:
            with self._making:
                other._clients = {kind: client for kind, client in self._clients.items() if not kind[1]}
        return other

    @overload
    def client(self, service: Literal["kms"]) -> KMSClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["ec2"]) -> EC2Client: ...
    @overload
    def client(self, service: Literal["cloudtrail"]) -> CloudTrailClient: ...
    @overload
    def client(self, service: Literal["autoscaling"]) -> AutoScalingClient: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...

    def client(self, service: Any) -> Any:
        """A boto3 client for calls that only read."""
        return self._client(service, changing=False)

    @overload
    def changing(self, service: Literal["kms"]) -> KMSClient: ...
    @overload
    def changing(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def changing(self, service: Literal["ec2"]) -> EC2Client: ...

    def changing(self, service: Any) -> Any:
        """A boto3 client for calls that change something: the fence is asked before each of its requests."""
        return self._client(service, changing=True)

    def answering(self) -> AbstractContextManager[Answer]:
        """Catch what AWS answers inside the block, errors and silence alike, and classify it."""
        self._heard.request_id = ""
        return Answering(self.last_request_id)

    def last_request_id(self) -> str:
        """The request id of the last answer that this thread got, or ``""``."""
        return str(getattr(self._heard, "request_id", ""))

    def wait(self, seconds: float) -> None:
        """Wait, or raise Interrupted at once when the run stops waiting for its probes."""
        if self._stopping.wait(seconds):
            raise Interrupted("the run no longer waits for its probes")

    def _client(self, service: str, *, changing: bool) -> Any:
        # Making a client is not thread-safe in boto3 (it reads and caches models), using one is.
        with self._making:
            known = self._clients.get((service, changing))
            if known is None:
                known = self._clients[service, changing] = self._make(service, changing=changing)
            return known

    def _make(self, service: str, *, changing: bool) -> Any:
        if not self._boto:
            self._boto.append(
                _isolated(self._keys, self._region) if self._keys else _usual(self._profile, self._region)
            )
        # One of boto3's overloads a service; the name is a value here, so the type is given by our own overloads.
        make: Any = self._boto[0].client
        client = make(service, endpoint_url=self._endpoint, config=self._config(service))
        client.meta.events.register_last("after-call", self._hear)
        if changing:
            # before-send is the last thing before the socket: credentials are fetched and the request is signed.
            client.meta.events.register("before-send", self._ask_fence)
        return client

    def _config(self, service: str) -> Config:
        from botocore.config import Config

        options: dict[str, Any] = {
            # One attempt: a retry hides the outage from a probe, and repeats a change.
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "connect_timeout": 2.0,
            "read_timeout": self._read_timeout,
            "max_pool_connections": _CONNECTIONS,
            "user_agent_extra": f"gameday/{self._run}",
        }
        if self._keys:
            options["proxies"] = {}  # None would mean the environment's
        if service == "s3":
            # SSE-KMS refuses Signature Version 2; a bucket's own host name does not resolve on a custom endpoint.
            options["signature_version"] = "s3v4"
            options["s3"] = {"addressing_style": "path" if self._endpoint else "auto"}
        return Config(**options)

    def _ask_fence(self, **_: object) -> None:
        if not self._fence():
            raise Interrupted("this run may no longer change anything")

    def _hear(self, parsed: dict[str, Any], **_: object) -> None:
        self._heard.request_id = parsed.get("ResponseMetadata", {}).get("RequestId", "")


def _usual(profile: str | None, region: str) -> boto3.Session:
    """boto3 as everywhere: its chain of credentials, its configuration files and variables."""
    import boto3

    return boto3.Session(profile_name=profile, region_name=region)


def _isolated(keys: Keys, region: str) -> boto3.Session:
    """A session with these keys that reads no AWS_* variable and no configuration file.

    Whatever the environment holds (a profile that does not exist, FIPS endpoints, another retry mode) is somebody
    else's AWS. Every variable botocore knows is redefined without its environment name.
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
