"""What a probe, fault or stage step is handed to speak to AWS with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from gameday.sdk._observation import Cause, Observation

if TYPE_CHECKING:
    import urllib3
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


class Answer(Protocol):
    """What came back from the calls made inside ``with aws.answering() as answer``."""

    @property
    def ok(self) -> bool:
        """Whether every call inside was answered without an error."""

    @property
    def cause(self) -> Cause:
        """Why it came out so."""

    @property
    def code(self) -> str:
        """AWS's exact error code, or ``""``."""

    @property
    def detail(self) -> str:
        """AWS's own sentence, or ``""``."""

    @property
    def request_id(self) -> str:
        """The request id of the last answer, or ``""``."""

    def observation(self, detail: str = "") -> Observation:
        """Turn it into an observation; ``detail`` replaces AWS's sentence."""


class AWS(Protocol):
    """A session on one account and Region, as one identity, for one run.

    Clients never retry and have short timeouts: a retry hides the outage from a probe, and repeats a change.
    Every call carries ``gameday/<run id>`` in its user agent.
    """

    @property
    def account(self) -> str:
        """The 12-digit account id that STS gave."""

    @property
    def region(self) -> str:
        """The Region, e.g. ``us-east-1``."""

    @property
    def partition(self) -> str:
        """The id of the partition: ``aws``, ``aws-cn``, ``aws-us-gov``, ``aws-eusc``."""

    @property
    def dns_suffix(self) -> str:
        """What endpoints and ``kms:ViaService`` end with in the Region: ``amazonaws.com`` or ``amazonaws.com.cn``."""

    @property
    def run(self) -> str:
        """The run's id; what a run makes is tagged ``gameday:run`` with it."""

    @property
    def started(self) -> datetime:
        """When the run started, UTC; evidence is looked for from then on."""

    @property
    def callers(self) -> tuple[str, ...]:
        """The ARN of everyone whom the way back needs: who runs, who puts back, and whose credentials assume the roles.

        A fault that takes something away from one of them must refuse. As far as it is known; this session's own
        identity need not be among them.
        """

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

    def client(self, service: str) -> Any:
        """A boto3 client for calls that only read."""

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

    def changing(self, service: str) -> Any:
        """A boto3 client for calls that change something: the fence is checked before each.

        Raises :class:`gameday.errors.Interrupted` when the run may no longer change anything.
        """

    def anonymous(self) -> AWS:
        """The same AWS as nobody: its requests carry no signature."""

    def as_role(self, role: str) -> AWS:
        """The same AWS as a role of this account (``role/NAME``) or of any (its ARN), assumed when it is first used."""

    def fresh(self) -> AbstractContextManager[AWS]:
        """The same identity with nothing kept of it, until the block ends.

        New connections, and a role assumed anew; static credentials stay what they are.
        """

    def read_object(self, bucket: str, key: str, most: int) -> int:
        """Read an object of S3 (GetObject) and its body, up to ``most`` bytes, and say how many came.

        Its errors are those of boto3's ``get_object``; for inside ``with aws.answering()``.
        """

    def web(
        self, url: str, timeout: urllib3.Timeout, *, headers: Mapping[str, str] | None = None, as_aws: bool = False
    ) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        """GET a web address that is no call of boto3's; without retries and redirects, and the body not read yet.

        HTTPS_PROXY, HTTP_PROXY and NO_PROXY decide the way, and AWS_CA_BUNDLE, the profile's ``ca_bundle`` or
        REQUESTS_CA_BUNDLE is trusted besides the system's certificates. ``as_aws`` is for an address of AWS's: as for
        boto3, a bundle is then trusted alone, and the lab is reached without proxies. Raises urllib3's HTTPError or
        OSError, whose text may hold the address: say its kind only.
        """

    def answering(self) -> AbstractContextManager[Answer]:
        """Catch what AWS answers inside the block, errors and silence alike, and classify it."""

    def rehearsing(self) -> AbstractContextManager[None]:
        """Mark this thread's changing calls inside the block as a rehearsal in the user agent: they prove nothing."""

    def last_request_id(self) -> str:
        """The request id of the last answer that this thread got, or ``""``."""

    def wait(self, seconds: float) -> None:
        """Wait, or raise :class:`gameday.errors.Interrupted` at once when the run stops waiting for its probes."""
