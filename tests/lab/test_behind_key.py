"""Every service behind the key: what it says when the key is off, in whose name it asks, and what the trail keeps."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

SERVICES = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
TRUSTED = {"Effect": "Allow", "Principal": SERVICES, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTED]})


def code_of(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "ok", 200


def secret(client, key):
    made = client("secretsmanager").create_secret(Name="db", SecretString="v", KmsKeyId=key)["ARN"]
    return lambda: client("secretsmanager").get_secret_value(SecretId="db"), {"SecretARN": made}


def parameter(client, key):
    ssm = client("ssm")
    ssm.put_parameter(Name="/db", Value="v", Type="SecureString", KeyId=key)
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/db"
    return lambda: ssm.get_parameter(Name="/db", WithDecryption=True), {"PARAMETER_ARN": arn}


def queue(client, key):
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    context = {"aws:sqs:arn": "arn:aws:sqs:us-east-1:123456789012:q"}
    return lambda: sqs.send_message(QueueUrl=url, MessageBody="x"), context


def topic(client, key):
    sns = client("sns")
    arn = sns.create_topic(Name="t", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    return lambda: sns.publish(TopicArn=arn, Message="x"), {"aws:sns:topicArn": arn}


def stream(client, key):
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId=key)
    context = {"aws:kinesis:arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}
    return lambda: kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="p"), context


def function(client, key):
    role = client("iam").create_role(RoleName="fn", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", "")
    about = {"Runtime": "python3.12", "Role": role, "Handler": "f.f", "Code": {"ZipFile": packed.getvalue()}}
    arn = client("lambda").create_function(FunctionName="f", KMSKeyArn=key, **about)["FunctionArn"]
    return lambda: client("lambda").invoke(FunctionName="f"), {"aws:lambda:FunctionArn": arn}


def repository(client, key):
    ecr = client("ecr")
    encryption = {"encryptionType": "KMS", "kmsKey": key}
    made = ecr.create_repository(repositoryName="rr", encryptionConfiguration=encryption)["repository"]
    manifest = json.dumps({"schemaVersion": 2, "config": {}, "layers": []})
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    ecr.put_image(repositoryName="rr", imageManifest=manifest, imageManifestMediaType=kind, imageTag="t")
    read = lambda: ecr.batch_get_image(repositoryName="rr", imageIds=[{"imageTag": "t"}])  # noqa: E731
    return read, {"aws:ecr:arn": made["repositoryArn"]}


def machine(client, key):
    role = client("iam").create_role(RoleName="sfn", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    encryption = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key}
    about = {"name": "m", "definition": definition, "roleArn": role, "encryptionConfiguration": encryption}
    arn = client("stepfunctions").create_state_machine(**about)["stateMachineArn"]
    start = lambda: client("stepfunctions").start_execution(stateMachineArn=arn)  # noqa: E731
    return start, {"aws:states:stateMachineArn": arn}


def logs(client, key):
    made = client("logs")
    made.create_log_group(logGroupName="/g", kmsKeyId=key)
    made.create_log_stream(logGroupName="/g", logStreamName="s")
    read = lambda: made.get_log_events(logGroupName="/g", logStreamName="s")  # noqa: E731
    return read, {"aws:logs:arn": "arn:aws:logs:us-east-1:123456789012:log-group:/g"}


def firehose(client, key):
    made = client("firehose")
    client("s3").create_bucket(Bucket="lake")
    arn = made.create_delivery_stream(
        DeliveryStreamName="d",
        DeliveryStreamEncryptionConfigurationInput={"KeyARN": key, "KeyType": "CUSTOMER_MANAGED_CMK"},
        S3DestinationConfiguration={"RoleARN": "arn:aws:iam::123456789012:role/x", "BucketARN": "arn:aws:s3:::lake"},
    )["DeliveryStreamARN"]
    return lambda: made.put_record(DeliveryStreamName="d", Record={"Data": b"x"}), {"aws:firehose:arn": arn}


ROWS = [
    (secret, ("DecryptionFailure", 400), "AccessDeniedException"),
    (parameter, ("InvalidKeyId", 400), "AccessDeniedException"),
    (queue, ("KMS.DisabledException", 400), "KMS.AccessDeniedException"),
    (topic, ("KMSDisabled", 400), "KMSAccessDenied"),
    (stream, ("KMSDisabledException", 400), "KMSAccessDeniedException"),
    (function, ("KMSDisabledException", 502), "KMSAccessDeniedException"),
    (repository, ("KmsException", 400), "KmsException"),
    (machine, ("KmsInvalidStateException", 400), "KmsAccessDeniedException"),
    (logs, ("AccessDeniedException", 400), "AccessDeniedException"),
    (firehose, ("InvalidKMSResourceException", 400), "InvalidKMSResourceException"),
]


@pytest.mark.parametrize(("make", "off", "denied"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_a_service_behind_the_key(client, key, make, off, denied):
    kms = client("kms")
    call, context = make(client, key)
    assert code_of(call) == ("ok", 200)
    seen = [json.loads(e["CloudTrailEvent"]) for e in client("cloudtrail").lookup_events()["Events"]]
    asked = next(e for e in seen if "invokedBy" in e["userIdentity"] and e["eventSource"] == "kms.amazonaws.com")
    assert asked["requestParameters"]["encryptionContext"].items() >= context.items()
    assert asked["resources"][0]["ARN"] == key
    kms.disable_key(KeyId=key)
    assert code_of(call) == off
    kms.enable_key(KeyId=key)
    assert code_of(call) == ("ok", 200)
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    name = next(iter(context))
    no = {"Effect": "Deny", "Principal": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"}
    no["Condition"] = {"StringEquals": {f"kms:EncryptionContext:{name}": context[name]}}
    kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow, no]}))
    assert code_of(call)[0] == denied


def test_a_data_key_is_reused_for_a_while(client, key, lab):
    lab.knobs(data_key_reuse=60)
    call, _context = queue(client, key)
    call()
    client("kms").disable_key(KeyId=key)
    assert code_of(call)[0] == "ok"
    lab.advance(61)
    assert code_of(call)[0] == "KMS.DisabledException"


def test_a_function_says_why_it_is_inactive(client, key):
    function(client, key)
    client("kms").disable_key(KeyId=key)
    about = client("lambda").get_function(FunctionName="f")["Configuration"]
    assert (about["State"], about["StateReasonCode"]) == ("Inactive", "DisabledKMSKey")
