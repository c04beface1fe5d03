"""CloudTrail's store: records as AWS shapes them, each visible once it has been delivered."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gameday.partitions import partition

from .call import Call, Caller
from .clock import Agenda, wall
from .knobs import Knobs

KEPT = 50_000
KMS = "kms.amazonaws.com"


@dataclass(slots=True)
class Event:
    """One record and when LookupEvents may show it."""

    record: dict[str, Any]
    time: datetime
    visible_at: float
    turn: int

    @property
    def username(self) -> str:
        """Whom LookupEvents names."""
        identity = self.record["userIdentity"]
        if identity["type"] == "AssumedRole":
            return str(identity["arn"]).rsplit("/", 1)[-1]
        return str(identity.get("userName") or ("root" if identity["type"] == "Root" else ""))

    @property
    def resources(self) -> list[dict[str, str]]:
        """What LookupEvents lists."""
        found = [{"ResourceType": r["type"], "ResourceName": r["ARN"]} for r in self.record.get("resources") or []]
        params = self.record.get("requestParameters") or {}
        instances = {
            item["instanceId"]
            for side in (params, self.record.get("responseElements") or {})
            for item in (side.get("instancesSet") or {}).get("items", [])
            if "instanceId" in item
        }
        found += [{"ResourceType": "AWS::EC2::Instance", "ResourceName": name} for name in sorted(instances)]
        if "bucketName" in params:
            found.append({"ResourceType": "AWS::S3::Bucket", "ResourceName": params["bucketName"]})
        return found


def identity_of(caller: Caller, invoked_by: str = "") -> dict[str, Any]:
    """A record's userIdentity."""
    if caller.kind == "Anonymous":
        return {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
    identity: dict[str, Any] = {
        "type": caller.kind,
        "principalId": caller.principal_id,
        "arn": caller.arn,
        "accountId": caller.account,
    }
    if caller.access_key:
        identity["accessKeyId"] = caller.access_key
    if caller.kind == "IAMUser":
        identity["userName"] = caller.name
    if caller.kind == "AssumedRole":
        issuer = {
            "type": "Role",
            "principalId": caller.role_id,
            "arn": caller.role_arn,
            "accountId": caller.account,
            "userName": caller.name,
        }
        attributes = {"creationDate": caller.since, "mfaAuthenticated": "false"}
        identity["sessionContext"] = {"sessionIssuer": issuer, "attributes": attributes}
    if invoked_by:
        identity["invokedBy"] = invoked_by
    return identity


class Trail:
    """Every management event, oldest first. Its owner holds the lab's lock."""

    def __init__(self, agenda: Agenda, knobs: Knobs) -> None:
        self._agenda = agenda
        self._knobs = knobs
        self.next_turn = 0
        self.data_wanted = False
        """Whether some trail asks for S3's data events."""
        self.events: deque[Event] = deque(maxlen=KEPT)

    def write(self, record: dict[str, Any]) -> None:
        """Record one event, to be delivered after the delay; the time of day is now."""
        if not self._knobs.record_trail:
            return
        now = wall()
        record["eventTime"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        due = self._agenda.now() + self._knobs.cloudtrail_delay
        self.events.append(Event(record, now, due, self.next_turn))
        self.next_turn += 1

    def delivered(self) -> list[Event]:
        """What LookupEvents may show, newest first."""
        now = self._agenda.now()
        return [event for event in reversed(self.events) if event.visible_at <= now and event.record["managementEvent"]]

    def api_call(
        self,
        call: Call,
        source: str,
        *,
        parameters: Mapping[str, Any] | None,
        response: Mapping[str, Any] | None,
        read_only: bool,
        error: tuple[str, str] | None,
        key_arn: str = "",
    ) -> None:
        """Record the call that someone made."""
        record = _record(identity_of(call.who, call.invoked_by), source, call.operation, call.region, call.who.account)
        record["sourceIPAddress"] = call.invoked_by or call.source_ip
        record["userAgent"] = call.invoked_by or call.user_agent
        record["requestID"] = call.request_id
        record["readOnly"] = read_only
        _outcome(record, parameters, response, error, key_arn)
        self.write(record)

    def data_event(self, call: Call, error: tuple[str, str] | None, read_only: bool) -> None:
        """Record an S3 object call, for the trails that select it."""
        record = _record(identity_of(call.who), "s3.amazonaws.com", call.operation, call.region, call.who.account)
        record |= {
            "sourceIPAddress": call.source_ip,
            "userAgent": call.user_agent,
            "requestID": call.request_id,
            "readOnly": read_only,
            "managementEvent": False,
            "eventCategory": "Data",
        }
        _outcome(record, {"bucketName": call.bucket, "key": call.key}, None, error, "")
        arn = f"arn:{partition(call.region)}:s3:::{call.bucket}"
        record["resources"] = [
            {"type": "AWS::S3::Object", "ARN": f"{arn}/{call.key}"},
            {"accountId": call.who.account, "type": "AWS::S3::Bucket", "ARN": arn},
        ]
        self.write(record)

    def on_behalf(
        self,
        call: Call,
        name: str,
        invoked_by: str,
        *,
        key_arn: str,
        parameters: Mapping[str, Any] | None,
        response: Mapping[str, Any] | None = None,
        error: tuple[str, str] | None = None,
        request_id: str = "",
        read_only: bool = True,
    ) -> None:
        """Record what a service asked of KMS for the caller; by default under the caller's request id."""
        record = _record(identity_of(call.who, invoked_by), KMS, name, call.region, call.who.account)
        record["sourceIPAddress"] = record["userAgent"] = invoked_by
        record["requestID"] = request_id or call.request_id
        record["readOnly"] = read_only
        _outcome(record, parameters, response, error, key_arn)
        self.write(record)

    def by_infrastructure(self, name: str, about: Infrastructure) -> None:
        """Record what EC2's infrastructure asked of KMS for an instance, under a request id of its own."""
        record = _record(about.identity(), KMS, name, about.region, about.account)
        record["sourceIPAddress"] = record["userAgent"] = about.agent
        record["requestID"] = str(uuid.uuid4())
        record["readOnly"] = name == "Decrypt"
        context = {"aws:ebs:id": about.volume}
        if name == "Decrypt":
            parameters: dict[str, Any] | None = {
                "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "encryptionContext": context,
            }
        else:
            parameters = None
            record["additionalEventData"] = {"grantId": about.grant}
        _outcome(record, parameters, None, None, about.key_arn)
        self.write(record)


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """EC2's own session for one instance and one of its volumes."""

    account: str
    region: str
    instance: str
    volume: str
    key_arn: str
    grant: str = ""
    agent: str = "ebs.amazonaws.com"

    def identity(self) -> dict[str, Any]:
        """The session's userIdentity, with the instance named in both places where AWS names it."""
        role, where = "aws:ec2-infrastructure", partition(self.region)
        issuer = {
            "type": "Role",
            "principalId": f"{self.account}:{role}",
            "arn": f"arn:{where}:iam::{self.account}:role/{role}",
            "accountId": self.account,
            "userName": role,
        }
        since = wall().strftime("%Y-%m-%dT%H:%M:%SZ")
        instance_arn = f"arn:{where}:ec2:{self.region}:{self.account}:instance/{self.instance}"
        return {
            "type": "AssumedRole",
            "principalId": f"{self.account}:{role}:{self.instance}",
            "arn": f"arn:{where}:sts::{self.account}:assumed-role/{role}/{self.instance}",
            "accountId": self.account,
            "sessionContext": {
                "sessionIssuer": issuer,
                "attributes": {"creationDate": since, "mfaAuthenticated": "false"},
            },
            "inScopeOf": {"issuerType": "AWS::EC2::Instance", "credentialsIssuedTo": instance_arn},
            "invokedBy": self.agent,
        }


def _record(identity: dict[str, Any], source: str, name: str, region: str, account: str) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": "",
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "eventID": str(uuid.uuid4()),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }


def _outcome(
    record: dict[str, Any],
    parameters: Mapping[str, Any] | None,
    response: Mapping[str, Any] | None,
    error: tuple[str, str] | None,
    key_arn: str,
) -> None:
    if error:
        code = "AccessDenied" if error[0] == "AccessDeniedException" else error[0]
        record["errorCode"], record["errorMessage"] = code, error[1]
    record["requestParameters"] = dict(parameters) if parameters is not None else None
    record["responseElements"] = dict(response) if response is not None and not error else None
    if key_arn:
        account = key_arn.split(":")[4]
        record["resources"] = [{"accountId": account, "type": "AWS::KMS::Key", "ARN": key_arn}]
