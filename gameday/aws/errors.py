"""What an exception of boto3 says: its cause, AWS's words, and whether the change behind it may have happened.

Which code means what stands in :mod:`gameday.sdk`'s table (``classify``); here is what never became an AWS answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from gameday.errors import GamedayError, Interrupted
from gameday.sdk import Cause, classify

_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
    boto.LoginError,
    boto.MetadataRetrievalError,
    boto.InvalidConfigError,
    boto.ConfigParseError,
    boto.UnknownCredentialError,
    boto.RefreshWithMFAUnsupportedError,
)
_WHERE_CREDENTIALS_ARE_READ = ("botocore.credentials", "botocore.tokens", "botocore.configloader")
_WHERE_ENDPOINTS_ARE_READ = ("botocore.endpoint", "botocore.args")
_SILENCE = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, HTTPError, OSError, RecursionError)
"""No answer, or half of one: timeouts, refused and dropped connections, names that do not resolve; and an address that
redirects without end, which botocore follows until Python stops it (``S3RegionRedirectorv2``)."""
_NEVER_SENT = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    *_NO_CREDENTIALS,
    boto.ParamValidationError,
    boto.EndpointProviderError,
    boto.NoRegionError,
    Interrupted,
)
"""The request never left: botocore raises EndpointConnectionError only for urllib3's NewConnectionError (refused,
no route, the name does not resolve) and ConnectTimeoutError only while connecting (botocore/httpsession.py,
``URLLib3Session.send``); the others come before a connection is sought. A dropped connection, a read that timed
out, a proxy's or TLS error and an answer that cannot be parsed all leave open whether AWS did what was asked."""


@dataclass(frozen=True)
class Said:
    """What AWS said, or why it said nothing."""

    cause: Cause
    code: str = ""
    detail: str = ""
    request_id: str = ""


def understand(error: BaseException) -> Said | None:
    """Read an exception from a boto3 call, or from reading its body; None for one that is none of AWS's (a bug)."""
    if isinstance(error, boto.ClientError):
        said = error.response.get("Error", {})  # a status of 300 has none
        code, message = str(said.get("Code", "")), str(said.get("Message", ""))
        status = _status(error)
        cause = classify(code, message, status)
        if status in (400, 403) and code in ("", str(status)) and not error.operation_name.startswith("Head"):
            code, cause = str(status), Cause.OTHER  # the body is none of AWS's: something between answered
        return Said(cause, code, _printable(message), request_id_of(error))
    if isinstance(error, _NO_CREDENTIALS):
        return Said(Cause.CREDENTIALS, detail=_printable(str(error)))
    if _raised_under(error, _WHERE_CREDENTIALS_ARE_READ):
        return Said(Cause.CREDENTIALS, detail=_printable(f"{error}" or type(error).__name__))
    if _no_endpoint(error):
        return Said(Cause.UNREACHABLE, detail=_printable(str(error)))
    if isinstance(error, _SILENCE):
        return Said(Cause.UNREACHABLE, detail=_printable(str(error) or type(error).__name__))
    if isinstance(error, ResponseParserError) or _while_parsing(error):
        return Said(Cause.SERVER_ERROR, detail="the answer could not be read as one of AWS's")
    if isinstance(error, boto.ParamValidationError):
        return Said(Cause.INVALID, detail=_printable(str(error)))
    if isinstance(error, boto.BotoCoreError):
        return Said(Cause.OTHER, detail=_printable(str(error)))
    return None


def certain(error: BaseException) -> bool:
    """Whether the change behind a failed call was **definitely not made**; False leaves it open (counts as made).

    A 4xx is AWS's own refusal. 408 is none: a server or something between gave up waiting. A 5xx may come after the
    work was done, except a throttled call's (EC2 and S3 send that with 503). S3 can answer an error under status 200,
    which says nothing either.
    """
    if isinstance(error, boto.ClientError):
        said = understand(error)
        if said is not None and said.cause is Cause.THROTTLED:
            return True
        return 300 <= _status(error) < 500 and _status(error) != 408
    before_it_was_sent = _raised_under(error, _WHERE_CREDENTIALS_ARE_READ) or _no_endpoint(error)
    return before_it_was_sent or isinstance(error, _NEVER_SENT)


def request_id_of(error: BaseException) -> str:
    """AWS's request id in an exception, or ``""``."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _raised_under(error: BaseException, modules: tuple[str, ...]) -> bool:
    """Whether one of these modules of botocore's was at work, and let through what is no error of botocore's.

    A session that stays expired after its renewal is a plain RuntimeError there, an ``Expiration`` that is no date a
    ValueError of dateutil's, the output of a ``credential_process`` that is no JSON one of json's, a program that is
    missing an OSError (botocore/credentials.py). None of the requests behind these has been sent.
    """
    if not isinstance(error, Exception) or isinstance(error, GamedayError | boto.BotoCoreError | boto.ClientError):
        return False
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_globals.get("__name__") in modules:
            return True
        frame = frame.tb_next
    return False


def _no_endpoint(error: BaseException) -> bool:
    """An ``endpoint_url`` that is no URL is a plain ValueError (botocore/endpoint.py, ``create_endpoint``)."""
    return isinstance(error, ValueError) and _raised_under(error, _WHERE_ENDPOINTS_ARE_READ)


def _while_parsing(error: BaseException) -> bool:
    """The parsers of botocore trust that an answer is AWS's: a proxy's page gives KeyError or AttributeError."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__name__") == "botocore.parsers"


def _printable(sentence: str) -> str:
    """Without the query strings of URLs (a presigned one is a secret), on one line, and not endless."""
    return re.sub(r"(https?://[^\s?\"']+)\?[^\s\"']*", r"\1", " ".join(sentence.split()))[:500]
