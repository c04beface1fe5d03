"""The table of the services behind a key: this call asks the key so, and answers so when KMS refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .motostores import MotoStores, UnderKey
from .wire import AwsError
from .world import Behaviour

if TYPE_CHECKING:
    from .call import Call

Finder = Callable[[MotoStores, "Call"], Iterable[UnderKey]]
DENIED, DISABLED, STATE, MISSING = "AccessDeniedException", "DisabledException", "KMSInvalidStateException", "NotFound"


@dataclass(frozen=True, slots=True)
class KeyUser:
    """One row: calls of a service that ask for the key."""

    service: str
    """As its calls are signed."""
    asks: dict[str, str]
    """Operation → what is asked of KMS for it."""
    find: Finder
    codes: dict[str, str]
    """KMS' own code → the service's; "" stands for all others."""
    standing: str
    sentence: str = "{said}"
    status: int = 400
    via: str = ""
    """The service as ``kms:ViaService`` names it, where it signs by another name."""
    reuses: bool = False
    """It goes on with a data key for ``data_key_reuse`` seconds."""

    def error(self, refusal: AwsError) -> AwsError:
        """What the service says when KMS has refused."""
        code = self.codes.get(refusal.code, self.codes.get("", refusal.code))
        details = {"kmsError": refusal.code} if self.service == "ecr" else {}
        if self.service == "sqs":
            details = {"query_error": f"KMS.{refusal.code.removeprefix('KMS').removesuffix('Exception')}Exception"}
        return AwsError(code, self.sentence.format(said=refusal.message), self.status, **details)

    def behaviour(self) -> Behaviour:
        """The row as ``--describe`` has it."""
        codes = ", ".join(dict.fromkeys(self.codes.values()))
        return Behaviour(self.service, f"{', '.join(self.asks)} ask the key; refused: {codes}", self.standing)


def _names(pattern: str, missing: str = "") -> dict[str, str]:
    """The four codes that services made alike: ``KMS{}Exception``."""
    return {
        DENIED: pattern.format("AccessDenied"),
        DISABLED: pattern.format("Disabled"),
        STATE: pattern.format("InvalidState"),
        MISSING: pattern.format("NotFound"),
        "": missing or pattern.format("NotFound"),
    }


def _each(*operations: str, asks: str) -> dict[str, str]:
    return dict.fromkeys(operations, asks)


DATA_KEY = "GenerateDataKey"
ROWS: tuple[KeyUser, ...] = (
    KeyUser(
        "secretsmanager",
        _each("GetSecretValue", asks="Decrypt"),
        MotoStores.secret,
        {DENIED: DENIED, "": "DecryptionFailure"},
        "documented",
        "Secrets Manager can't decrypt the protected secret text using the provided KMS key. {said}",
    ),
    KeyUser(
        "secretsmanager",
        _each("CreateSecret", "PutSecretValue", "UpdateSecret", asks=DATA_KEY),
        MotoStores.secret,
        {DENIED: DENIED, "": "EncryptionFailure"},
        "documented",
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key. {said}",
    ),
    KeyUser(
        "ssm",
        _each("GetParameter", "GetParameters", "GetParametersByPath", asks="Decrypt"),
        MotoStores.parameters,
        {DENIED: DENIED, "": "InvalidKeyId"},
        "observed",
    ),
    KeyUser(
        "ssm",
        _each("PutParameter", asks="Encrypt"),
        MotoStores.parameters,
        {DENIED: DENIED, "": "InvalidKeyId"},
        "observed",
    ),
    KeyUser(
        "sqs",
        _each("SendMessage", "SendMessageBatch", asks=DATA_KEY) | {"ReceiveMessage": "Decrypt"},
        MotoStores.queue,
        _names("Kms{}"),
        "inferred",
        reuses=True,
    ),
    KeyUser(
        "sns",
        _each("Publish", "PublishBatch", asks=DATA_KEY),
        MotoStores.topic,
        _names("KMS{}"),
        "inferred",
        reuses=True,
    ),
    KeyUser(
        "kinesis",
        _each("PutRecord", "PutRecords", asks=DATA_KEY) | {"GetRecords": "Decrypt"},
        MotoStores.stream,
        _names("KMS{}Exception"),
        "inferred",
        reuses=True,
    ),
    KeyUser(
        "lambda", _each("Invoke", asks="Decrypt"), MotoStores.function, _names("KMS{}Exception"), "inferred", status=502
    ),
    KeyUser(
        "ecr",
        _each("BatchGetImage", "GetDownloadUrlForLayer", asks="Decrypt") | _each("PutImage", asks=DATA_KEY),
        MotoStores.repository,
        {"": "KmsException"},
        "inferred",
    ),
    KeyUser(
        "states",
        _each("StartExecution", "StartSyncExecution", asks=DATA_KEY),
        MotoStores.state_machine,
        {DENIED: "KmsAccessDeniedException", "": "KmsInvalidStateException"},
        "inferred",
        reuses=True,
    ),
    KeyUser(
        "logs",
        _each("PutLogEvents", asks=DATA_KEY) | _each("GetLogEvents", "FilterLogEvents", asks="Decrypt"),
        MotoStores.log_group,
        {"": DENIED},
        "invented",
        "The KMS key of the log group cannot be used. {said}",
        reuses=True,
    ),
    KeyUser(
        "firehose",
        _each("PutRecord", "PutRecordBatch", asks=DATA_KEY),
        MotoStores.delivery_stream,
        {"": "InvalidKMSResourceException"},
        "inferred",
        reuses=True,
    ),
)
"""``inferred``: the names are those of AWS's service models; when they are said is not told there."""
