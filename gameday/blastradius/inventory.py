"""What a key protects today, whether or not it was used lately: each service's own list calls.

Each is optional. What may not be listed, or was not answered, is said (``Inventory.missing``), since an empty inventory
that could not be taken is not an empty one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gameday.aws.session import Session
from gameday.blastradius._question import KeyName
from gameday.blastradius.listing import Item, Listing
from gameday.blastradius.recovery import RECOVERY
from gameday.sdk import Dependent, Latent

CALLS = {
    "ec2.amazonaws.com": ("ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:DescribeInstances"),
    "s3.amazonaws.com": ("s3:ListAllMyBuckets", "s3:GetEncryptionConfiguration"),
    "secretsmanager.amazonaws.com": ("secretsmanager:ListSecrets",),
    "ssm.amazonaws.com": ("ssm:DescribeParameters",),
    "sqs.amazonaws.com": ("sqs:ListQueues", "sqs:GetQueueAttributes"),
    "sns.amazonaws.com": ("sns:ListTopics", "sns:GetTopicAttributes"),
    "logs.amazonaws.com": ("logs:DescribeLogGroups",),
    "dynamodb.amazonaws.com": ("dynamodb:ListTables", "dynamodb:DescribeTable"),
    "rds.amazonaws.com": ("rds:DescribeDBInstances", "rds:DescribeDBClusters"),
    "lambda.amazonaws.com": ("lambda:ListFunctions",),
    "elasticfilesystem.amazonaws.com": ("elasticfilesystem:DescribeFileSystems",),
    "cloudtrail.amazonaws.com": ("cloudtrail:DescribeTrails",),
}
"""The IAM actions that each service's part of the inventory needs."""
IRREVERSIBLE = tuple(service for service, one in RECOVERY.items() if one.unrecoverable)
"""Services whose part of the inventory must not be missing: it is where enabling the key is not enough."""


@dataclass
class Inventory:
    """What the key protects.

    Parameters
    ----------
    protected: one for each resource.
    latent: those that fail only later, or do not come back by themselves.
    missing: for each service that could not be looked at, why.
    """

    protected: list[Dependent] = field(default_factory=list)
    latent: list[Latent] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


class Key:
    """Whether a service's setting names the key, by any of its names."""

    def __init__(self, name: KeyName) -> None:
        self.arn = str(name)
        prefix = f"arn:{name.partition}:kms:{name.region}:{name.account}:"
        self._names = {self.arn, name.id, *name.aliases, *(prefix + alias for alias in name.aliases)}

    def __call__(self, setting: object) -> bool:
        """Whether this setting is one of the key's names."""
        return isinstance(setting, str) and setting in self._names


def take(session: Session, name: KeyName, seconds: float = 60.0) -> Inventory:
    """Ask every service in turn, for at most so many seconds together."""
    key, found, deadline = Key(name), Inventory(), time.monotonic() + seconds
    for service, ask in _PARTS.items():
        listing = Listing(session, deadline)
        for item in ask(listing, key):
            if isinstance(item, Latent):
                found.latent.append(item)
            else:
                found.protected.append(item.model_copy(update={"service": service}))
                found.latent += _slow(item, service)
        if listing.missing:
            found.missing[service] = "; ".join(f"{call} {why}" for call, why in listing.missing.items())
    return found


def _slow(item: Dependent, service: str) -> list[Latent]:
    """What the service's own way back says of it; volumes say it for themselves."""
    known = RECOVERY.get(service)
    if known is None or service == "ec2.amazonaws.com":
        return []
    return [
        Latent(
            service=service,
            resource=item.resource,
            when=known.when,
            needs=known.needs,
            by=known.by,
            unrecoverable=known.unrecoverable,
            source=known.source,
        )
    ]


Found = Iterator[Dependent | Latent]


def _one(resource: object, detail: str = "", instance: str = "", *also: object) -> Dependent:
    names = tuple(str(name) for name in also if name)
    return Dependent(resource=str(resource), why="protected", detail=detail, instance=instance, also=names)


def _ec2(ask: Listing, key: Key) -> Found:
    encrypted = [{"Name": "encrypted", "Values": ["true"]}]
    volumes = [v for v in ask.all("ec2", "describe_volumes", "Volumes", Filters=encrypted) if key(v.get("KmsKeyId"))]
    attached = {volume: _attachments(item) for item in volumes if (volume := str(item["VolumeId"]))}
    running = _running(ask, [instance for places in attached.values() for instance, _ in places])
    for volume, places in attached.items():
        instance = places[0][0] if places else ""
        yield _one(volume, f"attached to {instance}" if instance else "not attached", instance)
        for instance, device in places:
            yield _attached(volume, instance, device, up=instance in running)
    for item in ask.all("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=encrypted):
        if key(item.get("KmsKeyId")):
            yield _one(item["SnapshotId"], f"snapshot of {item.get('VolumeId', '')}")


def _attachments(volume: Item) -> list[tuple[str, str]]:
    listed = volume.get("Attachments")
    places = listed if isinstance(listed, list) else []
    return [(str(one.get("InstanceId", "")), str(one.get("Device", ""))) for one in places if one.get("InstanceId")]


def _running(ask: Listing, instances: list[str]) -> set[str]:
    if not instances:
        return set()
    states = [{"Name": "instance-state-name", "Values": ["running", "pending"]}]
    wanted = [{"Name": "instance-id", "Values": sorted(set(instances))[:200]}, *states]
    up: set[str] = set()
    for group in ask.all("ec2", "describe_instances", "Reservations", Filters=wanted):
        members = group.get("Instances")
        up |= {str(one["InstanceId"]) for one in members} if isinstance(members, list) else set()
    return up


def _attached(volume: str, instance: str, device: str, *, up: bool) -> Latent:
    known = RECOVERY["ec2.amazonaws.com"]
    if up:
        when = f"works on while {instance} runs; {instance} does not start again once it is stopped"
    else:
        when = f"{instance} is stopped, and does not start"
    return Latent(
        service="ec2.amazonaws.com",
        resource=f"{volume} ({device} of {instance})" if device else f"{volume} of {instance}",
        when=when,
        needs=known.needs,
        source=known.source,
    )


def _s3(ask: Listing, key: Key) -> Found:
    partition = ask.session.partition
    for bucket in ask.all("s3", "list_buckets", "Buckets"):
        said = ask.one("s3", "get_bucket_encryption", Bucket=bucket["Name"]) or {}
        rules = _inside(said, "ServerSideEncryptionConfiguration").get("Rules")
        for rule in rules if isinstance(rules, list) else []:
            if key(_inside(rule, "ApplyServerSideEncryptionByDefault").get("KMSMasterKeyID")):
                yield _one(f"arn:{partition}:s3:::{bucket['Name']}", "the bucket's default encryption")


def _inside(item: object, name: str) -> Item:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, dict) else {}


def _listed(service: str, operation: str, items: str, setting: str, *names: str) -> Callable[[Listing, Key], Found]:
    """A part whose list call itself says which key each has; the first of ``names`` is its resource."""

    def part(ask: Listing, key: Key) -> Found:
        for item in ask.all(service, operation, items):
            if key(item.get(setting)):
                known = [item[name] for name in names if item.get(name)]
                yield _one(known[0], "", "", *known[1:])

    return part


def _rds(ask: Listing, key: Key) -> Found:
    for kind, name in (("instance", "DBInstance"), ("cluster", "DBCluster")):
        for item in ask.all("rds", f"describe_db_{kind}s", f"{name}s"):
            if key(item.get("KmsKeyId")):
                ids = item.get("DbiResourceId") or item.get("DbClusterResourceId")
                detail = f"{item.get('Engine', 'database')} {kind} {item.get(f'{name}Identifier', '')}"
                yield _one(item[f"{name}Arn"], detail, "", ids)


def _attributes(
    service: str, listed: tuple[str, str, str], get: str, parameter: str, arn: str
) -> Callable[[Listing, Key], Found]:
    """A part whose key is only in the attributes of each single one (queues, topics)."""
    operation, items, name = listed

    def part(ask: Listing, key: Key) -> Found:
        for item in ask.all(service, operation, items):
            handle = str(item.get(name) or "")
            more: dict[str, object] = {"AttributeNames": ["All"]} if service == "sqs" else {}
            said = _inside(ask.one(service, get, **{parameter: handle, **more}), "Attributes")
            if key(said.get("KmsMasterKeyId")):
                yield _one(said.get(arn) or handle)

    return part


def _dynamodb(ask: Listing, key: Key) -> Found:
    for item in ask.all("dynamodb", "list_tables", "TableNames"):
        table = _inside(ask.one("dynamodb", "describe_table", TableName=item[""]), "Table")
        if key(_inside(table, "SSEDescription").get("KMSMasterKeyArn")):
            yield _one(table.get("TableArn"), "", "", item[""])


def _ssm(ask: Listing, key: Key) -> Found:
    session = ask.session
    for item in ask.all("ssm", "describe_parameters", "Parameters"):
        if key(item.get("KeyId")):
            name = str(item["Name"])
            path = name if name.startswith("/") else f"/{name}"
            arn = f"arn:{session.partition}:ssm:{session.region}:{session.account}:parameter{path}"
            yield _one(item.get("ARN") or arn, "", "", arn, name)


_PARTS: dict[str, Callable[[Listing, Key], Found]] = {
    "ec2.amazonaws.com": _ec2,
    "s3.amazonaws.com": _s3,
    "secretsmanager.amazonaws.com": _listed("secretsmanager", "list_secrets", "SecretList", "KmsKeyId", "ARN", "Name"),
    "ssm.amazonaws.com": _ssm,
    "sqs.amazonaws.com": _attributes(
        "sqs", ("list_queues", "QueueUrls", ""), "get_queue_attributes", "QueueUrl", "QueueArn"
    ),
    "sns.amazonaws.com": _attributes(
        "sns", ("list_topics", "Topics", "TopicArn"), "get_topic_attributes", "TopicArn", "TopicArn"
    ),
    "logs.amazonaws.com": _listed("logs", "describe_log_groups", "logGroups", "kmsKeyId", "arn", "logGroupName"),
    "dynamodb.amazonaws.com": _dynamodb,
    "rds.amazonaws.com": _rds,
    "lambda.amazonaws.com": _listed(
        "lambda", "list_functions", "Functions", "KMSKeyArn", "FunctionArn", "FunctionName"
    ),
    "elasticfilesystem.amazonaws.com": _listed(
        "efs", "describe_file_systems", "FileSystems", "KmsKeyId", "FileSystemArn", "FileSystemId"
    ),
    "cloudtrail.amazonaws.com": _listed("cloudtrail", "describe_trails", "trailList", "KmsKeyId", "TrailARN", "Name"),
}
