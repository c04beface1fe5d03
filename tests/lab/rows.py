"""What the lab does and moto alone does not, row by row, and the tests that would fail on moto alone.

``test_rows.py`` holds the table to the tests, and with ``GAMEDAY_LAB_ROWS`` set runs every one of them against plain
moto to see it fail. ``docs/lab.md`` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One behaviour.

    Parameters
    ----------
    what: what is asked.
    moto: what moto 5.2 answers by itself.
    lab: what the lab answers, as AWS does.
    tests: ``file::test``, each of which fails on plain moto.
    """

    what: str
    moto: str
    lab: str
    tests: tuple[str, ...]


ROWS = (
    Row(
        "Encrypt, Decrypt, GenerateDataKey*, ReEncrypt, CreateGrant on a disabled key",
        "succeed",
        "400 DisabledException",
        ("kms::test_a_disabled_key_refuses_crypto", "kms::test_decrypt_and_reencrypt_find_the_key_in_the_ciphertext"),
    ),
    Row(
        "the same on a key pending deletion; EnableKey or DisableKey of one",
        "succeed",
        "400 KMSInvalidStateException",
        (
            "kms::test_a_key_pending_deletion_refuses_crypto",
            "kms::test_enable_and_disable_refuse_a_key_pending_deletion",
        ),
    ),
    Row(
        "ScheduleKeyDeletion, CancelKeyDeletion",
        "no KeyState, the window unchecked",
        "7 to 30 days; after cancelling the key is Disabled",
        ("kms::test_deletion_has_a_window_and_cancelling_leaves_the_key_disabled",),
    ),
    Row(
        "PutKeyPolicy",
        "takes malformed and lock-out policies, enforces none",
        "refuses both; enforces the policy, kms:ViaService and kms:CallerAccount too",
        (
            "policies::test_lock_out_and_malformed_key_policies_are_refused",
            "policies::test_key_policies_bind_without_delegation",
            "policies::test_a_deny_in_the_key_policy_stops_s3_and_ec2_for_root_too",
            "policies::test_via_service_and_encryption_context",
        ),
    ),
    Row(
        "DisableKey, EnableKey by ARN",
        "KeyError, 500",
        "as AWS",
        ("kms::test_enable_and_disable_take_id_and_arn[arn]",),
    ),
    Row(
        "S3 Get or Put of SSE-KMS with the key disabled, pending deletion, unknown",
        "200",
        "400 KMS.DisabledException, KMS.KMSInvalidStateException, KMS.NotFoundException",
        (
            "s3::test_reads_and_writes_fail_while_the_key_is_disabled",
            "s3::test_pending_deletion_and_unknown_keys",
        ),
    ),
    Row(
        "HeadObject with the key disabled",
        "200",
        "200, unless checksum mode asks for decryption",
        ("s3::test_head_is_no_probe_unless_checksum_mode_asks",),
    ),
    Row(
        "anonymous GET: new bucket; behind Block Public Access of bucket or account; public SSE-KMS",
        "403; 200; 200",
        "403; 403; 400 InvalidArgument with the Signature Version 4 sentence",
        (
            "doors::test_the_first_door_opened_the_second_holds",
            "doors::test_acls_need_other_ownership_then_no_block",
            "doors::test_the_accounts_block_counts_too",
        ),
    ),
    Row(
        "a new bucket's defaults",
        "none",
        "Block Public Access on, BucketOwnerEnforced, AES256",
        ("doors::test_new_buckets_are_closed", "s3::test_new_buckets_encrypt_with_aes256"),
    ),
    Row(
        "an ACL under BucketOwnerEnforced",
        "accepted",
        "400 AccessControlListNotSupported",
        ("doors::test_acls_need_other_ownership_then_no_block",),
    ),
    Row(
        "a public bucket policy under BlockPublicPolicy",
        "accepted",
        "403 AccessDenied",
        ("doors::test_the_first_door_opened_the_second_holds",),
    ),
    Row(
        "anonymous PUT under a policy that allows GetObject",
        "200",
        "403",
        ("doors::test_get_for_all_is_not_put_for_all",),
    ),
    Row(
        "a presigned URL: expired, tampered with, Signature Version 2 on SSE-KMS",
        "200",
        "403, 403, 400",
        ("doors::test_presigned_urls", "doors::test_presigned_reads_need_the_key"),
    ),
    Row(
        "StartInstances with the root volume's key unusable; status checks",
        "running at once",
        "pending, then stopped, with a StateReason; 2/2 checks take their time",
        (
            "ec2::test_a_start_without_its_key_falls_back_to_stopped",
            "ec2::test_a_launch_without_its_key_ends_terminated",
            "ec2::test_boot_stop_and_status_checks_take_their_time",
        ),
    ),
    Row(
        "AttachVolume across zones; onto an occupied device; with the key disabled",
        "attaches",
        "InvalidVolume.ZoneMismatch; InvalidParameterValue; Client.CustomerKeyHasBeenRevoked",
        (
            "ec2::test_a_volume_of_another_zone_is_not_attached",
            "ec2::test_an_occupied_device_takes_no_volume",
            "ec2::test_a_volume_without_its_key_is_not_attached",
        ),
    ),
    Row(
        "DetachVolume without InstanceId",
        "500",
        "works",
        ("ec2::test_a_volume_is_detached_without_naming_its_instance",),
    ),
    Row(
        "a start without a root volume",
        "running",
        "IncorrectInstanceState",
        ("ec2::test_an_instance_without_its_root_volume_does_not_start",),
    ),
    Row(
        "a snapshot's KmsKeyId; EC2's grants on the key",
        "missing",
        "present",
        (
            "ec2::test_the_root_volume_carries_the_keys_arn",
            "ec2::test_ec2s_grants_last_while_it_runs",
            "ec2::test_a_grant_for_an_attached_volume_goes_with_it_and_the_roots_stays",
        ),
    ),
    Row(
        "CloudTrail: LookupEvents, log files, selectors",
        "500, none, none",
        "every management call, with what services do on the caller's behalf; late; as files in the trail's bucket",
        (
            "cloudtrail::test_s3_asks_kms_in_the_callers_name",
            "cloudtrail::test_a_boot_records_what_ec2_asks_of_kms",
            "cloudtrail::test_the_smoking_gun",
            "cloudtrail::test_events_are_delivered_late",
            "trails::test_a_trail_writes_files",
            "trails::test_a_trail_can_be_blind_to_kms",
            "trails::test_data_events_when_selected",
        ),
    ),
    Row(
        "EventBridge Scheduler",
        "stored, never fires",
        "universal targets fire under their role, and are recorded",
        (
            "scheduler::test_the_switch_enables_the_key_under_its_role",
            "scheduler::test_the_switch_needs_its_permission_and_retries",
        ),
    ),
    Row(
        "IAM",
        "identity policies only, header signatures only, off by default; no simulator",
        "identity, bucket and key policies for users, assumed roles and anonymous callers; SimulatePrincipalPolicy",
        (
            "policies::test_identity_policies_bind_users",
            "policies::test_a_key_policy_can_name_a_role",
            "policies::test_bucket_policies_deny_and_allow",
            "policies::test_the_simulator",
        ),
    ),
    Row(
        "CloudWatch alarms",
        "SetAlarmState and DescribeAlarms work, nothing is evaluated",
        "the same: enough for a guard",
        (),
    ),
    Row(
        "account-level Block Public Access through s3control",
        "kept, and changes nothing (the host name cannot be resolved: the client strips the account from it)",
        "closes the account's buckets",
        ("doors::test_the_accounts_block_counts_too",),
    ),
)
