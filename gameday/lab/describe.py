"""What the lab does beyond moto, and how sure we are of each: kept beside the hooks, listed here."""

from __future__ import annotations

NOT_ENFORCED = (
    ("iam", "conditions on keys that the lab does not fill in, such as aws:ResourceTag: the key counts as absent"),
    ("iam", "organisation policies, and the constraints of grants"),
    ("s3", "signatures of single chunks, and the policy of the bucket to which a trail writes"),
    ("dynamodb, rds", "tables and databases stay as they are when their key is off"),
    ("lambda", "a warm function that runs on; event source mappings"),
    ("sns", "deliveries to SQS and others, which fail in silence when their key is off"),
    ("firehose", "delivery to its bucket, and Kinesis as its source"),
    ("efs, fsx, elasticache, redshift, opensearch, msk, eks, backup", "their keys are stored, and never asked"),
    ("all", "calls that moto has not: 501 NotImplemented with a sentence, never 500"),
    ("cloudwatch", "alarms are never evaluated: they stay as SetAlarmState left them"),
    ("scheduler", "targets of services other than KMS, S3 and EC2; cron(…); dead-letter queues"),
)
"""What AWS would do and the lab does not: a playbook that rests on it needs a real account."""


def describe() -> list[dict[str, str]]:
    """Every behaviour with its standing; ``invented`` is what someone with an account should check."""
    from .access import Access
    from .behindkey import BehindKey
    from .cloudtrail import CloudTrail
    from .ebs import Ebs
    from .ec2 import Ec2
    from .identity import Iam
    from .keymaterial import KeyMaterial
    from .kms import Kms
    from .s3 import S3
    from .s3doors import S3Doors
    from .s3requests import S3Requests
    from .scheduler import Scheduler
    from .sts import Sts
    from .trails import Trails

    hooked = (
        *(Kms, KeyMaterial, Access, Sts, Iam, S3, S3Doors, S3Requests, Ec2, Ebs),
        *(CloudTrail, Trails, Scheduler, BehindKey),
    )
    return [
        {"service": found.service, "behaviour": found.behaviour, "standing": found.standing}
        for hooks in hooked
        for found in hooks.behaviours
    ] + [{"service": service, "behaviour": what, "standing": "not enforced"} for service, what in NOT_ENFORCED]
