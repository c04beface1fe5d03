"""What enabling a key does not bring back by itself: AWS' documentation and what practitioners saw, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recovery:
    """How what a service keeps under a key comes back once the key does.

    Parameters
    ----------
    when: what makes it fail, or when, after the key has gone.
    needs: what brings it back besides the key; ``""`` when nothing else is needed.
    by: the time after which it cannot be brought back, or ``""``.
    unrecoverable: whether enabling the key alone is not enough, or may come too late.
    source: who says so.
    """

    when: str
    needs: str = ""
    by: str = ""
    unrecoverable: bool = False
    source: str = ""


RECOVERY = {
    "rds.amazonaws.com": Recovery(
        when="some time after the key goes: inaccessible-encryption-credentials-recoverable",
        needs="StartDBInstance or StartDBCluster once the key is enabled; after that a restore from a backup",
        by="7 days",
        unrecoverable=True,
        source="Amazon RDS User Guide, Encrypting Amazon RDS resources",
    ),
    "dynamodb.amazonaws.com": Recovery(
        when="reads fail after about 5 minutes, the table is INACCESSIBLE_ENCRYPTION_CREDENTIALS after 13 to 75",
        needs="18 to 57 minutes after the key is enabled; later a restore from the backup that AWS made of it",
        by="7 days",
        unrecoverable=True,
        source="Amazon DynamoDB Developer Guide, Encryption at rest; times as practitioners saw them",
    ),
    "ec2.amazonaws.com": Recovery(
        when="at its next stop and start, attach, or restore",
        needs="a start, or an attach, once the key is enabled",
        source="Amazon EBS User Guide, How unusable KMS keys affect data keys",
    ),
    "sqs.amazonaws.com": Recovery(
        when="when the queue's data key is used up: 1 minute to 24 hours, as the queue is set",
        source="Amazon SQS Developer Guide, Key management",
    ),
    "sns.amazonaws.com": Recovery(
        when="up to 5 minutes later, when the topic's data key is used up",
        source="Amazon SNS Developer Guide, Key management",
    ),
}
"""By service, as records name it. What is not in here is expected to fail at its next use and to work at the next use
after the key is back."""
