"""The one place that touches moto, with the other ``moto…`` files: its dispatcher, and the state hooks read and set.

moto's internals move between versions; ``tests/lab/test_moto_contact.py`` says in plain sentences which of
the things used here is missing. Everything else in the lab speaks to the small protocols of ``shapes.py``.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, cast

from gameday.partitions import partition, partitions

from .call import Call, Caller, Session
from .client import ACCOUNT
from .motokeys import MotoKeys
from .motolaunch import Launches, watch
from .motostores import MotoStores
from .shapes import Bucket, Ec2Backend, Grant, Image, Instance, Key, KmsBackend, S3Object, Volume
from .wire import Answer, AwsError, error_answer

BACKENDS = ("kms", "s3", "ec2", "sts", "iam", "cloudtrail")
SETTINGS = {
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # saves 0.3 s; the lab lists an image of its own
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    "MOTO_ACCOUNT_ID": ACCOUNT,
    "TEST_SERVER_MODE": "true",
}

PEOPLE = "role/voclabs"
"""The role of whoever works with the lab: policies may name it though nobody has made it."""

log = logging.getLogger("gameday.lab")


NOTHING = '{"Version": "2012-10-17", "Statement": []}'
EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


class MotoWorld(MotoKeys, MotoStores):
    """moto, wrapped. Its state is global to the process: one lab a process."""

    def __init__(self) -> None:
        os.environ.update(SETTINGS)
        import moto.backends
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._get_backend = cast("Callable[[str], Any]", moto.backends.get_backend)
        self._app = _remembering(DomainDispatcherApplication)(create_backend_app)
        _teach_partitions()
        for name in BACKENDS:
            self._get_backend(name)
        self.sessions: dict[str, Session] = {}
        _teach_status_checks()
        self.launches = Launches()
        watch(self.launches)
        _judge_no_policies()

    def ask(self, call: Call) -> Answer:
        """Let moto answer a call, whatever the hooks have made of it."""
        environ = dict(call.environ)
        environ["wsgi.input"] = io.BytesIO(call.body)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(call.body))
        if call.virtual_host:  # moto guesses the bucket from hosts in a way of its own, and must mean the judged one
            raw = str(environ.get("RAW_URI", "/"))
            environ["RAW_URI"], environ["HTTP_HOST"] = f"/{call.bucket}{raw}", "127.0.0.1"
            environ["PATH_INFO"] = f"/{call.bucket}{environ['PATH_INFO']}"
        answer = Answer()

        def start(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Callable[[bytes], None]:
            answer.status, answer.headers = int(status.split(" ", 1)[0]), list(headers)
            return lambda _: None

        try:
            chunks = cast("Iterable[bytes]", self._app(environ, start))
            answer.body = b"".join(chunks)
            getattr(chunks, "close", lambda: None)()
        except Exception as error:  # moto's apps propagate whatever goes wrong in them
            log.warning("moto failed at %s %s", call.service, call.operation, exc_info=True)
            sentence = f"The lab has no {call.service} {call.operation} of this kind: moto failed at it ({error!r})."
            fault = AwsError("NotImplemented", sentence, 501)
            return error_answer(fault, call.protocol, call.method, call.request_id)
        return answer

    def reset(self) -> None:
        """Forget everything."""
        from moto.core.base_backend import BackendDict
        from moto.s3.models import s3_backends

        BackendDict.reset()
        self.sessions.clear()
        s3_backends.bucket_accounts.clear()
        self.launches.images.clear()
        self.launches.take()

    # --- KMS

    def kms(self, region: str) -> KmsBackend:
        """KMS' state in a Region."""
        return cast(KmsBackend, self._get_backend("kms")[ACCOUNT][region])

    def key_of_ciphertext(self, region: str, blob: bytes) -> Key | None:
        """The key that a ciphertext was made with."""
        from moto.kms.utils import _deserialize_ciphertext_blob

        try:
            key_id = _deserialize_ciphertext_blob(ciphertext_blob=blob).key_id
        except Exception:  # noqa: BLE001 (any bytes may come; what moto cannot read, moto refuses itself)
            return None
        return self.kms(region).keys.get(key_id)

    def add_grant(self, key: Key, name: str, grantee: str, operations: list[str], constraints: Any) -> Grant:
        """Put a grant on a key, as a service does."""
        return key.add_grant(name, grantee, operations, constraints, "")

    # --- S3

    def _of_partition(self, service: str, region: str) -> Any:
        """The state of a service that has one for all Regions of a partition."""
        return self._get_backend(service)[ACCOUNT][partition(region)]

    def bucket(self, region: str, name: str) -> Bucket | None:
        """A bucket by name, in the partition of a Region."""
        return cast("Bucket | None", self._of_partition("s3", region).buckets.get(name))

    def region_of_bucket(self, name: str) -> str:
        """Where a bucket is, in whichever partition; ``""`` if it is nowhere."""
        backends = self._get_backend("s3")[ACCOUNT].values()
        return next((str(one.buckets[name].region_name) for one in backends if name in one.buckets), "")

    def s3_object(self, region: str, bucket: str, key: str, version: str | None = None) -> S3Object | None:
        """The object that a read of ``bucket``/``key`` would return."""
        if self.bucket(region, bucket) is None:
            return None
        found = self._of_partition("s3", region).get_object(bucket, key, version_id=version)
        return cast("S3Object | None", found)

    def set_etag(self, found: S3Object, etag: str) -> None:
        """Give an object another ETag than the MD5 of its bytes."""
        cast("Any", found)._etag = etag

    def under_customer_key(self, found: S3Object, md5: str) -> None:
        """Note that an object is encrypted with a customer's own key, and with none of KMS."""
        found.encryption = found.kms_key_id = found.bucket_key_enabled = None
        found.__dict__["lab_customer_key"] = md5

    def customer_key(self, found: S3Object) -> str:
        """The MD5 of the customer's key that an object is encrypted with, or ""."""
        return str(found.__dict__.get("lab_customer_key", ""))

    def grants_to_others(self, region: str, bucket: str) -> bool:
        """Whether a bucket's own ACL gives something to anybody but its owner."""
        from moto.s3.models import OWNER

        found = cast("Any", self.bucket(region, bucket))
        grants = found.acl.grants if found is not None and found.acl is not None else []
        return any(who.uri or who.id != OWNER for grant in grants for who in grant.grantees)

    def public_write(self, region: str, bucket: str) -> bool:
        """Whether a bucket's ACL lets anybody write."""
        found = cast("Any", self.bucket(region, bucket))
        grants = found.acl.grants if found is not None and found.acl is not None else []
        return any(
            {"WRITE", "FULL_CONTROL"} & set(grant.permissions) and who.uri.endswith("/AllUsers")
            for grant in grants
            for who in grant.grantees
        )

    def put_object(self, region: str, bucket: str, key: str, body: bytes) -> None:
        """Write an object as a service does."""
        self._of_partition("s3", region).put_object(bucket, key, body)

    def block_everything(self, bucket: Bucket) -> None:
        """Give a bucket the public access block that AWS gives to new ones."""
        from moto.s3.models import PublicAccessBlock

        bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")

    def account_block(self, region: str) -> Any:
        """The account's public access block, or None."""
        return self._of_partition("s3control", region).public_access_block

    # --- EC2

    def ec2(self, region: str) -> Ec2Backend:
        """EC2's state in a Region."""
        return cast(Ec2Backend, self._get_backend("ec2")[ACCOUNT][region])

    def instance(self, region: str, instance_id: str) -> Instance | None:
        """An instance by id."""
        return self.ec2(region).get_instance_by_id(instance_id)

    def volume(self, region: str, volume_id: str) -> Volume | None:
        """A volume by id."""
        return self.ec2(region).volumes.get(volume_id)

    def set_reason(self, instance: Instance, code: str, message: str, transition: str = "") -> None:
        """Say why an instance is in its state."""
        from moto.ec2.models.instances import StateReason

        instance.state_reason = StateReason(message, code)
        instance._reason = transition

    def add_image(self, region: str, **about: Any) -> Image:
        """Let DescribeImages list an image."""
        from moto.ec2.models.amis import Ami

        backend = self.ec2(region)
        image = cast(Image, Ami(backend, **about))
        backend.amis[image.id] = image
        return image

    # --- CloudTrail and Scheduler

    def trails(self) -> list[Any]:
        """All trails of all Regions."""
        backends = self._get_backend("cloudtrail")[ACCOUNT]
        return [trail for backend in backends.values() for trail in backend.trails.values()]

    def delete_schedule(self, region: str, group: str, name: str) -> None:
        """A completed schedule goes away."""
        schedules = self._get_backend("scheduler")[ACCOUNT][region].schedule_groups[group].schedules
        schedules.pop(name, None)

    # --- who calls

    def caller(self, region: str, access_key: str) -> Caller:
        """Whoever has this access key; an unknown key is the account's root, as moto's default caller is."""
        session = self.sessions.get(access_key)
        if session is not None:
            return session.caller
        role = self._of_partition("sts", region).get_assumed_role_from_access_key(access_key)
        if role is not None:
            return _role_caller(role, access_key)
        iam = self.iam(region)
        user = iam.get_user_from_access_key_id(access_key) if access_key else None
        if user is not None:
            caller = Caller("IAMUser", user.arn, ACCOUNT, user.id, access_key, user.name)
            caller.tags = self.tags_of(caller)
            return caller
        return Caller("Root", f"arn:{partition(region)}:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, access_key)

    def secret_of(self, region: str, access_key: str) -> str | None:
        """The secret of an access key that IAM or STS made here."""
        session = self.sessions.get(access_key)
        if session is not None:
            return session.secret
        role = self._of_partition("sts", region).get_assumed_role_from_access_key(access_key)
        if role is not None:
            return str(role.secret_access_key)
        iam = self.iam(region)
        user = iam.get_user_from_access_key_id(access_key)
        keys = user.access_keys if user is not None else []
        return next((str(k.secret_access_key) for k in keys if k.access_key_id == access_key), None)

    def is_elsewhere(self, region: str, access_key: str) -> bool:
        """Whether an access key is good in another partition than the Region's, and so not in it."""
        here, session = partition(region), self.sessions.get(access_key)
        if session is not None:
            return session.caller.partition != here
        others = [iam for name, iam in self._get_backend("iam")[ACCOUNT].items() if name != here]
        return any(iam.get_user_from_access_key_id(access_key) is not None for iam in others)

    def identity_policies(self, caller: Caller) -> list[str]:
        """The documents of all policies that a user, his groups, or a role has."""
        iam = self._iam_of(caller)
        holder = self._holder(caller)
        if holder is None:
            return [EVERYTHING] if caller.kind == "FederatedUser" else []
        holders = [holder] if caller.kind == "AssumedRole" else [holder, *iam.get_groups_for_user(holder.name)]
        documents: list[str] = []
        for holder in holders:
            inline = holder.policies.values() if isinstance(holder.policies, dict) else []
            documents += [text if isinstance(text, str) else json.dumps(text) for text in inline]
            for policy in holder.managed_policies.values():
                documents += [str(version.document) for version in policy.versions if version.is_default]
        return documents

    def session_policies(self, caller: Caller) -> tuple[str, ...]:
        """The policies given with a session, each of which narrows it."""
        session = self.sessions.get(caller.access_key)
        return session.policies if session is not None else ()

    def boundary(self, caller: Caller) -> str | None:
        """The document of a user's or role's permissions boundary; one that is gone allows nothing."""
        holder = self._holder(caller)
        arn = getattr(holder, "permissions_boundary_arn", None) or getattr(holder, "lab_boundary", None)
        return _document(self._iam_of(caller), arn) or NOTHING if arn else None

    def has_user(self, region: str, name: str) -> bool:
        """Whether IAM has such a user."""
        return any(user.name == name for user in self.iam(region).users.values())

    def set_user_boundary(self, region: str, user: str, arn: str | None) -> None:
        """Give a user a permissions boundary, or take it away."""
        self.iam(region).get_user(user).lab_boundary = arn

    def managed_policy(self, region: str, arn: str) -> str | None:
        """A managed policy's document."""
        return _document(self.iam(region), arn)

    def _iam_of(self, caller: Caller) -> Any:
        """IAM's state in the partition that a caller is at home in."""
        return self._get_backend("iam")[ACCOUNT][caller.partition]

    def _holder(self, caller: Caller) -> Any:
        iam = self._iam_of(caller)
        if caller.kind == "AssumedRole":
            return next((role for role in iam.roles.values() if role.arn == caller.role_arn), None)
        session = self.sessions.get(caller.access_key)
        name = session.owner if session is not None and session.owner else caller.name
        return next((user for user in iam.users.values() if user.name == name), None)

    def tags_of(self, caller: Caller) -> dict[str, str]:
        """The tags of a user or role."""
        tags = getattr(self._holder(caller), "tags", None) or {}
        if isinstance(tags, dict):
            return {name: str(tag["Value"] if isinstance(tag, dict) else tag) for name, tag in tags.items()}
        return {tag["Key"]: tag["Value"] for tag in tags}

    def note_role_session(self, region: str, access_key: str, policies: tuple[str, ...], tags: dict[str, str]) -> None:
        """Keep what AssumeRole was given beside the role."""
        role = self._of_partition("sts", region).get_assumed_role_from_access_key(access_key)
        caller = _role_caller(role, access_key)
        caller.since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        caller.tags = self.tags_of(caller) | tags
        self.sessions[access_key] = Session(caller, role.secret_access_key, role.session_token, policies)

    def principal(self, region: str, arn: str) -> Caller | None:
        """The user or role of an ARN."""
        for user in self.iam(region).users.values():
            if user.arn == arn:
                return Caller("IAMUser", arn, ACCOUNT, user.id, name=user.name)
        for role in self.iam(region).roles.values():
            if role.arn == arn:
                return Caller("AssumedRole", arn, ACCOUNT, role.id, name=role.name, role_arn=arn)
        return None

    def knows_principal(self, region: str, name: str) -> bool:
        """Whether a policy of a Region may name it: another account's cannot be looked up, and are taken.

        Principals of another partition are nobody (IAM User Guide, "Principal").
        """
        parts = name.split(":", 5)
        if name == "*" or (len(name) == 12 and name.isdigit()):
            return True
        if len(parts) < 6 or parts[:2] != ["arn", partition(region)] or parts[2] not in {"iam", "sts"}:
            return False
        if parts[4] != ACCOUNT or parts[5] in {"root", PEOPLE}:
            return True
        if parts[2] == "sts":
            role = parts[5].split("/")[1] if parts[5].startswith("assumed-role/") else ""
            return any(known.name == role for known in self.iam(region).roles.values())
        return self.principal(region, name) is not None

    def trust_policy(self, region: str, role_arn: str) -> str | None:
        """A role's trust policy; None when there is no such role."""
        found = [role for role in self.iam(region).roles.values() if role.arn == role_arn]
        document = found[0].assume_role_policy_document if found else None
        return document if document is None or isinstance(document, str) else json.dumps(document)

    def iam(self, region: str) -> Any:
        """IAM's state in the partition of a Region."""
        return self._of_partition("iam", region)


def _role_caller(role: Any, access_key: str) -> Caller:
    since = role.expiration.strftime("%Y-%m-%dT%H:%M:%SZ")
    name = str(role.role_arn).split("/")[-1]
    role_id = str(role.user_id).split(":")[0]
    return Caller(
        "AssumedRole",
        role.arn,
        ACCOUNT,
        role.user_id,
        access_key,
        name,
        role_arn=role.role_arn,
        role_id=role_id,
        since=since,
        until=role.expiration.replace(tzinfo=UTC),
    )


def _document(iam: Any, arn: str) -> str | None:
    """The default version of a managed policy."""
    policy = iam.managed_policies.get(arn)
    versions = [] if policy is None else policy.versions
    return next((str(version.document) for version in versions if version.is_default), None)


def _teach_partitions() -> None:
    """Moto's own list of partitions lacks some of botocore's; it must choose a call's as the lab does."""
    from moto.utilities import utils

    prefixes = {region: one.id for one in partitions() for region in one.regions if one.id not in utils.PARTITION_NAMES}
    known = {**prefixes, **utils.REGION_PREFIX_TO_PARTITION}  # the first that fits counts
    utils.REGION_PREFIX_TO_PARTITION.clear()
    utils.REGION_PREFIX_TO_PARTITION.update(known)
    utils.PARTITION_NAMES += [name for name in dict.fromkeys(prefixes.values()) if name not in utils.PARTITION_NAMES]
    utils.ARN_PARTITION_REGEX = r"^arn:(" + "|".join(sorted(utils.PARTITION_NAMES)) + ")"


def _remembering(dispatcher: type[Any]) -> type[Any]:
    """Moto lists 175 packages from disk on every request; remember what it found."""
    known: dict[str | None, Any] = {}

    class Remembering(dispatcher):  # type: ignore[misc]  # moto is untyped
        def get_backend_for_host(self, host: str | None) -> Any:
            if host not in known:
                known[host] = super().get_backend_for_host(host)
            return known[host]

    return Remembering


def _judge_no_policies() -> None:
    """The lab has judged a call before moto sees it; moto's second opinion knows no conditions and no principals."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    FakeBucket.get_permission = lambda self, action, resource: PermissionResult.PERMITTED


def _teach_status_checks() -> None:
    """Moto's status checks are ok at once; let the lab say when (it sets ``lab_checks`` on the instance)."""
    from moto.ec2.models.instances import Instance as MotoInstance

    def status(self: Any) -> dict[str, Any]:
        if self.state_code != 16:
            return {"Status": "not-applicable"}
        state = getattr(self, "lab_checks", "ok")
        passed = "passed" if state == "ok" else "initializing"
        return {"Details": [{"Name": "reachability", "Status": passed}], "Status": state}

    MotoInstance.instance_status = property(status)
    MotoInstance.system_status = property(status)


def request_handler() -> type[Any]:
    """Moto's request handler, which keeps the underscores in S3 metadata names."""
    os.environ.update(SETTINGS)
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    return cast("type[Any]", MotoRequestHandler)
