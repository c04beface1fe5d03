"""GetObject at a fraction of boto3's CPU: the same question, the same signer, the same sockets and the same errors.

boto3 works out at each call what never changes (endpoint rules, the serialised request, the parsed headers), so that
two cores do not hold 1,000 reads a second. Here it is asked once for each object, and stopped just before it signs;
from then on that request is signed anew (``resigned``) and sent over the client's own connections (``warm``; where none
is open botocore opens it, and sends). What is not a plain answer is read by botocore's own parser, and what botocore
would redirect is left to it: no reader can tell the two apart.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpchecksum import handle_checksum_body
from botocore.parsers import create_parser
from botocore.response import StreamingBody

from gameday.aws.resigned import STAMP, Resigned, text
from gameday.aws.warm import Answer, Warm

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from types_boto3_s3 import S3Client
    from urllib3.connectionpool import HTTPConnectionPool

_KEPT = 20_000
"""As many objects' requests are remembered; each costs about 2 kB."""
_CHUNK = 65536
_ERROR_BYTES = 65536
"""S3's errors take less than 1 kB; more is not S3, and may never end."""
_REDIRECTS = (301, 302, 307)
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
"""The codes with which S3 says that a bucket is in another Region."""


class _Drawn(Exception):
    """The request is there; nothing was sent."""


@dataclass
class _Drawing:
    """A request as boto3 would sign it.

    Parameters
    ----------
    auth: gives botocore's signer with the credentials of now; None for a request that is not signed.
    """

    url: str
    headers: tuple[tuple[str, str], ...]
    context: dict[str, Any]
    auth: Callable[[], Any]
    place: str = field(init=False)
    """Scheme, host and port: requests of one place share connections."""
    resigned: Resigned | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.place = f"{parts.scheme}://{parts.netloc}"

    def request(self, auth: Any) -> AWSRequest:
        """For botocore to send."""
        request = AWSRequest(method="GET", url=self.url, headers=dict(self.headers))
        request.context = dict(self.context)  # the signer leaves its time in there
        if auth is not None:
            auth.add_auth(request)
        request.headers["amz-sdk-invocation-id"] = str(uuid.uuid4())
        request.headers["amz-sdk-request"] = "attempt=1; max=1"
        return request

    def wire(self) -> bytes:
        """The same as it goes over a connection."""
        auth, stamp = self.auth(), time.strftime(STAMP, time.gmtime())
        wire = self.resigned and self.resigned.at(stamp, auth)
        while not wire:  # again, where midnight came between
            self.resigned = _resigned(self, auth)
            wire = self.resigned.at(time.strftime(STAMP, time.gmtime()), auth)
        return wire


def _resigned(drawing: _Drawing, auth: Any) -> Resigned:
    parts = urlsplit(drawing.url)
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")  # a port that http.client leaves out
    host = parts.netloc.removesuffix(usual)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Resigned(drawing.request(auth), auth, target, host.lower())


class SignedReads:
    """Reads objects for one identity; used from many threads.

    Parameters
    ----------
    client: boto3's client of S3, whose endpoint rules, credentials, connections and timeouts are used.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._drawings: dict[tuple[str, str], _Drawing] = {}
        self._pools: dict[str, HTTPConnectionPool] = {}
        self._drawing = threading.local()
        client.meta.events.register_last("before-sign.s3.GetObject", self._before_sign)

    def get(self, bucket: str, key: str) -> tuple[StreamingBody, str]:
        """The body and the request id of an object; raises what boto3's ``get_object`` raises."""
        drawing = self._drawings.get((bucket, key)) or self._draw(bucket, key)
        if drawing is None:
            return self._by_boto3(bucket, key)
        answer = self._send(drawing)
        if answer.status_code < 300:
            return _body(self._client, answer, drawing), _request_id(answer)
        parsed = _parse(answer)
        if _is_elsewhere(answer, parsed.get("Error", {})):
            self._drawings.pop((bucket, key), None)
            return self._by_boto3(bucket, key)
        raise ClientError(parsed, "GetObject")

    def _send(self, drawing: _Drawing) -> AWSResponse | Answer:
        if pool := self._pools.get(drawing.place):
            wire = drawing.wire()  # which may have to assume a role first
            if warm := Warm.take(pool, drawing.url):
                return warm.ask(wire)
        prepared: AWSPreparedRequest = drawing.request(drawing.auth()).prepare()
        prepared.stream_output = True
        endpoint: Any = self._client._endpoint  # type: ignore[attr-defined]  # has boto3's proxies and certificates
        answer: AWSResponse = endpoint.http_session.send(prepared)
        raw: Any = answer.raw
        self._pools[drawing.place] = raw._pool
        return answer

    def _draw(self, bucket: str, key: str) -> _Drawing | None:
        """Have boto3 make the request; None where it signs in a way of its own (S3 Express, several Regions)."""
        with self._watching() as drawn:
            self._drawing.send = False
            with suppress(_Drawn):
                self._client.get_object(Bucket=bucket, Key=key)
        return self._keep(bucket, key, drawn)

    def _by_boto3(self, bucket: str, key: str) -> tuple[StreamingBody, str]:
        """Let boto3 do all, redirects included; what it asked last is what will be asked from then on."""
        with self._watching() as drawn:
            self._drawing.send = True
            answer = self._client.get_object(Bucket=bucket, Key=key)
        self._keep(bucket, key, drawn)
        return answer["Body"], answer["ResponseMetadata"].get("RequestId", "")

    @contextmanager
    def _watching(self) -> Iterator[list[_Drawing | None]]:
        drawn: list[_Drawing | None] = []
        self._drawing.drawn = drawn
        try:
            yield drawn
        finally:
            self._drawing.drawn = None

    def _keep(self, bucket: str, key: str, drawn: list[_Drawing | None]) -> _Drawing | None:
        drawing = drawn[-1] if drawn else None
        if drawing is not None:
            if len(self._drawings) >= _KEPT:
                self._drawings.clear()
            self._drawings[bucket, key] = drawing
        return drawing

    def _before_sign(
        self,
        request: AWSRequest,
        signing_name: str,
        region_name: str,
        signature_version: object,
        request_signer: Any,
        **_: object,
    ) -> None:
        drawn: list[_Drawing | None] | None = getattr(self._drawing, "drawn", None)
        if drawn is None:  # somebody else's call of the same client
            return
        signing = request.context.get("signing", {})
        name, region = signing.get("signing_name") or signing_name, signing.get("region") or region_name
        plain = signature_version in (UNSIGNED, "s3v4") and not {"request_credentials", "identity_cache"} & {*signing}

        def auth() -> Any:
            unsigned = signature_version == UNSIGNED
            return None if unsigned else request_signer.get_auth_instance(name, region, signature_version)

        headers = tuple((header, text(value)) for header, value in request.headers.items())
        drawn.append(_Drawing(request.url or "", headers, dict(request.context), auth) if plain else None)
        if plain and not self._drawing.send:
            raise _Drawn


def _body(client: S3Client, answer: AWSResponse | Answer, drawing: _Drawing) -> StreamingBody:
    """The body, with the check of its checksum that boto3 makes."""
    whole: Any = answer
    raw: Any = answer.raw
    length: Any = answer.headers.get("content-length")  # text, as boto3 gives it; the stubs want a number
    said: dict[str, Any] = {"headers": answer.headers, "body": StreamingBody(raw, length), "context": {}}
    handle_checksum_body(whole, said, drawing.context, client.meta.service_model.operation_model("GetObject"))
    body: StreamingBody = said["body"]
    return body


def _parse(answer: AWSResponse | Answer) -> Any:
    """An error as boto3's parser reads it."""
    read = b""
    while len(read) < _ERROR_BYTES and (chunk := answer.raw.read(_CHUNK)):
        read += chunk
    if len(read) >= _ERROR_BYTES:
        answer.raw.close()
    said = {"headers": answer.headers, "status_code": answer.status_code, "body": read, "context": {}}
    parser: Any = create_parser("rest-xml")  # which takes None for a shape that says nothing of errors
    return parser.parse(said, None)


def _is_elsewhere(answer: AWSResponse | Answer, error: dict[str, Any]) -> bool:
    """Whether boto3 would ask again in the Region that S3 named (botocore/utils.py, ``S3RegionRedirectorv2``).

    Where S3 named none, boto3 asks for it with a HeadBucket, whose own redirect it follows in the same way: at an
    address that redirects everything it recurses until Python stops it. That is not followed.
    """
    moved = answer.status_code in _REDIRECTS or error.get("Code") in _ELSEWHERE
    return moved and ("x-amz-bucket-region" in answer.headers or "Region" in error)


def _request_id(answer: AWSResponse | Answer) -> str:
    """As botocore's parser takes it from S3's headers."""
    headers = answer.headers
    return str(headers.get("x-amzn-requestid") or headers.get("x-amz-request-id") or "")
