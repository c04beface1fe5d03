"""STS and IAM: moto's default caller is the account's root, roles are assumed by their trust policy."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from .access import Access
from .policy import MalformedError, Request, judge, parse
from .wire import Answer, AwsError, elements, xml_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call, Caller

STS = "https://sts.amazonaws.com/doc/2011-06-15/"
IAM = "https://iam.amazonaws.com/doc/2010-05-08/"


class Sts:
    """STS' hooks."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("sts", "GetCallerIdentity of an unknown access key is the account's root", "invented"),
        Behaviour("sts", "AssumeRole needs a role that exists and whose trust policy allows it", "documented"),
        Behaviour("sts", "a session that has ended is refused: ExpiredToken", "documented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world

    def reset(self) -> None:
        """Nothing to forget."""

    def before(self, call: Call) -> Answer | None:
        """Say who root is, and guard roles."""
        if call.operation == "GetCallerIdentity" and call.who.kind == "Root":
            who = [("Arn", call.who.arn), ("UserId", call.who.account), ("Account", call.who.account)]
            return xml_answer(_result(STS, call.operation, elements(who)))
        if call.operation == "AssumeRole":
            if self._world.knobs.enforce_policies:
                self._check_trust(call)
            if self._world.knobs.session_seconds:
                call.params["DurationSeconds"] = str(math.ceil(self._world.knobs.session_seconds))
                call.set_body(urlencode({"Action": call.operation, **call.params}).encode())
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Nothing to set right."""

    def _check_trust(self, call: Call) -> None:
        role = call.text("RoleArn")
        trust = self._world.moto.trust_policy(role)
        context = {"sts:ExternalId": call.text("ExternalId")} if call.text("ExternalId") else {}
        request = Request("sts:AssumeRole", "", call.who, context)
        try:
            # A trust policy has no Resource: it is about the role that it belongs to.
            said = judge(_with_resource(trust), request, resource_policy=True) if trust else None
        except MalformedError:
            said = None
        if said is None or said.denied or not (said.allowed or said.delegated):
            message = f"User: {call.who.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
            raise AwsError("AccessDenied", message, 403)


def expired(call: Call) -> AwsError:
    """What a service answers when the session behind a request has ended."""
    if call.service == "s3":
        return AwsError("ExpiredToken", "The provided token has expired.", 400)
    message = "The security token included in the request is expired"
    if call.protocol in {"query", "ec2"}:
        return AwsError("ExpiredToken", message, 403)
    return AwsError("ExpiredTokenException", message, 400)


def _with_resource(trust: str) -> str:
    document = json.loads(trust)
    found = document.get("Statement", [])
    statements = found if isinstance(found, list) else [found]
    return json.dumps(document | {"Statement": [{**one, "Resource": "*"} for one in statements]})


class Iam:
    """IAM's hooks: the policy simulator, which moto lacks."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("iam", "SimulatePrincipalPolicy by identity policies; ResourcePolicy for users only", "documented"),
        Behaviour("iam", "the simulator does not see key policies of KMS by itself", "documented"),
    )

    def __init__(self, world: World, access: Access) -> None:
        self._world = world
        self._access = access

    def reset(self) -> None:
        """Nothing to forget."""

    def before(self, call: Call) -> Answer | None:
        """The simulator is the lab's own."""
        return self._simulate(call) if call.operation == "SimulatePrincipalPolicy" else None

    def after(self, call: Call, answer: Answer) -> None:
        """Nothing to set right."""

    def _simulate(self, call: Call) -> Answer:
        source = call.text("PolicySourceArn")
        caller = self._world.moto.principal(source)
        if caller is None:
            raise AwsError("NoSuchEntity", f"The principal {source} cannot be found.", 404)
        policy = call.text("ResourcePolicy")
        if policy and caller.kind != "IAMUser":
            raise AwsError("InvalidInput", "Resource policies can be simulated for IAM users only.", 400)
        if policy:
            try:
                parse(policy, resource_policy=True)
            except MalformedError as error:
                raise AwsError("InvalidInput", f"The resource policy is malformed: {error}", 400) from error
        members = "".join(
            self._result_of(caller, action, resource, policy, _entries(call))
            for action in call.listed("ActionNames")
            for resource in call.listed("ResourceArns") or ["*"]
        )
        inner = f"<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>"
        return xml_answer(_result(IAM, call.operation, inner))

    def _result_of(self, caller: Caller, action: str, resource: str, policy: str, context: dict[str, str]) -> str:
        request = Request(action, "" if resource == "*" else resource, caller, context)
        said = self._access.identity(request)
        own = judge(policy, request, resource_policy=True) if policy else None
        denied = said.denied or (own is not None and own.denied)
        allowed = said.allowed or (own is not None and own.allowed)
        decision = "explicitDeny" if denied else "allowed" if allowed else "implicitDeny"
        pairs = [("EvalActionName", action), ("EvalResourceName", resource), ("EvalDecision", decision)]
        return f"<member>{elements(pairs)}<MatchedStatements/><MissingContextValues/></member>"


def _entries(call: Call) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.params.items():
        if name.startswith("ContextEntries.member.") and name.endswith(".ContextKeyName"):
            first = name.replace("ContextKeyName", "ContextKeyValues.member.1")
            found[str(value)] = call.text(first)
    return found


def _result(namespace: str, operation: str, inner: str) -> str:
    return (
        f'<{operation}Response xmlns="{escape(namespace)}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId></RequestId></ResponseMetadata></{operation}Response>"
    )
