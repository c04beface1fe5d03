"""What KMS asks of a key policy before it takes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .access import context_of
from .policy import MalformedError, Request, judge, parse
from .wire import AwsError

if TYPE_CHECKING:
    from .call import Call
    from .motoworld import MotoWorld

LARGEST_POLICY = 32_768
NOBODY = "Policy contains a statement with one or more invalid principals."
LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."


def check_policy(call: Call, moto: MotoWorld) -> None:
    """Refuse a key policy that is none, names nobody, or would lock out whoever sets it."""
    text = call.text("Policy")
    if len(text.encode()) > LARGEST_POLICY:
        raise AwsError("LimitExceededException", "The key policy is larger than 32 KiB.")
    context = context_of(call) | {"kms:CallerAccount": call.who.account}
    request = Request("kms:PutKeyPolicy", "", call.who, context)
    try:
        parse(text, resource_policy=True)
        said = judge(text, request, resource_policy=True)
    except MalformedError as error:
        raise AwsError("MalformedPolicyDocumentException", f"Policy is malformed: {error}.") from error
    if not all(moto.knows_principal(call.region, name) for name in _principals(text)):
        raise AwsError("MalformedPolicyDocumentException", NOBODY)
    if call.params.get("BypassPolicyLockoutSafetyCheck") is True:
        return
    if said.denied or not (said.allowed or said.delegated):
        raise AwsError("MalformedPolicyDocumentException", LOCKED_OUT)


def _principals(policy: str) -> list[str]:
    """Whom the statements of a policy name as AWS principals; the policy has been parsed before."""
    statements = json.loads(policy).get("Statement", [])
    found: list[str] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            aws = named.get("AWS", []) if isinstance(named, dict) else []
            found += [aws] if isinstance(aws, str) else [str(one) for one in aws]
    return found
