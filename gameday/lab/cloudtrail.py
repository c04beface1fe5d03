"""CloudTrail: what every other call leaves behind, and LookupEvents to read it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from . import kms
from .s3names import DATA_OPERATIONS
from .trail import Event
from .trouble import throttled
from .wire import Answer, AwsError, error_in, json_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

PAGE = 50
SOURCES = {
    "cloudwatch": "monitoring.amazonaws.com",
    "s3control": "s3.amazonaws.com",
}
READ_PREFIXES = ("Get", "List", "Describe", "Head", "Lookup", "Simulate", "Search", "Test")
READ_ALSO = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "Sign",
        "Verify",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "GenerateRandom",
        "AssumeRole",
    }
)
ATTRIBUTES: dict[str, Callable[[Event], set[str]]] = {
    "EventId": lambda e: {e.record["eventID"]},
    "EventName": lambda e: {e.record["eventName"]},
    "ReadOnly": lambda e: {str(e.record.get("readOnly", False)).lower()},
    "Username": lambda e: {e.username},
    "ResourceType": lambda e: {r["ResourceType"] for r in e.resources},
    "ResourceName": lambda e: {r["ResourceName"] for r in e.resources},
    "EventSource": lambda e: {e.record["eventSource"]},
    "AccessKeyId": lambda e: {e.record["userIdentity"].get("accessKeyId", "")},
}


class CloudTrail:
    """CloudTrail's hooks; trails and their files are in ``trails``."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("cloudtrail", "LookupEvents: one attribute, newest first, 50 a page, delayed", "documented"),
        Behaviour("cloudtrail", "two LookupEvents a second for each Region (lookup_interval)", "documented"),
        Behaviour("cloudtrail", "every management call is recorded with the caller's request id", "documented"),
        Behaviour("cloudtrail", "delivery takes exactly cloudtrail_delay", "invented"),
        Behaviour("cloudtrail", "KMS events of EC2 share the request id of the EC2 call", "recorded"),
        Behaviour("cloudtrail", "responseElements of EC2 calls are the answer's XML as JSON", "inferred"),
        Behaviour("cloudtrail", "requestParameters of calls other than KMS, S3, EC2 are the call's own", "invented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._pages: dict[str, list[Event]] = {}
        self._asked: dict[str, deque[float]] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._world.trail.events.clear()
        self._pages.clear()
        self._asked.clear()

    def before(self, call: Call) -> Answer | None:
        """LookupEvents is the lab's own."""
        return self._lookup(call) if call.operation == "LookupEvents" else None

    def after(self, call: Call, answer: Answer) -> None:
        """Nothing to set right."""

    def _limit(self, call: Call) -> None:
        """The lab's own clock, so that advancing time advances this, too."""
        now, asked = self._world.agenda.now(), self._asked.setdefault(call.region, deque(maxlen=2))
        if len(asked) == asked.maxlen and now - asked[0] < self._world.knobs.lookup_interval:
            raise throttled(call)
        asked.append(now)

    def _lookup(self, call: Call) -> Answer:
        self._limit(call)
        size = call.params.get("MaxResults", PAGE)
        if not isinstance(size, int) or not 1 <= size <= PAGE:
            raise AwsError("InvalidMaxResultsException", f"The maxResults must be between 1 and {PAGE}.")
        token = call.text("NextToken")
        if token:
            if token not in self._pages:
                raise AwsError("InvalidNextTokenException", "The nextToken is not valid.")
            events = self._pages.pop(token)
        else:
            events = self._select(call)
        data: dict[str, Any] = {"Events": [_shown(event) for event in events[:size]]}
        if len(events) > size:
            data["NextToken"] = f"gameday-lab-{events[size].turn}-{len(self._pages)}"
            self._pages[data["NextToken"]] = events[size:]
        return json_answer(data)

    def _select(self, call: Call) -> list[Event]:
        attributes = call.params.get("LookupAttributes") or []
        if len(attributes) > 1:
            raise AwsError("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
        start, end = _time(call.params.get("StartTime")), _time(call.params.get("EndTime"))
        if start and end and start > end:
            raise AwsError("InvalidTimeRangeException", "Start time must be before or equal to end time.")
        events = [
            event
            for event in self._world.trail.delivered()
            if event.record["awsRegion"] == call.region
            and (start is None or event.time >= start.replace(microsecond=0))
            and (end is None or event.time.replace(microsecond=0) <= end)
        ]
        for attribute in attributes:
            look = ATTRIBUTES.get(str(attribute.get("AttributeKey")))
            if look is None:
                raise AwsError("InvalidLookupAttributesException", "The lookup attribute is not valid.")
            events = [event for event in events if attribute.get("AttributeValue") in look(event)]
        return events


def _time(value: Any) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value is not None else None


def _shown(event: Event) -> dict[str, Any]:
    record = event.record
    shown = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(record.get("readOnly", False)).lower(),
        "EventTime": int(event.time.timestamp()),
        "EventSource": record["eventSource"],
        "Username": event.username,
        "Resources": event.resources,
        "CloudTrailEvent": json.dumps(record),
    }
    if "accessKeyId" in record["userIdentity"]:
        shown["AccessKeyId"] = record["userIdentity"]["accessKeyId"]
    return shown


def record_call(world: World, call: Call, answer: Answer) -> None:
    """Leave the call in the trail, unless it is a data event or nobody's."""
    if not call.operation:
        return
    read_only = call.operation.startswith(READ_PREFIXES) or call.operation in READ_ALSO
    if call.service == "s3" and call.operation in DATA_OPERATIONS:
        if world.trail.data_wanted:
            world.trail.data_event(call, error_in(answer), read_only)
        return
    source = SOURCES.get(call.service, f"{call.service}.amazonaws.com")
    parameters: dict[str, Any] | None
    response: dict[str, Any] | None
    arn = ""
    if call.service == "kms":
        parameters, response, arn = kms.trail_view(call, answer)
    elif call.protocol == "ec2":
        parameters, response = _ec2_parameters(call.params), _ec2_response(call, answer)
    elif call.service == "s3":
        host = {"Host": call.header("host")}
        parameters, response = {"bucketName": call.bucket, **host} if call.bucket else host, None
    else:
        parameters = {n[:1].lower() + n[1:]: v for n, v in call.params.items() if n != "Version"} or None
        response = None
    error = error_in(answer)
    world.trail.api_call(
        call,
        source,
        parameters=parameters,
        response=None if read_only else response,
        read_only=read_only,
        error=error,
        key_arn=arn,
    )


SETS = {
    "InstanceId": "instancesSet",
    "VolumeId": "volumeSet",
    "SnapshotId": "snapshotSet",
    "BlockDeviceMapping": "blockDeviceMapping",
    "SecurityGroupId": "groupSet",
    "Filter": "filterSet",
    "TagSpecification": "tagSpecificationSet",
    "ImageId": "imagesSet",
}


def _ec2_parameters(params: dict[str, Any]) -> dict[str, Any]:
    """EC2's flat parameters as CloudTrail nests them: lists as ``{"items": […]}``."""
    nested: dict[str, Any] = {}
    for name, value in params.items():
        if name in {"Version", "ClientToken"}:
            continue
        place = nested
        parts = name.split(".")
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    shaped = {_lower(SETS.get(n, n) if isinstance(v, dict) else n): _shape(n, v) for n, v in nested.items()}
    if "MinCount" in params:
        item = {_lower(n): _typed(str(params[n])) for n in ("ImageId", "MinCount", "MaxCount") if n in params}
        shaped = {n: v for n, v in shaped.items() if n not in {"imageId", "minCount", "maxCount"}}
        shaped["instancesSet"] = {"items": [item]}
    return shaped


def _shape(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return _typed(str(value))
    if all(part.isdigit() for part in value):
        items = [value[part] for part in sorted(value, key=int)]
        return {"items": [_shape(name, i) if isinstance(i, dict) else {_lower(name): i} for i in items]}
    return {_lower(n): _shape(n, v) for n, v in value.items()}


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _typed(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isdigit() and len(text) < 10 else text


def _ec2_response(call: Call, answer: Answer) -> dict[str, Any] | None:
    if answer.status >= 400 or not answer.body or call.operation.startswith(READ_PREFIXES):
        return None
    found = _xml(ElementTree.fromstring(answer.body))  # noqa: S314 (moto's own answer)
    return found if isinstance(found, dict) else None


def _xml(element: ElementTree.Element) -> Any:
    children = list(element)
    if not children:
        return {} if _tag(element).endswith("Set") else _typed(element.text or "")
    if all(_tag(child) == "item" for child in children):
        return {"items": [_xml(child) for child in children]}
    return {_tag(child): _xml(child) for child in children}


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]
