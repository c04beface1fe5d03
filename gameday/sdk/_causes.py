"""What an AWS error means: its code, its sentence and its HTTP status, as one of the words a playbook uses.

A table, so that it can be read and checked against its sources. It lives in the sdk because a probe meets such
codes outside of errors too: in an instance's ``StateReason``, or in a CloudTrail record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gameday.sdk._observation import Cause


@dataclass(frozen=True)
class _Rule:
    """Codes (without ``Exception`` at the end, in lower case) that mean ``cause``, where the sentence agrees."""

    cause: Cause
    codes: frozenset[str]
    source: str
    sentence: str = ""


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(_canonical(code) for code in codes)


def _canonical(code: str) -> str:
    """EC2 writes ``Client.`` before a code in a StateReason; some services leave ``Exception`` off the end."""
    return re.sub(r"^(client|server)\.", "", code.lower()).removesuffix("exception")


_KEY_STATE = _codes(
    *("DisabledException", "KMS.DisabledException", "KMSDisabledException", "KMSDisabled", "KmsDisabled"),
    *("KMSInvalidStateException", "KMS.KMSInvalidStateException", "KMSInvalidState", "KMS.InvalidStateException"),
    *("Client.InvalidKMSKey.InvalidState", "Client.CustomerKeyHasBeenRevoked", "KmsInvalidState"),
    *("DecryptionFailure", "EncryptionFailure", "InvalidKeyId", "Client.InternalError"),
)
_DENIED = _codes(
    *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"),
    *("KMSAccessDeniedException", "KMSAccessDenied", "KmsAccessDenied", "KMS.AccessDeniedException"),
    *("InsufficientPrivilegesException", "Forbidden", "403"),
)

_RULES = (
    _Rule(
        Cause.KEY_PENDING_DELETION,
        _KEY_STATE,
        "KMS API reference, Decrypt; S3 GetObject as recorded",
        r"is pending (?:replica )?deletion",
    ),
    _Rule(Cause.KEY_DISABLED, _KEY_STATE, "the sentence KMS hands on through its callers", r":key/\S+ is disabled"),
    _Rule(
        Cause.KEY_DISABLED,
        _codes("DisabledException", "KMS.DisabledException", "KMSDisabledException", "KMSDisabled"),
        "KMS, S3, Lambda, Kinesis, SNS and SQS API references",
    ),
    _Rule(
        Cause.KEY_UNUSABLE,
        _codes(
            *(
                "KMSInvalidStateException",
                "KMS.KMSInvalidStateException",
                "KMSInvalidState",
                "KMS.InvalidStateException",
            ),
            *("Client.InvalidKMSKey.InvalidState", "Client.CustomerKeyHasBeenRevoked", "KeyUnavailableException"),
            *("KMS.NotFoundException", "KMSNotFoundException", "KMSNotFound", "KMS.KeyUnavailableException"),
        ),
        "EC2 API error codes and the StateReason of RunInstances as recorded; S3 with a key that is gone",
    ),
    _Rule(
        Cause.KEY_POLICY_DENIED,
        _DENIED,
        "S3 and KMS as recorded: 'not authorized to perform: kms:Decrypt on resource: …'",
        r"kms:[A-Z][A-Za-z]+|:kms:\S+:key/|\bKMS key\b",
    ),
    _Rule(
        Cause.KEY_POLICY_DENIED,
        _codes("KMSAccessDeniedException", "KMSAccessDenied", "KMS.AccessDeniedException"),
        "Lambda and SNS API references",
    ),
    _Rule(Cause.ACCESS_DENIED, _DENIED, "common errors of AWS APIs; EC2 API error codes"),
    _Rule(
        Cause.UNSIGNED_REQUEST,
        _codes("InvalidArgument", "AccessDenied", "InvalidRequest"),
        "S3, an anonymous GET of an SSE-KMS object, as recorded",
        "AWS Signature Version 4",
    ),
    _Rule(
        Cause.CREDENTIALS,
        _codes(
            *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidToken"),
            *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"),
            *(
                "SignatureDoesNotMatch",
                "InvalidSignatureException",
                "IncompleteSignature",
                "MissingAuthenticationToken",
            ),
            *("RequestTimeTooSkewed", "OptInRequired", "MissingAuthenticationTokenException", "401"),
        ),
        "common errors of AWS APIs; S3 and EC2 error codes",
    ),
    _Rule(
        Cause.THROTTLED,
        _codes(
            *(
                "Throttling",
                "ThrottlingException",
                "ThrottledException",
                "RequestThrottled",
                "RequestThrottledException",
            ),
            *("RequestLimitExceeded", "SlowDown", "TooManyRequestsException", "ProvisionedThroughputExceededException"),
            *("BandwidthLimitExceeded", "PriorRequestNotComplete", "TransactionInProgress"),
            *("EC2ThrottledException", "KMSThrottlingException", "KMSThrottling", "KMS.ThrottlingException", "429"),
        ),
        "botocore's standard retry mode (retries/standard.py) and the KMS error forms of S3, SNS and Lambda",
    ),
    _Rule(
        Cause.UNREACHABLE,
        _codes("RequestTimeout", "RequestTimeoutException", "408"),
        "S3 error codes: the request did not arrive whole; nothing was learnt",
    ),
    _Rule(
        Cause.CONFLICT,
        _codes(
            *("IncorrectInstanceState", "IncorrectState", "ConflictException", "OperationAborted", "BucketNotEmpty"),
            *("BucketAlreadyExists", "BucketAlreadyOwnedByYou", "AlreadyExistsException", "VolumeInUse", "409"),
            *("ResourceInUseException", "ResourceConflictException", "InvalidBucketState"),
        ),
        "EC2, S3 and KMS error codes",
    ),
    _Rule(
        Cause.NOT_FOUND,
        _codes(
            *("NotFoundException", "NotFound", "ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "404"),
            *("NoSuchVersion", "NoSuchEntity", "NoSuchTagSet", "TrailNotFoundException"),
            *("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
        ),
        "KMS, S3, IAM and SQS error codes; a HEAD has no body, so botocore gives its status as the code",
    ),
    _Rule(
        Cause.INVALID,
        _codes(
            *("ValidationException", "ValidationError", "InvalidParameterValue", "InvalidParameterCombination"),
            *("InvalidArgument", "InvalidRequest", "MalformedPolicyDocumentException", "MissingParameter", "400"),
            *("UnknownParameter", "InvalidArnException", "InvalidParameterException", "InvalidAction"),
            *("UnknownOperationException", "UnsupportedOperation", "UnsupportedOperationException"),
        ),
        "common errors of AWS APIs",
    ),
    _Rule(
        Cause.SERVER_ERROR,
        _codes(
            *("InternalError", "InternalFailure", "InternalServerError", "KMSInternalException", "ServiceUnavailable"),
            *("ServiceUnavailableException", "Unavailable", "DependencyTimeoutException", "InternalServiceError"),
        ),
        "common errors of AWS APIs",
    ),
)

_BY_STATUS = {
    401: Cause.CREDENTIALS,
    404: Cause.NOT_FOUND,
    409: Cause.CONFLICT,
    429: Cause.THROTTLED,
}


_MALFORMED = ("invalid", "malformed", "missing")
"""How the codes of a 400 begin that find fault with the request itself (common errors; S3 and EC2 error codes)."""


def classify(code: str, message: str = "", status: int = 0) -> Cause:
    """Turn AWS's exact error code and sentence, and the HTTP status where there is one, into a cause.

    The code decides, refined by the sentence; the family of an unknown code by its form
    (``InvalidInstanceID.NotFound``, ``NoSuch…``); the status is asked last, since services differ in it. A 400 or 403
    whose code is unknown is ``other``: S3 answers 403 for an archived object too (``InvalidObjectState``), for an
    account that owes (``AccountProblem``) and for a payer that does not pay, and none of them is a matter of IAM.
    """
    canonical = _canonical(code)
    for rule in _RULES:
        if canonical in rule.codes and (not rule.sentence or re.search(rule.sentence, message, re.IGNORECASE)):
            return rule.cause
    if canonical.endswith(".notfound") or canonical.startswith("nosuch"):
        return Cause.NOT_FOUND
    if canonical.startswith("invalidkmskey."):
        return Cause.KEY_UNUSABLE
    if canonical.endswith((".malformed", ".duplicate")) or (status == 400 and canonical.startswith(_MALFORMED)):
        return Cause.INVALID
    if "throttl" in canonical:
        return Cause.THROTTLED
    return Cause.SERVER_ERROR if status >= 500 else _BY_STATUS.get(status, Cause.OTHER)
