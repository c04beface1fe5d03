"""S3's doors: who gets in at all, and what opens or closes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import postform, presign
from .access import Access, s3_arn
from .policy import ALLOW, MalformedError, Request, is_public, judge, parse
from .s3 import KMS_KINDS
from .s3names import s3_action
from .shapes import Bucket
from .wire import Answer, AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

SIGV4 = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4."
SWITCHES = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")
ANYBODY = ("public-read", "public-read-write", "authenticated-read")
GROUPS = (b"groups/global/AllUsers", b"groups/global/AuthenticatedUsers")
OWN_ACLS = ("", "bucket-owner-full-control")
ACL_HEADERS = ("read", "write", "read-acp", "write-acp", "full-control")


class S3Doors:
    """S3's hooks about access; they come before those about keys."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("s3", "new buckets: Block Public Access on, BucketOwnerEnforced, AES256", "documented"),
        Behaviour("s3", "anonymous GET without a grant or behind Block Public Access: 403", "recorded"),
        Behaviour("s3", "anonymous GET of a public SSE-KMS object: 400 InvalidArgument", "recorded"),
        Behaviour("s3", "ACLs under BucketOwnerEnforced: 400 AccessControlListNotSupported", "recorded"),
        Behaviour("s3", "a missing object: 404 for who may list the bucket, 403 for all others", "documented"),
        Behaviour("s3", "public policy or ACL under Block Public Access: 403 AccessDenied", "documented"),
        Behaviour("s3", "an Allow of a bucket policy for nobody who exists: 400 MalformedPolicy", "documented"),
        Behaviour("s3", "a Deny of a bucket policy may name somebody who is gone", "invented"),
        Behaviour("s3", "POST Object: its policy is its signature; then as PutObject; 204, 201 or 303", "recorded"),
        Behaviour("s3", "presigned URLs: expired 403, tampered 403; SigV2 on SSE-KMS 400", "documented"),
    )

    def __init__(self, world: World, access: Access) -> None:
        self._world = world
        self._access = access

    def reset(self) -> None:
        """Nothing to forget."""

    def before(self, call: Call) -> Answer | None:
        """Let the caller in, or not; then see whether he may change the doors."""
        bucket = self._world.moto.bucket(call.region, call.bucket) if call.bucket else None
        self._who(call)
        if call.signed:
            refusal = self._access.s3(call, _policy(bucket))
            if refusal is not None and (bucket is not None or call.operation in {"ListBuckets", "CreateBucket"}):
                raise refusal
            if bucket is not None and self._hides(call, bucket):
                raise AwsError("AccessDenied", "Access Denied", 403)
        elif bucket is not None:
            self._anonymous(call, bucket)
        elif not call.bucket:
            raise AwsError("AccessDenied", "Access Denied", 403)
        if call.signed in {"query-v2", "header-v2", "post-v2"} and self._needs_sigv4(call):
            raise AwsError("InvalidArgument", SIGV4, 400)
        if call.signed != "header":
            # moto has its own, simpler idea of who is let in; the lab has decided already.
            scope = f"lab/20260101/{call.region}/s3/aws4_request"
            call.set_header("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}")
        if bucket is not None:
            self._check_change(call, bucket)
        return None

    def _who(self, call: Call) -> None:
        """Hold a form or a link to its signature."""
        if call.operation == "PostObject":
            postform.carry(call, self._world.moto)
        if call.signed.startswith("query"):
            presign.check(call, self._world.moto)

    def after(self, call: Call, answer: Answer) -> None:
        """Close the doors of new buckets."""
        if call.operation == "CreateBucket" and answer.status < 400:
            bucket = self._world.moto.bucket(call.region, call.bucket)
            if bucket is not None and bucket.ownership_rule is None:
                bucket.ownership_rule = "BucketOwnerEnforced"
            if bucket is not None and "lab_made" not in bucket.__dict__:
                self._world.moto.block_everything(bucket)
                bucket.__dict__["lab_made"] = True
        elif call.operation == "GetBucketPolicyStatus" and answer.status < 400:
            bucket = self._world.moto.bucket(call.region, call.bucket)
            public = str(is_public(_policy(bucket) or '{"Statement": []}')).lower()
            answer.body = f"<PolicyStatus><IsPublic>{public}</IsPublic></PolicyStatus>".encode()

    def _hides(self, call: Call, bucket: Bucket) -> bool:
        """Whether an object is missing and the caller may not know it: only who may list is told 404."""
        reads = call.operation in {"GetObject", "HeadObject"} and self._object(call) is None
        return reads and not self._access.may_list(call, _policy(bucket))

    # --- anonymous callers

    def _anonymous(self, call: Call, bucket: Bucket) -> None:
        if not self._open_to_all(call, bucket):
            raise AwsError("AccessDenied", "Access Denied", 403)
        if call.operation == "GetObject" and self._object(call) is None:
            raise AwsError("AccessDenied", "Access Denied", 403)  # only who may list learns that it is missing
        if self._needs_sigv4(call):
            raise AwsError("InvalidArgument", SIGV4, 400)

    def _open_to_all(self, call: Call, bucket: Bucket) -> bool:
        resource = s3_arn(call.region, call.bucket, call.key)
        context = {
            "aws:SourceIp": call.source_ip,
            "aws:UserAgent": call.user_agent,
            "aws:SecureTransport": "true",
        }
        action = s3_action(call.operation, bool(call.query.get("versionId")))
        request = Request(action, resource, call.who, context)
        policy = _policy(bucket)
        said = judge(policy, request, resource_policy=True) if policy else None
        if said is not None and said.denied:
            return False
        if said is not None and said.allowed and not (self._blocks(call, bucket, "restrict_public_buckets")):
            return True
        if _ownership(bucket) == "BucketOwnerEnforced" or self._blocks(call, bucket, "ignore_public_acls"):
            return False
        if call.operation in {"GetObject", "HeadObject"}:
            acl = getattr(self._object(call), "acl", None)
            return bool(acl is not None and acl.public_read)
        if call.operation == "PutObject":
            return self._world.moto.public_write(call.region, call.bucket)
        if call.operation in {"ListObjects", "ListObjectsV2", "HeadBucket"}:
            return bool(bucket.acl is not None and bucket.acl.public_read)
        return False

    def _object(self, call: Call) -> Any:
        return self._world.moto.s3_object(call.region, call.bucket, call.key, call.query.get("versionId"))

    def _needs_sigv4(self, call: Call) -> bool:
        if call.operation == "GetObject":
            return getattr(self._object(call), "encryption", None) in KMS_KINDS
        return call.operation == "PutObject" and call.header("x-amz-server-side-encryption") in KMS_KINDS

    def _blocks(self, call: Call, bucket: Bucket, switch: str) -> bool:
        if self._world.knobs.ignore_public_access_block:
            return False
        blocks = (bucket.public_access_block, self._world.moto.account_block(call.region))
        return any(_on(block, switch) for block in blocks if block is not None)

    # --- changing the doors

    def _check_change(self, call: Call, bucket: Bucket) -> None:
        if call.operation in {"PutBucketAcl", "PutObjectAcl"} or self._sets_acl(call):
            canned = call.header("x-amz-acl")
            enforced = _ownership(bucket) == "BucketOwnerEnforced"
            if enforced and not (canned in OWN_ACLS and not call.operation.endswith("Acl") and not _grants(call)):
                raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
            public = canned in ANYBODY or any(group in call.body for group in GROUPS) or _grants(call, public=True)
            if public and self._blocks(call, bucket, "block_public_acls"):
                raise AwsError("AccessDenied", "Access Denied", 403)
        elif call.operation == "PutBucketPolicy":
            self._check_policy(call, bucket)

    def _sets_acl(self, call: Call) -> bool:
        writes = {"PutObject", "CopyObject", "CreateMultipartUpload"}
        return call.operation in writes and (call.header("x-amz-acl") != "" or _grants(call))

    def _check_policy(self, call: Call, bucket: Bucket) -> None:
        text = call.body.decode("utf-8", "replace")
        try:
            statements = parse(text, resource_policy=True)
        except MalformedError as error:
            raise AwsError("MalformedPolicy", _malformed(error), 400) from error
        allows = [one for one in statements if one.effect == ALLOW]
        for kind, name in [pair for one in allows for pair in one.principals or ()]:
            if kind == "AWS" and not self._world.moto.knows_principal(call.region, name):
                raise AwsError("MalformedPolicy", "Invalid principal in policy", 400, Detail=f'"AWS" : "{name}"')
        home = s3_arn(call.region, call.bucket)
        for statement in statements:
            if not all(r == home or r.startswith((f"{home}/", f"{home}*")) for r in statement.resources):
                raise AwsError("MalformedPolicy", "Policy has invalid resource", 400)
        if is_public(text) and self._blocks(call, bucket, "block_public_policy"):
            message = (
                f"User: {call.who.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
                f'"{home}" because public policies are blocked by the BlockPublicPolicy block public access setting.'
            )
            raise AwsError("AccessDenied", message, 403)


def _policy(bucket: Bucket | None) -> str | None:
    return bucket.policy.decode() if bucket is not None and bucket.policy else None


def _ownership(bucket: Bucket) -> str:
    return str(bucket.ownership_rule or "ObjectWriter")


def _on(block: Any, switch: str) -> bool:
    value = getattr(block, switch, None)
    if value is None and hasattr(block, "to_config_dict"):
        parts = switch.split("_")
        value = block.to_config_dict().get(parts[0] + "".join(p.title() for p in parts[1:]))
    return str(value).lower() == "true"


def _grants(call: Call, *, public: bool = False) -> bool:
    headers = [call.header(f"x-amz-grant-{name}") for name in ACL_HEADERS]
    return any("groups/global" in header if public else header for header in headers)


def _malformed(error: MalformedError) -> str:
    if "no JSON" in str(error):
        return "Policies must be valid JSON and the first byte must be '{'"
    if "no Statement" in str(error):
        return "Missing required field Statement"
    return f"Policies must be valid JSON and well formed: {error}"
