"""IAM: the policy simulator, boundaries of users, and policies that are refused before they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .access import Access
from .policy import MalformedError, Request, judge, parse, with_resource
from .wire import Answer, AwsError, elements, xml_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call, Caller

STS = "https://sts.amazonaws.com/doc/2011-06-15/"
IAM = "https://iam.amazonaws.com/doc/2010-05-08/"


def expired(call: Call) -> AwsError:
    """What a service answers when the session behind a request has ended."""
    if call.service == "s3":
        return AwsError("ExpiredToken", "The provided token has expired.", 400)
    message = "The security token included in the request is expired"
    if call.protocol in {"query", "ec2"}:
        return AwsError("ExpiredToken", message, 403)
    return AwsError("ExpiredTokenException", message, 400)


TRUST = frozenset({"CreateRole", "UpdateAssumeRolePolicy"})
DOCUMENTS = {
    **dict.fromkeys(("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy"), "PolicyDocument"),
    **dict.fromkeys(("CreatePolicy", "CreatePolicyVersion", "UpdateAssumeRolePolicy"), "PolicyDocument"),
    "CreateRole": "AssumeRolePolicyDocument",
}
"""Which parameter of which call is a policy."""


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
        """The simulator and users' boundaries are the lab's own; no policy is stored that cannot be judged."""
        if call.operation in DOCUMENTS:
            self._check_document(call, DOCUMENTS[call.operation])
        if call.operation in {"PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"}:
            return self._set_boundary(call)
        return self._simulate(call) if call.operation == "SimulatePrincipalPolicy" else None

    def after(self, call: Call, answer: Answer) -> None:
        """A user may be made with a boundary."""
        if call.operation == "CreateUser" and answer.status < 300 and call.text("PermissionsBoundary"):
            self._world.moto.set_user_boundary(call.region, call.text("UserName"), call.text("PermissionsBoundary"))

    def _set_boundary(self, call: Call) -> Answer:
        moto, user, arn = self._world.moto, call.text("UserName"), call.text("PermissionsBoundary")
        if not moto.has_user(call.region, user):
            raise AwsError("NoSuchEntity", f"The user with name {user} cannot be found.", 404)
        if arn and moto.managed_policy(call.region, arn) is None:
            raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)
        moto.set_user_boundary(call.region, user, arn or None)
        return xml_answer(result(IAM, call.operation, ""))

    def _check_document(self, call: Call, parameter: str) -> None:
        text, trust = call.text(parameter), parameter == "AssumeRolePolicyDocument" or call.operation in TRUST
        try:
            statements = parse(with_resource(text) if trust else text, resource_policy=trust)
        except MalformedError as error:
            raise AwsError("MalformedPolicyDocument", f"Syntax errors in policy: {error}", 400) from error
        for kind, name in [pair for one in statements for pair in one.principals or ()]:
            if kind == "AWS" and not self._world.moto.knows_principal(call.region, name):
                raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{name}"', 400)

    def _simulate(self, call: Call) -> Answer:
        source = call.text("PolicySourceArn")
        caller = self._world.moto.principal(call.region, source)
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
        return xml_answer(result(IAM, call.operation, inner))

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


def result(namespace: str, operation: str, inner: str) -> str:
    """A query-protocol answer around what an operation gives back."""
    return (
        f'<{operation}Response xmlns="{escape(namespace)}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId></RequestId></ResponseMetadata></{operation}Response>"
    )
