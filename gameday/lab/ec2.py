"""EC2: an instance boots when the keys of its volumes can be used, and takes its time over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ebs import Ebs, root_volume
from .shapes import Image, Instance
from .wire import Answer, AwsError, elements, xml_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
IMAGE_ID = "ami-0ab1c2d3e4f567890"
BOOT_FAILED = ("Client.InternalError", "Client.InternalError: Client error on launch")
KEY_OFF = (
    "Client.InternalError",
    "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
)
USER_STOP = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
FAILS_WITHIN = 10.0
"""An instance that cannot have its volumes gives up after about this long, however long a boot takes."""


class Ec2:
    """EC2's hooks about instances; volumes are in ``ebs``."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("ec2", "StartInstances with an unusable key succeeds: pending, then stopped", "observed"),
        Behaviour("ec2", "its StateReason is Client.InternalError: Client error on launch", "observed"),
        Behaviour("ec2", "RunInstances with an unusable key: pending, then terminated", "recorded"),
        Behaviour("ec2", "its StateReason names Client.InvalidKMSKey.InvalidState", "observed"),
        Behaviour("ec2", "so do CreateFleet, Auto Scaling and spot launches, templates and images", "documented"),
        Behaviour("ec2", "an Auto Scaling launch asks in the name of who called Auto Scaling", "invented"),
        Behaviour("ec2", "pending and stopping take time; so do both status checks", "documented"),
        Behaviour("ec2", "StartInstances on stopping, terminated: IncorrectInstanceState", "documented"),
        Behaviour("ec2", "StopInstances before the first running: IncorrectInstanceState", "observed"),
        Behaviour("ec2", "starting without a root volume: IncorrectInstanceState, message text", "invented"),
        Behaviour("ec2", "the key is looked at when StartInstances is called, not later in the boot", "invented"),
        Behaviour("ec2", "EC2's grants on the key exist while the instance runs", "recorded"),
        Behaviour("ec2", "any ImageId launches; one Amazon Linux-like image is listed", "invented"),
    )

    def __init__(self, world: World, ebs: Ebs) -> None:
        self._world = world
        self._ebs = ebs
        self._turns: dict[str, int] = {}
        self._ran: set[str] = set()
        self._regions: set[str] = set()

    def reset(self) -> None:
        """Forget everything."""
        self._turns.clear()
        self._ran.clear()
        self._regions.clear()

    def before(self, call: Call) -> Answer | None:
        """Start and stop are the lab's own; the rest is moto's."""
        self._list_image(call.region)
        if call.text("DryRun").lower() == "true":
            return None
        if call.operation in {"StartInstances", "StopInstances", "TerminateInstances", "RebootInstances"}:
            found = [self._world.moto.instance(call.region, name) for name in call.listed("InstanceId")]
            instances = [instance for instance in found if instance is not None]
            if not instances or len(instances) < len(found):
                return None  # moto names the unknown ones
            if call.operation == "StartInstances":
                return self._start_all(call, instances)
            if call.operation == "StopInstances":
                return self._stop_all(call, instances)
            if call.operation == "TerminateInstances":
                call.notes["previous"] = {instance.id: instance._state.name for instance in instances}
                call.notes["grants"] = {instance.id: self._ebs.asks.grants_of(instance) for instance in instances}
            return None
        return self._ebs.before(call)

    def after(self, call: Call, answer: Answer) -> None:
        """Give launches and terminations their time, and volumes their keys."""
        if answer.status >= 400:
            return
        if call.operation == "TerminateInstances":
            for name in call.notes["previous"]:
                instance = self._world.moto.instance(call.region, name)
                if instance is not None:
                    self._ebs.asks.retire(call.region, call.notes["grants"].get(name, []))
                    self._end(instance, USER_STOP)
        else:
            self._ebs.after(call, answer)

    # --- starting

    def _start_all(self, call: Call, instances: list[Instance]) -> Answer:
        for instance in instances:
            if instance._state.name not in {"stopped", "running", "pending"}:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be started.",
                )
            if root_volume(self._world, call.region, instance) is None:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached "
                    f"at root ({instance.root_device_name})",
                )
        before = {instance.id: instance._state.name for instance in instances}
        for instance in instances:
            if instance._state.name == "stopped":
                self._boot(call, instance, fresh=False)
        return _changes("StartInstances", before, instances)

    def launched(self, call: Call) -> None:
        """Boot what moto has launched for this call, of whichever service: a fleet, an Auto Scaling group, a batch."""
        for instance in self._world.moto.launches.take():
            self._launch(call, instance)

    def _launch(self, call: Call, instance: Instance) -> None:
        self._ebs.settle_root(call, instance)
        made = [self._ebs.asks.generate_key(call, volume) for volume in self._ebs.volumes_of(call.region, instance)]
        self._boot(call, instance, fresh=True, made=all(made))

    def _boot(self, call: Call, instance: Instance, *, fresh: bool, made: bool = True) -> None:
        """Ask for the keys now, and be running or not some time later."""
        refused = [
            volume
            for volume in self._ebs.volumes_of(call.region, instance)
            if not self._ebs.asks.grant(call, volume, instance)
        ]
        turn = self._become(instance, "pending")
        self._world.moto.set_reason(instance, "pending", "pending")
        knobs = self._world.knobs
        if not refused and made:
            self._later(knobs.boot_seconds, instance, turn, lambda: self._running(call, instance))
            return
        off = any(self._ebs.asks.off(call, volume) for volume in refused)
        reason = KEY_OFF if fresh and off else BOOT_FAILED
        self._ebs.asks.retire(call.region, self._ebs.asks.grants_of(instance))

        def fall_back() -> None:
            if fresh:
                instance.terminate()
                self._end(instance, reason)
            else:
                self._become(instance, "stopped")
                self._world.moto.set_reason(instance, *reason)

        self._later(min(knobs.boot_seconds, FAILS_WITHIN), instance, turn, fall_back)

    def _running(self, call: Call, instance: Instance) -> None:
        instance.start()
        instance.state_reason = None  # AWS gives a running instance no reason
        instance.lab_checks = "initializing"
        turn = self._become(instance, "running")
        self._ran.add(instance.id)
        for volume in self._ebs.volumes_of(call.region, instance):
            self._ebs.asks.decrypt(call, volume, instance)

        def healthy() -> None:
            instance.lab_checks = "ok"

        self._later(self._world.knobs.status_check_seconds, instance, turn, healthy)

    # --- stopping

    def _stop_all(self, call: Call, instances: list[Instance]) -> Answer | None:
        if any(instance.disable_api_stop for instance in instances):
            return None  # moto refuses
        for instance in instances:
            state = instance._state.name
            if state in {"terminated", "shutting-down"}:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"This instance '{instance.id}' is not in a state from which it can be stopped.",
                )
            if state == "pending" and instance.id not in self._ran:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"Instance '{instance.id}' cannot be stopped as it has never reached the 'running' state.",
                )
        before = {instance.id: instance._state.name for instance in instances}
        for instance in instances:
            if instance._state.name in {"running", "pending"}:
                self._stop(call, instance)
        return _changes("StopInstances", before, instances)

    def _stop(self, call: Call, instance: Instance) -> None:
        turn = self._become(instance, "stopping")
        region = call.region

        def stopped() -> None:
            instance.stop()  # sets moto's reason: initiated by the user
            self._become(instance, "stopped")
            self._ebs.asks.retire(region, self._ebs.asks.grants_of(instance))

        self._later(self._world.knobs.stop_seconds, instance, turn, stopped)

    def _end(self, instance: Instance, reason: tuple[str, str]) -> None:
        turn = self._become(instance, "shutting-down")
        self._world.moto.set_reason(instance, *reason)
        self._later(self._world.knobs.stop_seconds, instance, turn, lambda: self._terminated(instance))

    def _terminated(self, instance: Instance) -> None:
        self._become(instance, "terminated")

    # --- time

    def _become(self, instance: Instance, state: str) -> int:
        """Set the state; what an earlier state had planned will not happen any more."""
        instance._state.name, instance._state.code = state, CODES[state]
        turn = self._turns.get(instance.id, 0) + 1
        self._turns[instance.id] = turn
        return turn

    def _later(self, seconds: float, instance: Instance, turn: int, action: Any) -> None:
        def due() -> None:
            if self._turns.get(instance.id) == turn:
                action()

        self._world.agenda.after(seconds, due)

    def _list_image(self, region: str) -> None:
        if region in self._regions:
            return
        self._regions.add(region)
        about = {
            "ami_id": IMAGE_ID,
            "name": "al2023-ami-2023.0-gameday-x86_64",
            "description": "Amazon Linux 2023-like image of the gameday lab",
            "owner_id": "137112412989",
            "owner_alias": "amazon",
            "public": True,
            "virtualization_type": "hvm",
            "architecture": "x86_64",
            "image_location": "amazon/al2023-ami-2023.0-gameday-x86_64",
            "hypervisor": "xen",
            "root_device_type": "ebs",
            "root_device_name": "/dev/xvda",
            "region_name": f"{region}a",
        }
        image: Image = self._world.moto.add_image(region, **about)
        self._ebs.images[region] = image.id


def _changes(operation: str, before: dict[str, str], instances: list[Instance]) -> Answer:
    """The answer of Start- and StopInstances."""
    items = "".join(
        f"<item>{elements([('instanceId', i.id)])}<currentState>{_state(i._state.name)}</currentState>"
        f"<previousState>{_state(before[i.id])}</previousState></item>"
        for i in instances
    )
    return xml_answer(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{operation}Response xmlns="{XMLNS}"><requestId></requestId>'
        f"<instancesSet>{items}</instancesSet></{operation}Response>"
    )


def _state(name: str) -> str:
    return elements([("code", str(CODES[name])), ("name", name)])
