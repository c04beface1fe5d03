"""What AWS is known to say: refusals, actions that need the key, where records name a resource; with the sources."""

from __future__ import annotations

REFUSED_ACTIONS = (
    "CreateGrant",
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "ReEncrypt",
    "ReplicateKey",
    "Sign",
    "Verify",
    "VerifyMac",
)
"""What a disabled key refuses: "Key states of AWS KMS keys" in KMS' developer guide. All else works on."""

REFUSALS = (
    "Disabled",
    "DisabledException",
    "KMSInvalidStateException",
    "KmsInvalidStateException",
    "KMSDisabledException",
    "InvalidStateException",
    "KeyUnavailableException",
)
"""Error codes that say that the key cannot be used now: KMS' API reference (DisabledException,
KMSInvalidStateException, KeyUnavailableException) and the spellings under which services pass them on
(``KMS.DisabledException`` in S3, so a prefix up to a dot is left out before comparing)."""

CONTEXT_NAMES = (
    ("aws:s3:arn", "s3.amazonaws.com"),
    ("aws:ebs:id", "ec2.amazonaws.com"),
    ("PARAMETER_ARN", "ssm.amazonaws.com"),
    ("SecretARN", "secretsmanager.amazonaws.com"),
    ("aws:lambda:FunctionArn", "lambda.amazonaws.com"),
    ("aws:rds:db-id", "rds.amazonaws.com"),
    ("aws:rds:dbc-id", "rds.amazonaws.com"),
    ("aws:dynamodb:tableName", "dynamodb.amazonaws.com"),
    ("aws:logs:arn", "logs.amazonaws.com"),
    ("aws:sqs:arn", "sqs.amazonaws.com"),
    ("aws:sns:topicArn", "sns.amazonaws.com"),
    ("aws:kinesis:arn", "kinesis.amazonaws.com"),
    ("aws:elasticfilesystem:filesystem:id", "elasticfilesystem.amazonaws.com"),
    ("aws:cloudtrail:arn", "cloudtrail.amazonaws.com"),
)
"""Members of the encryption context that name a resource, and the service that writes them (its developer guide's page
on encryption at rest). Other members are kept under their own names."""

EACH_TIME_ANOTHER = "aws-crypto-public-key"
"""A member of the context that differs with each message (AWS Encryption SDK, "Encryption context"): no resource."""

INTERNAL = "AWS Internal"
"""What stands where a service called and does not say which."""

DRY_RUN = "DryRunOperationException"
"""What a call with ``DryRun`` that would have succeeded ends with (KMS' API reference): no failure, and no use."""

CONTEXT_PATHS = (
    ("destinationEncryptionContext",),
    ("encryptionContext",),
    ("sourceEncryptionContext",),
    ("constraints", "encryptionContextSubset"),
    ("constraints", "encryptionContextEquals"),
)
"""Where a request says its encryption context: the destination's belongs to ReEncrypt's second key."""

INSTANCE = "i-[0-9a-f]{8,17}"
KEY_ARN = "arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
