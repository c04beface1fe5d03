"""What stands under a key in moto's other services: its key, and the encryption context that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gameday.partitions import partition

from .client import ACCOUNT

if TYPE_CHECKING:
    from .call import Call


@dataclass(frozen=True, slots=True)
class UnderKey:
    """One resource: the key's id, ARN or alias as it was given, and the context in which its service asks."""

    key: str
    context: dict[str, str]
    name: str


def _parameter_arn(region: str, name: str) -> str:
    return f"arn:{partition(region)}:ssm:{region}:{ACCOUNT}:parameter/{name.lstrip('/')}"


class MotoStores:
    """Finders, one a service; a backend is loaded when the first call of its service comes."""

    _get_backend: Callable[[str], Any]

    def _store(self, service: str, region: str) -> Any:
        return self._get_backend(service)[ACCOUNT][region]

    def secret(self, call: Call) -> Iterable[UnderKey]:
        """The secret that a call names, whose version's id is part of the context."""
        backend, name = self._store("secretsmanager", call.region), call.text("SecretId") or call.text("Name")
        found = backend.secrets.get(name)
        if found is not None and found.kms_key_id:
            version = call.text("VersionId") or str(found.default_version_id)
            yield UnderKey(found.kms_key_id, {"SecretARN": found.arn, "SecretVersionId": version}, found.arn)
        elif call.operation == "CreateSecret" and call.text("KmsKeyId"):
            yield UnderKey(call.text("KmsKeyId"), {}, name)

    def parameters(self, call: Call) -> Iterable[UnderKey]:
        """The SecureString parameters that a call would decrypt or write."""
        backend = self._store("ssm", call.region)
        if call.operation == "PutParameter":
            if call.text("Type") == "SecureString":
                arn = _parameter_arn(call.region, call.text("Name"))
                yield UnderKey(call.text("KeyId", "alias/aws/ssm"), {"PARAMETER_ARN": arn}, arn)
            return
        if call.params.get("WithDecryption") is not True:
            return
        names = call.params.get("Names") or [call.text("Name")]
        found = [backend.get_parameter(str(name)) for name in names if name]
        if call.operation == "GetParametersByPath":
            below = call.text("Path").rstrip("/") + "/"
            found = [p[-1] for name, p in backend._parameters.items() if str(name).startswith(below)]
        for one in found:
            if one is not None and one.parameter_type == "SecureString":
                arn = _parameter_arn(call.region, str(one.name))
                yield UnderKey(one.keyid or "alias/aws/ssm", {"PARAMETER_ARN": arn}, arn)

    def queue(self, call: Call) -> Iterable[UnderKey]:
        """The queue of a call."""
        found = self._store("sqs", call.region).queues.get(call.text("QueueUrl").rsplit("/", 1)[-1])
        if found is not None and found.kms_master_key_id:
            yield UnderKey(found.kms_master_key_id, {"aws:sqs:arn": found.queue_arn}, found.queue_arn)

    def topic(self, call: Call) -> Iterable[UnderKey]:
        """The topic of a call."""
        found = self._store("sns", call.region).topics.get(call.text("TopicArn") or call.text("TargetArn"))
        if found is not None and found.kms_master_key_id:
            yield UnderKey(found.kms_master_key_id, {"aws:sns:topicArn": found.arn}, found.arn)

    def stream(self, call: Call) -> Iterable[UnderKey]:
        """The Kinesis stream that is written, or whose iterator is read."""
        import base64

        name = call.text("StreamName") or call.text("StreamARN").rsplit("/", 1)[-1]
        if call.operation == "GetRecords":
            name = base64.b64decode(call.text("ShardIterator")).decode("utf-8", "replace").split(":")[0]
        found = self._store("kinesis", call.region).streams.get(name)
        if found is not None and found.encryption_type == "KMS" and found.key_id:
            yield UnderKey(found.key_id, {"aws:kinesis:arn": found.arn}, found.arn)

    def function(self, call: Call) -> Iterable[UnderKey]:
        """The Lambda function of a path."""
        found = self.lambda_function(call)
        if found is not None and found.kms_key_arn:
            yield UnderKey(found.kms_key_arn, {"aws:lambda:FunctionArn": found.function_arn}, found.function_arn)

    def lambda_function(self, call: Call) -> Any:
        """A function, or None."""
        from urllib.parse import unquote

        name = unquote(str(call.environ["PATH_INFO"]).split("/")[3])
        functions = self._store("lambda", call.region).list_functions()
        return next((f for f in functions if name in {f.function_name, f.function_arn}), None)

    def repository(self, call: Call) -> Iterable[UnderKey]:
        """The ECR repository of a call."""
        found = self._store("ecr", call.region).repositories.get(call.text("repositoryName"))
        about = found.encryption_configuration if found is not None else {}
        if about.get("kmsKey"):
            yield UnderKey(about["kmsKey"], {"aws:ecr:arn": found.arn}, found.arn)

    def state_machine(self, call: Call) -> Iterable[UnderKey]:
        """The state machine of a call."""
        machines = self._store("stepfunctions", call.region).state_machines
        found = next((one for one in machines if one.arn == call.text("stateMachineArn")), None)
        key = (found.encryptionConfiguration or {}).get("kmsKeyId") if found is not None else None
        if found is not None and key:
            yield UnderKey(key, {"aws:states:stateMachineArn": found.arn}, found.arn)

    def log_group(self, call: Call) -> Iterable[UnderKey]:
        """The log group of a call."""
        name = call.text("logGroupName") or call.text("logGroupIdentifier").rsplit(":", 1)[-1]
        found = self._store("logs", call.region).groups.get(name)
        if found is not None and found.kms_key_id:
            arn = f"arn:{partition(call.region)}:logs:{call.region}:{ACCOUNT}:log-group:{name}"
            yield UnderKey(found.kms_key_id, {"aws:logs:arn": arn}, arn)

    def delivery_stream(self, call: Call) -> Iterable[UnderKey]:
        """The Firehose stream of a call."""
        found = self._store("firehose", call.region).delivery_streams.get(call.text("DeliveryStreamName"))
        about = (found.delivery_stream_encryption_configuration or {}) if found is not None else {}
        if about.get("KeyARN"):
            arn = str(found.delivery_stream_arn)
            yield UnderKey(about["KeyARN"], {"aws:firehose:arn": arn}, arn)
