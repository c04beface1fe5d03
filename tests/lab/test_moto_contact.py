"""What the lab uses of moto's insides; when moto moves, this says what is missing in a sentence."""

from __future__ import annotations

import subprocess
import sys

USED = {
    "moto.backends": ["get_backend"],
    "moto.moto_server.werkzeug_app": [
        "DomainDispatcherApplication.get_backend_for_host",
        "MotoRequestHandler.make_environ",
        "create_backend_app",
    ],
    "moto.core.base_backend": ["BackendDict.reset"],
    "moto.kms.models": [
        "Key.add_grant",
        "Key.retire_grant",
        "Key.to_dict",
        "Key.generate_default_policy",
        "KmsBackend.get_key_id_from_alias",
        "KmsBackend.encrypt",
    ],
    "moto.awslambda.models": ["LambdaBackend.list_functions"],
    "moto.ssm.models": ["SimpleSystemManagerBackend.get_parameter"],
    "moto.kms.utils": ["_deserialize_ciphertext_blob"],
    "moto.s3.models": [
        "s3_backends.bucket_accounts",
        "PublicAccessBlock",
        "S3Backend.get_object",
        "S3Backend.put_object",
    ],
    "moto.ec2.models": ["EC2Backend.run_instances", "EC2Backend._get_template_from_args", "EC2Backend.create_snapshot"],
    "moto.ec2.models.amis": ["Ami"],
    "moto.ec2.models.instances": [
        "Instance.start",
        "Instance.stop",
        "Instance.terminate",
        "Instance.instance_status",
        "Instance.system_status",
        "StateReason",
        "InstanceBackend.get_instance_by_id",
    ],
    "moto.ec2.models.elastic_block_store": [
        "EBSBackend.create_volume",
        "EBSBackend.attach_volume",
        "EBSBackend.delete_volume",
    ],
    "moto.sts.models": ["STSBackend.get_assumed_role_from_access_key"],
    "moto.iam.models": ["IAMBackend.get_user_from_access_key_id", "IAMBackend.get_groups_for_user"],
    "moto.utilities.utils": ["PARTITION_NAMES", "REGION_PREFIX_TO_PARTITION", "ARN_PARTITION_REGEX", "get_partition"],
    "moto.cloudtrail.models": ["Trail", "TrailStatus"],
    "moto.scheduler.models": ["Schedule", "ScheduleGroup"],
}
SCRIPT = """
import importlib, operator
for module, names in {used!r}.items():
    try:
        found = importlib.import_module(module)
    except ImportError:
        print(f"moto no longer has the module {{module}}, which gameday/lab uses")
        continue
    for name in names:
        try:
            operator.attrgetter(name)(found)
        except AttributeError:
            print(f"moto's {{module}} no longer has {{name}}, which gameday/lab uses")
"""


def test_moto_has_what_the_lab_uses():
    script = SCRIPT.format(used=USED)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "", ended.stdout


def test_only_the_adapters_files_touch_moto():
    import gameday.lab.client as client

    here = __import__("pathlib").Path(client.__file__).parent
    touching = {
        path.name
        for path in here.glob("*.py")
        if any(
            line.strip().startswith(("import moto", "from moto ", "from moto."))
            for line in path.read_text().splitlines()
        )
    }
    assert touching == {"motolaunch.py", "motoworld.py"}
