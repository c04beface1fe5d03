"""STS: roles are assumed by their trust policy and the caller's own; sessions are narrowed by what they are given."""

from __future__ import annotations

import json
import math
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .access import Access, context_of
from .call import Session
from .identity import STS, result
from .policy import MalformedError, Request, judge, parse, with_resource
from .wire import Answer, AwsError, elements, xml_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+")
_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Sts:
    """STS' hooks."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("sts", "GetCallerIdentity of an unknown access key is the account's root", "invented"),
        Behaviour(
            "sts", "AssumeRole: the trust policy with its conditions, and the caller's own policies", "documented"
        ),
        Behaviour("sts", "session tags need sts:TagSession, and are aws:PrincipalTag of the session", "documented"),
        Behaviour("sts", "GetSessionToken, and GetFederationToken, which a policy must allow something", "documented"),
        Behaviour("sts", "a session that has ended is refused: ExpiredToken", "documented"),
    )

    def __init__(self, world: World, access: Access) -> None:
        self._world = world
        self._access = access

    def reset(self) -> None:
        """Nothing to forget."""

    def before(self, call: Call) -> Answer | None:
        """Say who root is, guard roles, and give out sessions."""
        if call.operation == "GetCallerIdentity" and (call.who.kind in {"Root", "FederatedUser"} or call.who.until):
            return self._identity(call)
        if call.operation in {"GetSessionToken", "GetFederationToken"}:
            return self._token(call)
        if call.operation == "AssumeRole":
            call.notes["policies"] = self._policies(call)
            if self._world.knobs.enforce_policies:
                self._check_trust(call)
            if self._world.knobs.session_seconds:
                call.params["DurationSeconds"] = str(math.ceil(self._world.knobs.session_seconds))
                call.set_body(urlencode({"Action": call.operation, **call.params}).encode())
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Keep a session's tags and policies."""
        found = _KEY.search(answer.body)
        if call.operation == "AssumeRole" and answer.status < 300 and found:
            self._world.moto.note_role_session(call.region, found[1].decode(), call.notes["policies"], _tags(call))

    def _identity(self, call: Call) -> Answer:
        who = call.who
        user = who.account if who.kind == "Root" else who.principal_id
        return xml_answer(
            result(STS, call.operation, elements([("Arn", who.arn), ("UserId", user), ("Account", who.account)]))
        )

    def _token(self, call: Call) -> Answer:
        who = call.who
        if who.until is not None:
            raise AwsError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)
        policies = self._policies(call)
        lasts = int(call.text("DurationSeconds") or 43_200)
        until = datetime.now(UTC) + timedelta(seconds=self._world.knobs.session_seconds or lasts)
        key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), secrets.token_urlsafe(96)
        caller = type(who)(who.kind, who.arn, who.account, who.principal_id, key, who.name)
        extra, owner = "", who.name
        if call.operation == "GetFederationToken":
            name = call.text("Name")
            caller.kind, caller.name = "FederatedUser", name
            caller.arn = f"{who.arn.split(':iam:')[0]}:sts::{who.account}:federated-user/{name}"
            caller.principal_id = f"{who.account}:{name}"
            told = elements([("FederatedUserId", caller.principal_id), ("Arn", caller.arn)])
            extra = f"<FederatedUser>{told}</FederatedUser><PackedPolicySize>6</PackedPolicySize>"
            policies = policies or (json.dumps({"Version": "2012-10-17", "Statement": []}),)
        caller.since, caller.until = datetime.now(UTC).strftime(STAMP), until
        caller.tags = self._world.moto.tags_of(who) | _tags(call)
        self._world.moto.sessions[key] = Session(caller, secret, token, policies, owner)
        given = [("AccessKeyId", key), ("SecretAccessKey", secret), ("SessionToken", token)]
        inner = elements([*given, ("Expiration", until.strftime(STAMP))])
        return xml_answer(result(STS, call.operation, f"<Credentials>{inner}</Credentials>{extra}"))

    def _policies(self, call: Call) -> tuple[str, ...]:
        """The session policies that a call gives: its own, and managed ones."""
        own = [call.text("Policy")] if call.text("Policy") else []
        for text in own:
            try:
                parse(text, resource_policy=False)
            except MalformedError as error:
                raise AwsError(
                    "MalformedPolicyDocument", f"The policy is not in the valid JSON format: {error}", 400
                ) from error
        arns = [v for k, v in call.params.items() if re.fullmatch(r"PolicyArns\.member\.\d+\.arn", k)]
        for arn in arns:
            managed = self._world.moto.managed_policy(call.region, str(arn))
            if managed is None:
                raise AwsError("MalformedPolicyDocument", f"The managed policy {arn} does not exist", 400)
            own.append(managed)
        return tuple(own)

    def _check_trust(self, call: Call) -> None:
        role = call.text("RoleArn")
        if not ROLE.fullmatch(role):
            raise AwsError("ValidationError", f"{role} is invalid", 400)
        tags = _tags(call)
        context = context_of(call) | {f"aws:RequestTag/{name}": value for name, value in tags.items()}
        given = {"sts:ExternalId": "ExternalId", "sts:RoleSessionName": "RoleSessionName"}
        given["sts:SourceIdentity"] = "SourceIdentity"
        context |= {name: call.text(param) for name, param in given.items() if call.text(param)}
        context |= {"aws:TagKeys": "\n".join(tags)} if tags else {}
        trust = self._world.moto.trust_policy(call.region, role)
        actions = ["sts:AssumeRole", *(["sts:TagSession"] if tags else [])]
        actions += ["sts:SetSourceIdentity"] if call.text("SourceIdentity") else []
        for action in actions:
            if trust is None or not self._trusted(call, trust, Request(action, role, call.who, context)):
                message = f"User: {call.who.arn} is not authorized to perform: {action} on resource: {role}"
                raise AwsError("AccessDenied", message, 403)

    def _trusted(self, call: Call, trust: str, request: Request) -> bool:
        try:
            # A trust policy has no Resource: it is about the role that it belongs to.
            said = judge(with_resource(trust), request, resource_policy=True)
        except MalformedError:
            return False
        own = self._access.identity(request)
        return not (said.denied or own.denied) and (said.allowed or (said.delegated and own.allowed))


def _tags(call: Call) -> dict[str, str]:
    """The session tags of a call."""
    return {
        str(value): call.text(f"{name[:-3]}Value")
        for name, value in call.params.items()
        if re.fullmatch(r"Tags\.member\.\d+\.Key", name)
    }
