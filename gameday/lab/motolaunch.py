"""What moto launches, by whichever call: each instance gets its mappings whole, and is told to the lab."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .shapes import Instance

FIGURES = {"gp3": (3000, 125)}
"""Iops and Throughput where a launch does not say them."""
Mapping = dict[str, Any]


class Launches:
    """The instances that moto has made since the last look, and what their calls said that moto drops."""

    def __init__(self) -> None:
        self.made: list[Instance] = []
        self.template: dict[str, Any] = {}
        """The launch template of a fleet, which moto forgets when it launches."""
        self.throughput: dict[str, int] = {}
        """Device → MiB/s."""
        self.images: dict[tuple[str, str], list[Mapping]] = {}
        """(Region, image) → what the image maps."""

    def take(self) -> list[Instance]:
        """The new instances, once; what was said for one call is forgotten."""
        made, self.made, self.template, self.throughput = self.made, [], {}, {}
        return made


def watch(launches: Launches) -> None:
    """Let every launch in moto pass through ``launches``."""
    from moto.ec2.models import EC2Backend

    real: Callable[..., Any] = getattr(EC2Backend.run_instances, "__wrapped__", EC2Backend.run_instances)

    @functools.wraps(real)
    def run_instances(self: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        if launches.template and not kwargs.get("launch_template"):
            kwargs["launch_template"] = launches.template
        wanted = _mappings(self, image_id, kwargs, launches)
        if wanted:
            kwargs["block_device_mappings"] = [_plain(one) for one in wanted]
        reservation = real(self, image_id, *args, **kwargs)
        for instance in reservation.instances:
            instance.lab_mapped = [one["DeviceName"] for one in wanted]
            for one in wanted:
                _set_figures(self, instance, one)
        launches.made += reservation.instances
        return reservation

    EC2Backend.run_instances = run_instances


def _mappings(backend: Any, image_id: str, kwargs: dict[str, Any], launches: Launches) -> list[Mapping]:
    """The image's mappings, over them the template's, over these the call's own."""
    found: dict[str, Mapping] = {}
    layers = [launches.images.get((backend.region_name, image_id), [])]
    if kwargs.get("launch_template"):
        layers.append(backend._get_template_from_args(kwargs["launch_template"]).data.get("BlockDeviceMappings") or [])
    if kwargs.get("launch_config"):
        layers.append(kwargs["launch_config"].block_device_mapping_dict or [])
    layers.append(kwargs.get("block_device_mappings") or [])
    for layer in layers:
        for one in layer:
            device = str(one.get("DeviceName"))
            given = {name: value for name, value in (one.get("Ebs") or {}).items() if value not in (None, "", {})}
            under = found.get(device, {}).get("Ebs", {})
            if layer is layers[-1] and given.get("Encrypted") is False:
                del given["Encrypted"]  # moto's stand-in for silence; an encrypted snapshot stays encrypted anyhow
            found[device] = {**copy.deepcopy(one), "Ebs": {**under, **given}}
    if backend.ebs_encryption_by_default:
        image = backend.amis.get(image_id)
        root = image.root_device_name if image is not None else "/dev/xvda"
        found = found or {root: {"DeviceName": root, "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}}
        for one in found.values():
            one["Ebs"]["Encrypted"] = True
    for device, mib in launches.throughput.items():
        if device in found:
            found[device]["Ebs"]["Throughput"] = mib
    return list(found.values())


def _plain(mapping: Mapping) -> Mapping:
    """A mapping as moto can launch it: its type and figures are set afterwards."""
    from moto.ec2.exceptions import InvalidParameterDependency

    ebs = {name: value for name, value in mapping["Ebs"].items() if name not in {"VolumeType", "Iops", "Throughput"}}
    if mapping["Ebs"].get("VolumeType") in {"io1", "io2"} and not mapping["Ebs"].get("Iops"):
        raise InvalidParameterDependency("VolumeType", "Iops")
    for name in ("Encrypted", "DeleteOnTermination"):
        if name in ebs:
            ebs[name] = str(ebs[name]).lower() == "true"
    if ebs.get("KmsKeyId"):
        ebs["Encrypted"] = True
    if ebs.get("VolumeSize"):
        ebs["VolumeSize"] = int(ebs["VolumeSize"])
    return {**mapping, "Ebs": ebs}


def _set_figures(backend: Any, instance: Any, mapping: Mapping) -> None:
    device = instance.block_device_mapping.get(mapping["DeviceName"])
    if device is None:
        return
    volume, ebs = backend.volumes[device.volume_id], mapping["Ebs"]
    kind = ebs.get("VolumeType") or volume.volume_type
    iops, throughput = FIGURES.get(kind, (None, None))
    volume.volume_type = kind
    volume.iops = int(ebs["Iops"]) if ebs.get("Iops") else iops or volume.iops
    volume.throughput = int(ebs["Throughput"]) if ebs.get("Throughput") else throughput
