"""GetObject as boto3 makes it: signed, checked and redirected by botocore, and by nothing of ours.

A signer of our own once saved half the processor time of a read, and sent signatures that AWS refuses. What gameday
says to AWS is said by botocore; `benchmarks/watch.py` shows what that costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client


class SignedReads:
    """Reads objects for one identity; used from many threads.

    Parameters
    ----------
    client: boto3's client of S3.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def get(self, bucket: str, key: str) -> tuple[StreamingBody, str]:
        """The body and the request id of an object. Raises what boto3's ``get_object`` raises."""
        answer = self._client.get_object(Bucket=bucket, Key=key)
        return answer["Body"], answer["ResponseMetadata"].get("RequestId", "")
