"""Who may use a key by a grant: services that keep one for as long as a resource lives, above all."""

from __future__ import annotations

import re
import time

from gameday.aws.session import Session
from gameday.blastradius._known import CONTEXT_NAMES, INSTANCE
from gameday.blastradius._question import KeyName
from gameday.blastradius.listing import Item, Listing
from gameday.partitions import any_suffix
from gameday.sdk import Dependent

PERMISSIONS = ("kms:ListGrants", "kms:ListAliases", "kms:GetKeyLastUsage")


def granted(session: Session, key: KeyName, seconds: float = 30.0) -> tuple[list[Dependent], str]:
    """Every grant's holder, and why there may be more, or ``""``."""
    listing = Listing(session, time.monotonic() + seconds)
    found = [_dependent(grant) for grant in listing.all("kms", "list_grants", "Grants", KeyId=str(key))]
    return found, "; ".join(f"{call} {why}" for call, why in listing.missing.items())


def _dependent(grant: Item) -> Dependent:
    holder = str(grant.get("GranteeServicePrincipal") or grant.get("GranteePrincipal") or "")
    constraints = grant.get("Constraints")
    contexts = constraints.values() if isinstance(constraints, dict) else ()
    context = {str(name): str(value) for one in contexts if isinstance(one, dict) for name, value in one.items()}
    resource, service = next(((context[name], svc) for name, svc in CONTEXT_NAMES if name in context), ("", ""))
    instance = re.search(rf"aws:ec2-infrastructure[:/]({INSTANCE})", holder)
    operations = grant.get("Operations")
    return Dependent(
        principal=principal(holder),
        service=service or service_of(holder),
        resource=resource,
        instance=instance.group(1) if instance else "",
        why="granted",
        detail="may " + ", ".join(map(str, operations)) if isinstance(operations, list) else "",
    )


def principal(arn: str) -> str:
    """The role behind a session's ARN, as the definition of the blast radius names it; anything else as it is."""
    found = re.fullmatch(r"arn:([\w-]+):sts::(\d*):assumed-role/([^/]+)/.*", arn)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else arn


def service_of(holder: str) -> str:
    """``dynamodb.us-east-1.amazonaws.com`` is ``dynamodb.amazonaws.com``, whatever the partition; else ``""``."""
    found = re.fullmatch(rf"([a-z0-9-]+)(?:\.[a-z0-9-]+)?\.(?:{any_suffix()})", holder)
    return f"{found[1]}.amazonaws.com" if found else ""
