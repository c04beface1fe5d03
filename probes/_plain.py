"""A GET as a browser makes it: no credentials, no redirects, and never a word of the URL, which may be a secret."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from xml.etree import ElementTree

import urllib3

from gameday.sdk import AWS, Cause, Observation, classify

_CHUNK = 65536
_LONGEST = 10.0
_ERROR_BYTES = 16384


@dataclass(frozen=True)
class _Said:
    status: int
    request_id: str
    body: bytes
    read: int


def get(aws: AWS, url: str, max_bytes: int) -> Observation:
    """GET an address of S3's by the proxies and certificates of boto3, and read its answer as ``aws.answering()``."""
    asked = time.monotonic()
    try:
        said = _ask(aws, url, max_bytes, asked + _LONGEST)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        # The text of the error may hold the address: only its kind is said.
        observation = Observation(cause=Cause.UNREACHABLE, detail=f"{type(error).__name__}: no whole answer")
    else:
        observation = _understood(said)
    return observation.model_copy(update={"latency": time.monotonic() - asked})


def _ask(aws: AWS, url: str, max_bytes: int, until: float) -> _Said:
    headers = {"User-Agent": f"gameday/{aws.run}", "Accept": "*/*"}
    with aws.web(url, urllib3.Timeout(connect=5.0, read=5.0), headers=headers, as_aws=True) as answer:
        kept, read = b"", 0
        while read < max_bytes and (chunk := answer.read(min(_CHUNK, max_bytes - read))):
            read += len(chunk)
            kept = kept or chunk
            if time.monotonic() > until:
                raise TimeoutError
        return _Said(answer.status, answer.headers.get("x-amz-request-id", ""), kept[:_ERROR_BYTES], read)


def _understood(said: _Said) -> Observation:
    if said.status == 200:
        return Observation(cause=Cause.OK, detail=f"{said.read} bytes", request_id=said.request_id)
    code, message, request_id = _error(said.body)
    foreign = not code and said.status in (400, 403)  # S3 names a code; something between answered
    return Observation(
        cause=Cause.OTHER if foreign else classify(code or str(said.status), message, said.status),
        code=code or str(said.status),
        detail=message or f"S3 answered {said.status}",
        request_id=said.request_id or request_id,
    )


def _error(body: bytes) -> tuple[str, str, str]:
    """Code, sentence and request id of S3's XML; the rest of it repeats what was signed, and is not looked at."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - expat since 2.4.1 stops entities that blow up
    except ElementTree.ParseError:
        return "", "", ""
    found = {name: " ".join((root.findtext(name) or "").split()) for name in ("Code", "Message", "RequestId")}
    sentence = re.sub(r"(https?://[^\s?\"']+)\?[^\s\"']*|X-Amz-[A-Za-z-]+=\S*", r"\1", found["Message"])
    return found["Code"][:100], sentence[:500], found["RequestId"][:100]
