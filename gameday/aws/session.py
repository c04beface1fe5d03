"""One account and Region, as one identity, for one run: the sdk's ``AWS`` over boto3."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from gameday.aws.answers import Answering
from gameday.aws.made import Keys, config, isolated, usual, without_account
from gameday.aws.signed import SignedReads
from gameday.errors import Interrupted, TargetError
from gameday.partitions import dns_suffix
from gameday.sdk import REHEARSAL, Answer

if TYPE_CHECKING:
    import boto3
    import urllib3
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.config import Config
    from types_boto3_athena import AthenaClient
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_iam import IAMClient
    from types_boto3_kms import KMSClient
    from types_boto3_s3 import S3Client
    from types_boto3_s3control import S3ControlClient
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sts import STSClient

    from gameday.aws.assumed import Role

_CHUNK = 65536
_MAKING = threading.RLock()
"""Making a client is not thread-safe in boto3 (it reads and caches models); using one is."""


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
        self._role: Role | None = None
        self._callers: tuple[str, ...] = ()
        self._unsigned, self._base = False, self
        self._boto: list[boto3.Session] = []
        self._reading: dict[str, Any] = {}
        self._changing: dict[str, Any] = {}
        self._others: dict[Role | None, Session] = {}
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
        """The id of the partition: ``aws``, ``aws-cn``, ``aws-us-gov``, ``aws-eusc``."""
        return self._partition

    @property
    def dns_suffix(self) -> str:
        """What endpoints and ``kms:ViaService`` end with in the Region: ``amazonaws.com`` or ``amazonaws.com.cn``."""
        return dns_suffix(self._region)

    @property
    def run(self) -> str:
        """The run's id; what a run makes is tagged ``gameday:run`` with it."""
        return self._run

    @property
    def started(self) -> datetime:
        """When the run started, UTC."""
        return self._started

    @property
    def callers(self) -> tuple[str, ...]:
        """The ARN of everyone whom the way back needs, as far as it is known; see the sdk."""
        return self._callers

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
        callers: tuple[str, ...] | None = None,
    ) -> Session:
        """The same session with something else about it; what reads is shared, what changes asks the new fence."""
        other = copy.copy(self)
        other._account = self._account if account is None else account
        other._partition = partition or self._partition
        other._fence, other._stopping = fence or self._fence, stopping or self._stopping
        other._started = started or self._started
        other._callers = self._callers if callers is None else callers
        if fence is not None:
            other._changing = {}
        return other

    @property
    def role(self) -> str:
        """The ARN of the role that was assumed for this session, or ``""``."""
        return self._role.arn if self._role else ""

    @property
    def base(self) -> Session:
        """The session that assumed this one's role; itself where there is none."""
        return self._base

    @property
    def boto(self) -> boto3.Session:
        """boto3's own session behind this one."""
        with _MAKING:
            if not self._boto:
                self._boto.append(self._new_boto())
            return self._boto[0]

    def may_change(self) -> bool:
        """What the fence says now."""
        return self._fence()

    def anonymous(self) -> Session:
        """The same AWS as nobody: its requests carry no signature."""
        return self._as(None)

    def as_role(self, role: str | Role) -> Session:
        """The same AWS as a role of this account (``role/NAME``) or of any (its ARN), assumed when it is first used."""
        from gameday.aws.assumed import Role

        if isinstance(role, str):
            role = Role(role)
        if not role.arn.startswith("arn:"):
            role = replace(role, arn=f"arn:{self._partition}:iam::{self._account}:{role.arn}")
        return self._as(role)

    def in_region(self, region: str) -> Session:
        """The same identity in another Region, with clients of its own."""
        if region == self._region:
            return self
        other = copy.copy(self)
        other._region, other._boto = region, []
        other._reading, other._changing, other._others = {}, {}, {}
        return other

    @contextmanager
    def fresh(self) -> Iterator[Session]:
        """The same identity with nothing kept of it: new connections, credentials looked up anew, a role assumed anew.

        Explicit keys and static credentials stay what they are: then only the connections are new.
        """
        other = copy.copy(self)
        other._reading, other._changing, other._others = {}, {}, {}
        if not self._keys or self._role:
            with _MAKING:
                other._boto = [self._new_boto()]
        try:
            yield other
        finally:
            for each in (other, *other._others.values()):
                for client in (*each._reading.values(), *each._changing.values()):
                    client.close()

    def _as(self, role: Role | None) -> Session:
        """Another identity (None is nobody), shared by all who ask, so that it stays warm.

        Fence and patience are the asker's.
        """
        with _MAKING:
            other = self._others.get(role)
            if other is None:
                other = self._others[role] = copy.copy(self)
                other._reading, other._changing, other._others = {}, {}, {}
                other._unsigned, other._role, other._base = role is None, role, self
                other._boto = [] if role else self._boto
        return other.but(
            account=self._account,
            partition=self._partition,
            fence=self._fence,
            stopping=self._stopping,
            started=self._started,
        )

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
    @overload
    def client(self, service: Literal["cloudwatch"]) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
    @overload
    def client(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def client(self, service: Literal["s3control"]) -> S3ControlClient: ...
    @overload
    def client(self, service: Literal["athena"]) -> AthenaClient: ...
    @overload
    def client(self, service: Literal["scheduler"]) -> EventBridgeSchedulerClient: ...
    @overload
    def client(self, service: str) -> Any: ...

    def client(self, service: Any) -> Any:
        """A boto3 client for calls that only read."""
        return self._client(service, changing=False)

    @overload
    def changing(self, service: Literal["kms"]) -> KMSClient: ...
    @overload
    def changing(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def changing(self, service: Literal["ec2"]) -> EC2Client: ...
    @overload
    def changing(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def changing(self, service: Literal["scheduler"]) -> EventBridgeSchedulerClient: ...
    @overload
    def changing(self, service: str) -> Any: ...

    def changing(self, service: Any) -> Any:
        """A boto3 client for calls that change something: the fence is asked before each of its requests."""
        return self._client(service, changing=True)

    def read_object(self, bucket: str, key: str, most: int) -> int:
        """Read an object of S3, up to ``most`` bytes; says how many came, and raises what boto3 raises."""
        body, self._heard.request_id = SignedReads(self.client("s3")).get(bucket, key)
        read = 0
        try:
            while read < most and (chunk := body.read(min(_CHUNK, most - read))):
                read += len(chunk)
                if self._stopping.is_set():  # a body that trickles ends with the look that nobody waits for
                    raise Interrupted("the run no longer waits for its probes")
        finally:
            body.close()
        return read

    def current_keys(self) -> tuple[str, str, str]:
        """Access key, secret and token as they are now, for a client of another make; asked for anew, they are renewed.

        Raises TargetError when there are none.
        """
        if not self._boto:
            self._boto.append(self._new_boto())
        found = self._boto[0].get_credentials()
        if found is None:
            raise TargetError("no credentials were found: sign in, or name a --profile")
        frozen = found.get_frozen_credentials()
        return frozen.access_key or "", frozen.secret_key or "", frozen.token or ""

    def web(
        self, url: str, timeout: urllib3.Timeout, *, headers: Mapping[str, str] | None = None, as_aws: bool = False
    ) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        """GET a web address with this host's proxies and certificates; see the sdk."""
        from gameday.aws import outward

        if not as_aws:
            bundle = outward.bundle_of_host(None if self._keys else self._profile)
            return outward.asked(url, timeout=timeout, headers=headers, bundle=bundle)
        internals: Any = self.boto._session
        bundle = outward.bundle_of(internals)
        return outward.asked(
            url, timeout=timeout, headers=headers, bundle=bundle, only_bundle=True, proxies=not self._keys
        )

    def answering(self) -> AbstractContextManager[Answer]:
        """Catch what AWS answers inside the block, errors and silence alike, and classify it."""
        self._heard.request_id = ""
        return Answering(self.last_request_id)

    @contextmanager
    def rehearsing(self) -> Iterator[None]:
        """Mark this thread's changing calls as a rehearsal; the connections stay warm for the undo itself."""
        self._heard.rehearsing = True
        try:
            yield
        finally:
            self._heard.rehearsing = False

    def last_request_id(self) -> str:
        """The request id of the last answer that this thread got, or ``""``."""
        return str(getattr(self._heard, "request_id", ""))

    def wait(self, seconds: float) -> None:
        """Wait, or raise Interrupted at once when the run stops waiting for its probes."""
        if self._stopping.wait(seconds):
            raise Interrupted("the run no longer waits for its probes")

    def _client(self, service: str, *, changing: bool) -> Any:
        clients = self._changing if changing else self._reading
        if (known := clients.get(service)) is not None:
            return known  # no lock: an undo must not wait while somebody else's client looks for its credentials
        with _MAKING:
            known = clients.get(service)
            if known is None:
                known = clients[service] = self._make(service, changing=changing)
            return known

    def _make(self, service: str, *, changing: bool) -> Any:
        # One of boto3's overloads a service; the name is a value here, so the type is given by our own overloads.
        make: Any = self.boto.client
        client = make(service, endpoint_url=self._endpoint, config=self._config(service))
        client.meta.events.register_last("after-call", self._hear)
        if service == "s3" and client.meta.endpoint_url.endswith(f".{self.dns_suffix}"):
            # Else botocore presigns for s3.amazonaws.com, which redirects to a young bucket's Region; a presigned URL
            # is good for the host that it was made for only.
            client.meta.config.s3["addressing_style"] = "virtual"
        if changing:
            # before-send is the last thing before the socket: credentials are fetched and the request is signed.
            client.meta.events.register("before-send", self._ask_fence)
        if service == "s3control" and f".{self.dns_suffix}" not in client.meta.endpoint_url:
            client.meta.events.register("before-sign.s3-control", without_account)
        return client

    def _new_boto(self) -> boto3.Session:
        if not self._keys:
            made = usual(self._profile, self._region)
        else:  # the isolated session without a role is everybody's, so a role's credentials must not go into it
            made = (isolated.__wrapped__ if self._role else isolated)(self._keys, self._region)
        internals: Any = made._session
        kin = self._boto or self._base._boto
        if kin:  # reading botocore's models again would take a fifth of a second
            known: Any = kin[0]._session
            internals.register_component("data_loader", known.get_component("data_loader"))
        if self._role:
            from gameday.aws.assumed import AssumedRole

            name = f"gameday-{self._run}"[:64]
            internals._credentials = AssumedRole(self._role, name, lambda: self._base.client("sts"))
        return made

    def _config(self, service: str) -> Config:
        return config(
            service,
            run=self._run,
            read_timeout=self._read_timeout,
            custom=bool(self._endpoint),
            proxies=not self._keys,
            unsigned=self._unsigned,
        )

    def _ask_fence(self, request: AWSPreparedRequest, **_: object) -> None:
        if not self._fence():
            raise Interrupted("this run may no longer change anything")
        if getattr(self._heard, "rehearsing", False):  # a header that is not signed
            agent = request.headers["User-Agent"]
            request.headers["User-Agent"] = (agent.decode() if isinstance(agent, bytes) else agent) + f" {REHEARSAL}"

    def _hear(self, parsed: dict[str, Any], **_: object) -> None:
        self._heard.request_id = parsed.get("ResponseMetadata", {}).get("RequestId", "")
