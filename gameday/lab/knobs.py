"""The lab's knobs: every delay and every switch, with the presets that set them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from gameday.errors import LabError


@dataclass(slots=True)
class Knobs:
    """All delays are in seconds; they are read at the moment they matter, so they may change at run time."""

    kms_propagation: float = 0.0
    """Between DisableKey, EnableKey … and S3, EC2 and crypto calls noticing; DescribeKey sees it at once."""
    bucket_key_ttl: float = 0.0
    """How long S3 goes on using a bucket key that a principal has warmed."""
    data_key_reuse: float = 0.0
    """How long SQS, SNS, Kinesis and their like go on with a data key that they have."""
    cloudtrail_delay: float = 0.0
    """Between a call and LookupEvents showing it."""
    lookup_interval: float = 0.0
    """Two LookupEvents of the account in so many seconds, and a third is throttled; 0 lets all through."""
    cloudtrail_file_interval: float = 5.0
    """Between two log files of a trail; 0 writes what is due whenever a request comes."""
    boot_seconds: float = 0.0
    """An instance is pending this long."""
    stop_seconds: float = 0.0
    """An instance is stopping (or shutting-down) this long."""
    status_check_seconds: float = 0.0
    """From running to both status checks being ok."""
    enforce_key: bool = True
    """False: a disabled key goes on working (a fault that does not take effect)."""
    enforce_policies: bool = True
    """False: identity, bucket and key policies are stored and refuse nobody."""
    record_trail: bool = True
    """False: CloudTrail is silent."""
    ignore_public_access_block: bool = False
    """True: Block Public Access is stored and blocks nothing."""
    session_seconds: float = 0.0
    """A role's session ends after so long, whatever was asked for; 0 is as asked for."""
    encrypt_volumes: bool = True
    """False: CreateVolume quietly leaves new volumes unencrypted."""

    known_access_keys_only: bool = False
    """True: an access key that IAM or STS did not make here is refused, as AWS does; else it is the account's root."""

    def change(self, changes: Mapping[str, object]) -> None:
        """Set some knobs; nothing changes when one of them is unknown or of the wrong kind."""
        kinds = {field.name: field.type for field in fields(self)}
        checked: dict[str, float | bool] = {}
        for name, value in changes.items():
            if name not in kinds:
                raise LabError(f"the lab has no knob {name!r}; it has: {', '.join(sorted(kinds))}")
            checked[name] = _flag(name, value) if kinds[name] == "bool" else _seconds(name, value)
        for name, good in checked.items():
            setattr(self, name, good)

    def as_dict(self) -> dict[str, float | bool]:
        """All knobs by name."""
        return asdict(self)


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise LabError(f"knob {name} is a switch: true or false, not {value!r}")


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(str(value)) if not isinstance(value, bool) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**9:
        raise LabError(f"knob {name} takes seconds, 0 or more, not {value!r}")
    return seconds


_PRESETS: dict[str, Knobs] = {
    "instant": Knobs(cloudtrail_file_interval=5.0),
    "brisk": Knobs(
        kms_propagation=1.5,
        bucket_key_ttl=5.0,
        data_key_reuse=5.0,
        cloudtrail_delay=4.0,
        cloudtrail_file_interval=5.0,
        boot_seconds=2.0,
        stop_seconds=1.5,
        status_check_seconds=1.5,
    ),
    "aws": Knobs(
        kms_propagation=3.0,
        bucket_key_ttl=300.0,
        data_key_reuse=300.0,
        cloudtrail_delay=300.0,
        lookup_interval=1.0,
        cloudtrail_file_interval=300.0,
        boot_seconds=30.0,
        stop_seconds=20.0,
        status_check_seconds=120.0,
    ),
}

PRESETS = tuple(_PRESETS)


def preset(name: str) -> Knobs:
    """A fresh set of knobs for a preset."""
    if name not in _PRESETS:
        raise LabError(f"the lab has no preset {name!r}; it has: {', '.join(PRESETS)}")
    return replace(_PRESETS[name])
