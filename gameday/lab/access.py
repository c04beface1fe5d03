"""Who may do what: identity, bucket and key policies, put together as AWS does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gameday.partitions import dns_suffix, partition

from .policy import MalformedError, Request, Verdict, judge
from .s3names import s3_action
from .shapes import Key
from .wire import AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call, Caller

S3_HEADERS = (
    *("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-acl"),
    *("x-amz-storage-class", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-metadata-directive"),
    *("x-amz-server-side-encryption-customer-algorithm", "x-amz-grant-read", "x-amz-grant-write"),
    *("x-amz-grant-read-acp", "x-amz-grant-write-acp", "x-amz-grant-full-control"),
)
ALWAYS = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})


_TYPES = {"Root": "Account", "IAMUser": "User", "FederatedUser": "FederatedUser"}


class Access:
    """The account's answer to whether a caller may do something."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("iam", "identity policies are enforced for users and assumed roles", "documented"),
        Behaviour("iam", "key policies are mandatory and bind the account's root too", "documented"),
        Behaviour("iam", "kms:ViaService, kms:CallerAccount, kms:EncryptionContext:… are filled in", "documented"),
        Behaviour("iam", "Signature Version 4 is verified for keys that IAM or STS made, and for test", "documented"),
        Behaviour("iam", "a proxy before the lab may rewrite what test signed", "invented"),
        Behaviour("iam", "any other access key is the account's root, or refused (a knob)", "invented"),
        Behaviour("iam", "root may assume roles; AWS refuses that", "invented"),
        Behaviour("iam", "aws:SecureTransport is true although the lab speaks HTTP", "invented"),
        Behaviour("iam", "outside kms, s3 and instances, Resource in identity policies matches anything", "invented"),
        Behaviour("iam", "permissions boundaries and session policies narrow what is allowed", "documented"),
        Behaviour("iam", "every condition operator and policy variable; what cannot be read is refused", "documented"),
        Behaviour("iam", "organisation policies are not looked at", "invented"),
        Behaviour("iam", "ARNs, endpoints and principals are of the Region's partition", "documented"),
        Behaviour("iam", "services are called …amazonaws.com in every partition's trail and trust", "inferred"),
        Behaviour("kms", "a grant lets its grantee do what it lists; its constraints are not looked at", "invented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._policies: dict[str, str] = {}

    def reset(self) -> None:
        """Forget what was seen."""
        self._policies.clear()

    # --- the caller's own call

    def check(self, call: Call, key: Key | None = None) -> None:
        """Refuse a call that its caller may not make; S3's anonymous callers are ``s3doors``' affair."""
        if not self._world.knobs.enforce_policies or not call.operation:
            return
        caller = call.who
        if call.service == "kms":
            self._check_kms(call, key)
        elif call.service != "s3" and caller.kind not in {"Root", "Anonymous"}:
            action = _action(call.service, call.operation)
            if call.service == "sts" and call.operation == "AssumeRole":
                return  # the role's trust policy decides: see ``sts``
            if action in ALWAYS or "/" in action:
                return
            if not self.identity(Request(action, _resource(call), caller, context_of(call))).allowed:
                raise _unauthorized(call, action, _resource(call))

    def _check_kms(self, call: Call, key: Key | None) -> None:
        action = f"kms:{call.operation}"
        if key is None:
            request = Request(action, "", call.who, context_of(call))
            if call.who.kind != "Root" and not self.identity(request).allowed:
                raise _unauthorized(call, action, "*")
            return
        refusal = self.kms(call, key, call.operation)
        if refusal:
            raise refusal

    # --- what a service does in the caller's name

    def kms(
        self, call: Call, key: Key, operation: str, via: str = "", context: dict[str, str] | None = None
    ) -> AwsError | None:
        """Why the caller may not use this key so, directly or through a service; None when he may."""
        if not self._world.knobs.enforce_policies or key.key_manager == "AWS":
            return None
        caller = call.who
        about = context_of(call) | {"kms:CallerAccount": caller.account}
        encryption = context if context is not None else call.params.get("EncryptionContext") or {}
        about |= {f"kms:EncryptionContext:{name}": str(value) for name, value in encryption.items()}
        if via:
            about["kms:ViaService"] = f"{via}.{call.region}.{dns_suffix(call.region)}"
            about["kms:GrantIsForAWSResource"] = "true"
        request = Request(f"kms:{operation}", key.arn, caller, about)
        said = self._key_policy(key, request)
        own = self.identity(request)
        if said.denied or own.denied:
            return _no(caller, request, "with an explicit deny in a policy")
        if said.allowed or (said.delegated and own.allowed) or _granted(key, caller, operation):
            return None
        return _no(caller, request, f"because no identity-based policy allows the {request.action} action")

    def _key_policy(self, key: Key, request: Request) -> Verdict:
        seen = self._policies.get(key.arn, key.policy)
        try:
            return judge(seen, request, resource_policy=True)
        except MalformedError:
            return Verdict(allowed=request.caller.kind == "Root")

    def policy_changed(self, key: Key, old: str) -> None:
        """A key's policy changed from ``old``: others notice after the propagation delay."""
        delay, new = self._world.knobs.kms_propagation, key.policy
        if delay <= 0:
            self._policies.pop(key.arn, None)
            return
        self._policies.setdefault(key.arn, old)

        def noticed() -> None:
            self._policies[key.arn] = new

        self._world.agenda.after(delay, noticed)

    # --- S3

    def s3(self, call: Call, policy: str | None) -> AwsError | None:
        """Why a signed caller may not make this S3 call; None when he may."""
        action = s3_action(call.operation, bool(call.query.get("versionId")))
        resource = s3_arn(call.region, call.bucket, call.key) if call.bucket else ""
        return self._s3(call, policy, action, resource)

    def may_list(self, call: Call, policy: str | None) -> bool:
        """Whether a signed caller may list the call's bucket, and so learn what is missing in it."""
        return self._s3(call, policy, "s3:ListBucket", s3_arn(call.region, call.bucket)) is None

    def _s3(self, call: Call, policy: str | None, action: str, resource: str) -> AwsError | None:
        if not self._world.knobs.enforce_policies:
            return None
        request = Request(action, resource, call.who, context_of(call))
        said = judge(policy, request, resource_policy=True) if policy else Verdict()
        rescue = call.who.kind == "Root" and call.operation.endswith("BucketPolicy")
        own = self.identity(request)
        if (said.denied and not rescue) or own.denied:
            return _no_s3(call.who, request, "with an explicit deny in a resource-based policy")
        if own.allowed or said.allowed:
            return None
        return _no_s3(call.who, request, f"because no identity-based policy allows the {action} action")

    # --- identity policies

    def identity(self, request: Request) -> Verdict:
        """What the caller's own policies say; root may do anything that is not denied elsewhere."""
        caller = request.caller
        if caller.kind == "Root":
            return Verdict(allowed=True)
        if caller.kind == "Anonymous":
            return Verdict()
        moto = self._world.moto
        said = [_judge(text, request) for text in moto.identity_policies(caller)]
        denied, allowed = any(one.denied for one in said), any(one.allowed for one in said)
        for limit in (*moto.session_policies(caller), moto.boundary(caller)):
            if limit is not None:
                one = _judge(limit, request)
                denied, allowed = denied or one.denied, allowed and one.allowed
        return Verdict(denied, allowed and not denied)


def _judge(text: str, request: Request) -> Verdict:
    """What an identity policy says; one that cannot be read might deny, and so it does."""
    try:
        return judge(text, request, resource_policy=False)
    except MalformedError:
        return Verdict(denied=True)


def _granted(key: Key, caller: Caller, operation: str) -> bool:
    names = {caller.arn, caller.role_arn} - {""}
    grants = list(key.grants.values())
    return any(grant.grantee_principal in names and operation in grant.operations for grant in grants)


def context_of(call: Call) -> dict[str, str]:
    """The condition keys that every request has."""
    caller = call.who
    return {
        "aws:PrincipalArn": caller.role_arn or caller.arn,
        "aws:PrincipalAccount": caller.account,
        "aws:SourceIp": call.source_ip,
        "aws:UserAgent": call.user_agent,
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": call.region,
        "aws:CurrentTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "aws:EpochTime": str(int(time.time())),
        "aws:ViaAWSService": "false",
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": _TYPES.get(caller.kind, caller.kind),
        **({"aws:userid": caller.principal_id} if caller.principal_id else {}),
        **({"aws:Referer": call.header("referer")} if call.header("referer") else {}),
        **({"aws:username": caller.name} if caller.kind == "IAMUser" else {}),
        **({"aws:TokenIssueTime": caller.since} if caller.until is not None and caller.since else {}),
        **{f"aws:PrincipalTag/{name}": value for name, value in caller.tags.items()},
        **(s3_context(call) if call.service == "s3" else {}),
    }


def s3_context(call: Call) -> dict[str, str]:
    """S3's own condition keys, as far as the request gives them (Service Authorization Reference, Amazon S3)."""
    headers = {f"s3:{name}": call.header(name) for name in S3_HEADERS}
    query = {f"s3:{name}": call.query.get(name, "") for name in ("prefix", "delimiter", "max-keys")}
    signed = {"header": "REST-HEADER", "query-v4": "REST-QUERY-STRING", "query-v2": "REST-QUERY-STRING"}
    version = {"header": "AWS4-HMAC-SHA256", "query-v4": "AWS4-HMAC-SHA256", "query-v2": "AWS", "header-v2": "AWS"}
    said = {
        "s3:TlsVersion": "1.3",
        "s3:authType": signed.get(call.signed, ""),
        "s3:signatureversion": version.get(call.signed, ""),
    }
    said |= {"s3:VersionId": call.query.get("versionId", ""), "s3:ResourceAccount": call.who.account}
    return {name: value for name, value in (headers | query | said).items() if value}


def s3_arn(region: str, bucket: str, key: str = "") -> str:
    """A bucket's ARN, or an object's, in the partition of a Region."""
    return f"arn:{partition(region)}:s3:::{bucket}" + (f"/{key}" if key else "")


def _resource(call: Call) -> str:
    ids = call.listed("InstanceId") if call.service == "ec2" else []
    return f"arn:{partition(call.region)}:ec2:{call.region}:{call.who.account}:instance/{ids[0]}" if ids else ""


def _sentence(caller: Caller, action: str, resource: str, why: str) -> str:
    who = f"User: {caller.arn}" if caller.arn else "User: anonymous"
    return f"{who} is not authorized to perform: {action} on resource: {resource or '*'} {why}"


def _no(caller: Caller, request: Request, why: str) -> AwsError:
    return AwsError("AccessDeniedException", _sentence(caller, request.action, request.resource, why), 400)


def _no_s3(caller: Caller, request: Request, why: str) -> AwsError:
    return AwsError("AccessDenied", _sentence(caller, request.action, f'"{request.resource}"', why), 403)


def _unauthorized(call: Call, action: str, resource: str) -> AwsError:
    why = f"because no identity-based policy allows the {action} action"
    message = _sentence(call.who, action, resource, why)
    if call.protocol == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {message}", 403)
    if call.protocol == "query":
        return AwsError("AccessDenied", message, 403)
    return AwsError("AccessDeniedException", message, 400)


def _action(service: str, operation: str) -> str:
    """IAM's name of a call; S3 Control's are S3's, with the account in them."""
    if service != "s3control":
        return f"{service}:{operation}"
    return f"s3:{operation.replace('AccountPublic', 'Public').replace('PublicAccessBlock', 'AccountPublicAccessBlock')}"
