"""``python -m tests.blastradius.traps``: takes each handling of a trap away, and says which test goes red.

The traps are those of real CloudTrail records and files that docs/blast-radius.md lists; see ``tests.mutations``.
"""

# ruff: noqa: E501  (a table)
from __future__ import annotations

import sys

from tests.mutations import Mutation, main

ROOM = "gameday/blastradius"
SQL, KNOWN, DIALECTS, SCAN, FLAT = (f"{ROOM}/_{name}.py" for name in ("sql", "known", "dialects", "scan", "flat"))
LAYOUT, OBSERVED, LOOKUP = (f"{ROOM}/{name}.py" for name in ("_layout", "observed", "lookup"))


def trap(name: str, file: str, old: str, new: str, test: str) -> Mutation:
    """One handling that is taken away, and the test that must notice."""
    return Mutation(name, file, old, new, (f"tests/blastradius/test_{test}",))


TRAPS = (
    trap("a service's Decrypt names its key in resources only", SQL, "found = [listed, message, *mine]",
         "found = [message, *mine]", "definition.py::test_a_services_decrypt_names_its_key_in_resources_only"),
    trap("a denied forwarded call names its key in the message only", SQL, "found = [listed, message, *mine]",
         "found = [listed, *mine]", "definition.py::test_a_denied_forwarded_call_names_its_key_in_the_message_only"),
    trap("keyId may be an ARN or a bare id", SQL, "found = [listed, message, *mine]", "found = [listed, message]",
         "definition.py::test_a_key_is_known_by_each_of_its_names"),
    trap("keyId may be an alias", SQL, "    if key.aliases:\n        here", "    if False:\n        here",
         "definition.py::test_a_key_is_known_by_each_of_its_names"),
    trap("keyId may be an alias' ARN", SQL,
         '        names += [f"asked_key IN ({_list(arns)})"] if arns else [_alias_anywhere(key.aliases)]\n', "",
         "definition.py::test_a_key_is_known_by_each_of_its_names"),
    trap("a bare id means the key of the record's own Region and account", SQL,
         "    return f\"region IN ({_list(key.regions)}) AND account IN ('{key.account}', '')\"", '    return "1 = 1"',
         "definition.py::test_a_bare_name_means_the_key_of_the_records_own_account_and_region"),
    trap("an alias stood for another key then", SQL, "(resources NOT LIKE '%:key/%' AND (", "(('a' = 'a') AND (",
         "definition.py::test_an_alias_that_stood_for_another_key_then_is_not_this_one"),
    trap("a longer key id is another key", SQL, "LIKE '%,{arn},%'", "LIKE '%,{arn}%'",
         "definition.py::test_a_longer_key_id_is_another_key"),
    trap("ReEncrypt is about the context of this key", SQL,
         "CASE WHEN {_is_key(question.key, 'destination_key')} THEN", "CASE WHEN 1 = 0 THEN",
         "definition.py::test_re_encryption_is_about_the_context_of_this_key"),
    trap("a grant's constraints name the resource (subset)", KNOWN,
         '    ("constraints", "encryptionContextSubset"),\n', "",
         "definition.py::test_a_grant_is_about_what_its_constraints_name"),
    trap("a grant's constraints name the resource (equals)", KNOWN,
         '    ("constraints", "encryptionContextEquals"),\n', "",
         "definition.py::test_a_grant_is_about_what_its_constraints_name"),
    trap("an unknown context is kept under its own name", SQL, "_FUNCTION, \"context_pairs\")}", "_FUNCTION)}", "definition.py::test_what_is_unknown_is_kept_under_its_own_name"),
    trap("a context's name holds colons, which are no path", DIALECTS,
         """return "$" + "".join(f'."{name}"' for name in path)""", """return "$." + ".".join(path).replace(":", ".")""",
         "definition.py::test_the_encryption_context_names_the_resource"),
    trap("the instance stands in credentialsIssuedTo", SQL, "f\"regexp_extract(issued_to, '{INSTANCE}', 0)\",", "",
         "definition.py::test_ec2s_infrastructure_is_told_by_its_instance"),
    trap("the instance stands at the end of ec2-infrastructure", SQL, '            _infrastructure("identity_arn"),\n', "",
         "definition.py::test_ec2s_infrastructure_is_told_by_its_instance"),
    trap("an old record names its role without an issuer", SQL, '"issuer_arn", role, arn,', '"issuer_arn", arn,',
         "definition.py::test_an_old_record_without_an_issuer_still_names_its_role"),
    trap("an old record calls its service internal", SQL, "AND {column} <> 'internal.amazonaws.com' ", "",
         "definition.py::test_an_old_record_of_an_internal_service_is_told_by_its_context"),
    trap("a truncated record has its parameters replaced", FLAT, "return value if isinstance(value, dict) else {}",
         "return value or {}", "definition.py::test_a_truncated_record_is_read_all_the_same"),
    trap("services spell a refusal in their own way", SQL, "regexp_extract(error_code, '[^.]*$', 0) IN", "error_code IN",
         "definition.py::test_a_refusal_is_known_by_its_code"),
    trap("a record is delivered twice", SQL, "WHERE copy = 1", "WHERE copy > 0",
         "definition.py::test_a_record_delivered_twice_counts_once"),
    trap("one call is in two accounts' logs", SQL, "CASE WHEN shared_event_id <> '' THEN shared_event_id WHEN",
         "CASE WHEN", "definition.py::test_one_call_in_two_accounts_logs_counts_once_and_keeps_its_caller"),
    trap("the owner's copy lacks the caller", SQL, "ORDER BY CASE WHEN identity_arn <> '' THEN 0 ELSE 1 END, event_id",
         "ORDER BY event_id", "definition.py::test_one_call_in_two_accounts_logs_counts_once_and_keeps_its_caller"),
    trap("the window ends before its end", SQL, "moment < '{until}'", "moment <= '{until}'",
         "definition.py::test_the_window_ends_before_its_end"),
    trap("the window begins with its beginning", SQL, "moment >= '{since}'", "moment > '{since}'",
         "definition.py::test_the_window_ends_before_its_end"),
    trap("a time may be none", SQL, "(moment = '' OR (", "(1 = 0 OR (",
         "definition.py::test_a_record_without_a_time_is_counted_and_in_no_window"),
    trap("what has a time's form may be none", SQL, "substr(event_time, 12, 8)) AS TIMESTAMP) IS NOT NULL",
         "substr(event_time, 12, 8)) AS TIMESTAMP) IS NOT NULL OR 1 = 1",
         "definition.py::test_a_record_without_a_time_is_counted_and_in_no_window"),
    trap("gameday's own calls are kept apart, by a word of the agent", SQL, "LIKE '% gameday/%'", "LIKE '%gameday/%'",
         "definition.py::test_gamedays_own_calls_are_kept_apart"),
    trap("resources is an array of structs in Athena", DIALECTS, "array_join(transform(resources, r -> r.arn), ',')",
         "json_format(CAST(resources AS JSON))", "dialects.py::test_the_text_for_a_cluster_says_the_same"),
    trap("a gzip file has several members", SCAN, "reader, length = isal_zlib._GzipReader(data), 0",
         'reader, length = __import__("io").BytesIO(isal_zlib.decompress(data, 31)), 0',
         "scan.py::test_every_member_of_a_gzip_file_is_read"),
    trap("records are cut where JSON says", SCAN, "found = _SPLIT.decode(text).Records",
         'found = [msgspec.Raw((b\'{"eventVersion"\' * bool(n) + part).rstrip(b"]}") + b"}") for n, part in '
         'enumerate(bytes(text)[12:].split(b\'},{"eventVersion"\'))]',
         "scan.py::test_records_are_cut_where_json_says"),
    trap("a truncated file is counted, and read up to the damage", SCAN, 'return self._rescue(data), "truncated"',
         'return 0, "truncated"', "scan.py::test_a_damaged_file_is_counted_and_what_is_whole_in_it_is_kept"),
    trap("a broken file is counted, and read up to the damage", SCAN, 'return self._rescue(data), "broken gzip"',
         'return self._rescue(data), ""', "scan.py::test_a_damaged_file_is_counted_and_what_is_whole_in_it_is_kept"),
    trap("a digest is no damage, by what is in it", SCAN, "            if any(word in data for word in _DIGEST):",
         "            if False:", "scan.py::test_digests_are_left_out_and_are_no_damage"),
    trap("a digest is no log file, by its folder", LAYOUT,
         '        if kind != "CloudTrail":\n            return f"kind {kind}"\n        if why := self._elsewhere(account, region):\n'
         "            return why\n        return \"\" if self._dated(year",
         '        if why := self._elsewhere(account, region):\n            return why\n        return "" if self._dated(year',
         "scan.py::test_digests_are_left_out_and_are_no_damage"),
    trap("a gzip bomb is bounded", SCAN, "                if length > self._largest:", "                if False:",
         "scan.py::test_a_bomb_is_cut_off_and_what_was_before_it_is_kept"),
    trap("a JSON writer may escape slashes", "gameday/blastradius/_files.py", 'max(name.split("/")[1:], key=len)', "name",
         "scan.py::test_only_the_longest_part_of_an_alias_is_looked_for_in_bytes"),
    trap("NUL and halves of surrogates are in no database", FLAT,
         '    return text.replace("\\0", "\\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()',
         "    return text", "scan.py::test_a_strange_record_is_read_all_the_same"),
    trap("accounts are never pruned", LAYOUT, "question.accounts, question.reading_regions",
         "(question.accounts or (question.key.account,)), question.reading_regions",
         "scan.py::test_a_denied_call_of_another_account_is_found_in_its_log"),
    trap("files arrive a day late", LAYOUT, "LATE = timedelta(days=1)", "LATE = timedelta(0)",
         "scan.py::test_folders_are_chosen_by_region_and_day_and_never_by_account"),
    trap("a look-up by the key misses denied forwarded calls", LOOKUP,
         '                ("EventSource", "kms.amazonaws.com", self.refusals),\n', "",
         "one_corpus.py"),
    trap("KMS and EC2 share a request id", OBSERVED, "cause = behind.get(use.request_id)", "cause = None",
         "radius_sets.py::test_a_refused_start_is_joined_to_its_instance_and_so_to_its_volume"),
    trap("EBS' Decrypt does not share it", OBSERVED, "use.request_id in self.requests or for_it",
         "use.request_id in self.requests",
         "radius_sets.py::test_what_ebs_does_for_an_instance_that_gameday_started_is_its_own"),
    trap("a Bucket Key names the bucket", OBSERVED, 'one == other or one.startswith(f"{other}/") or', "one == other or",
         "radius_sets.py::test_an_object_is_meant_where_a_bucket_key_names_its_bucket"),
    trap("an explicit deny is a refusal where that is the fault", OBSERVED, "return away.denied and", "return False and",
         "radius_sets.py::test_an_explicit_deny_is_a_refusal_only_where_that_is_the_fault"),
)  # fmt: skip
"""Everything in the parser's section of AWS' facts and under the traps of the design, handling by handling."""

if __name__ == "__main__":
    sys.exit(main(TRAPS))
