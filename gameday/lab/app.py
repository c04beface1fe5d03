"""The layer around moto: parse, trouble, before-hooks, moto, after-hooks, CloudTrail record."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from gameday.partitions import partition

from . import trouble as troubles
from .access import Access
from .behindkey import SERVICES, BehindKey
from .call import Call, Caller, parse, service_call
from .client import ACCOUNT
from .cloudtrail import CloudTrail, record_call
from .ebs import Ebs
from .ec2 import Ec2
from .identity import Iam, expired
from .kms import Keys, Kms
from .knobs import preset as knobs_of
from .line import Line
from .motoworld import MotoWorld
from .s3 import S3
from .s3doors import S3Doors
from .s3requests import S3Requests
from .scheduler import Scheduler
from .signature import check_header
from .sts import Sts
from .trails import Trails
from .trouble import Trouble
from .wire import Answer, AwsError, error_answer, error_in, stamp
from .world import Service, World

log = logging.getLogger("gameday.lab")
ANONYMOUS = Caller("Anonymous", "", ACCOUNT, "")
REMEMBERED = 512
SMALL = 65_536


class Lab:
    """An AWS. One a process, since moto's state is global."""

    def __init__(self, preset: str = "instant", **knobs: object) -> None:
        chosen = knobs_of(preset)
        chosen.change(knobs)
        self.world = World(chosen, preset, MotoWorld())
        keys = Keys(self.world)
        access = Access(self.world)
        ebs = Ebs(self.world, keys, access)
        self._access = access
        trails = Trails(self.world)
        self._ec2 = Ec2(self.world, ebs)
        self.services: dict[str, list[Service]] = {
            "kms": [Kms(self.world, keys, access)],
            "s3": [
                trails,
                S3Doors(self.world, access),
                S3Requests(self.world),
                S3(self.world, keys, access),
            ],
            "ec2": [self._ec2],
            "sts": [Sts(self.world, access)],
            "iam": [Iam(self.world, access)],
            "cloudtrail": [CloudTrail(self.world), trails],
            "scheduler": [Scheduler(self.world, self.perform)],
        }
        behind = BehindKey(self.world, keys, access)
        self.services |= {service: [behind] for service in SERVICES}
        self._last: OrderedDict[tuple[str, str, str, bytes], Answer] = OrderedDict()

    def handle(self, environ: dict[str, Any], body: bytes, line: Line) -> Answer | None:
        """Answer one request; None means that the connection is to be dropped without an answer."""
        call = parse(environ, body)
        began = time.monotonic()
        trouble = self.world.troubles.pick(call)
        answer: Answer | None
        try:
            answer = self._in_trouble(call, trouble, line) if trouble else self.carry_out(call)
        except Exception:  # a bug in the lab: said in its log, and answered as AWS says it, so that nobody hangs
            log.exception("the lab failed at %s %s", call.service, call.operation)
            bug = AwsError("InternalFailure", "The gameday lab failed at this call; its log says where.", 500)
            answer = error_answer(bug, call.protocol, call.method, call.request_id)
        self._remember_call(call, answer, trouble, began)
        return answer

    def carry_out(self, call: Call) -> Answer:
        """Let the call happen: the lock is held from what is due to what is recorded."""
        world = self.world
        with world.lock:
            world.agenda.drain()
            self._introduce(call)
            call.notes["asked"] = dict(call.params)
            try:
                if call.signed in {"header", "malformed"} and not call.invoked_by:
                    check_header(call, world.moto, known_only=world.knobs.known_access_keys_only)
                answer = self._serve(call)
            except AwsError as error:
                answer = error_answer(error, call.protocol, call.method, call.request_id)
            stamp(answer, call.protocol, call.request_id)
            record_call(world, call, answer)
            self._keep(call, answer)
            return answer

    def perform(self, service: str, operation: str, params: dict[str, Any], caller: Caller, region: str) -> Answer:
        """Carry out a call that EventBridge Scheduler makes in a role's name."""
        call = service_call(service, operation, params, region)
        call.caller, call.invoked_by = caller, "scheduler.amazonaws.com"
        trouble = self.world.troubles.pick(call)
        if trouble and trouble.kind in {"throttle", "server_error", "refuse"}:
            answer = self._in_trouble(call, trouble, Line(None)) or Answer(500)
        else:
            answer = self.carry_out(call)
        self._remember_call(call, answer, trouble, time.monotonic())
        return answer

    def reset(self) -> None:
        """A new AWS with the same knobs."""
        with self.world.lock:
            self.world.agenda.clear()
            self.world.troubles.clear()
            self.world.moto.reset()
            self.world.calls.clear()
            self._last.clear()
            self._access.reset()
            for hooks in self.services.values():
                for hook in hooks:
                    hook.reset()

    def _serve(self, call: Call) -> Answer:
        hooks = self.services.get(call.service, [])
        answer: Answer | None = None
        if call.who.until is not None and call.who.until <= datetime.now(UTC):
            raise expired(call)
        if call.service not in {"kms", "s3"}:  # those find the key or the bucket first
            self._access.check(call)
        for hook in hooks:
            answer = answer or hook.before(call)
        if answer is None:
            answer = self.world.moto.ask(call)
            if self.world.moto.launches.made:
                self._ec2.launched(call)
            for hook in hooks:
                hook.after(call, answer)
        return answer

    def _introduce(self, call: Call) -> None:
        if call.service == "s3" and call.signed not in {"header", "query-v4"}:
            # Nothing but the bucket's name says in which partition such a request is.
            home = self.world.moto.region_of_bucket(call.bucket) or call.region
            call.region = call.region if partition(home) == partition(call.region) else home
        if call.caller is None:
            call.caller = self.world.moto.caller(call.region, call.access_key) if call.signed else ANONYMOUS

    # --- trouble

    def _in_trouble(self, call: Call, trouble: Trouble, line: Line) -> Answer | None:
        if trouble.kind == "throttle":
            return self._refuse(call, troubles.throttled(call))
        if trouble.kind == "server_error":
            return self._refuse(call, troubles.broken(call))
        if trouble.kind == "refuse":
            status = 403 if call.protocol in {"s3", "ec2"} or call.protocol == "query" else 400
            return self._refuse(call, AwsError(trouble.code, trouble.message or "refused by the lab", status))
        if trouble.kind == "hang":
            line.hold(trouble.seconds)
            return error_answer(troubles.unavailable(call), call.protocol, call.method, call.request_id)
        if trouble.kind == "late_effect":
            return self._late(call, trouble, line)
        if trouble.kind == "lost_response":
            self.carry_out(call)
            return None
        return self._stale(call)

    def _refuse(self, call: Call, error: AwsError) -> Answer:
        world = self.world
        with world.lock:
            world.agenda.drain()
            self._introduce(call)
            answer = error_answer(error, call.protocol, call.method, call.request_id)
            stamp(answer, call.protocol, call.request_id)
            record_call(world, call, answer)
        return answer

    def _late(self, call: Call, trouble: Trouble, line: Line) -> Answer | None:
        """The call waits on the agenda, so it lands whether or not its caller still listens."""
        landed: list[Answer] = []
        with self.world.lock:
            self.world.agenda.after(trouble.seconds, lambda: landed.append(self.carry_out(call)))

        def done() -> bool:
            with self.world.lock:
                self.world.agenda.drain()
            return bool(landed)

        line.hold(trouble.seconds + 1.0, done)
        return landed[0] if landed else None

    def _stale(self, call: Call) -> Answer:
        """Eventual consistency at its worst: the answer that the same question got last time."""
        with self.world.lock:
            old = self._last.get(_question(call))
        if old is None:
            return self.carry_out(call)
        answer = Answer(old.status, list(old.headers), old.body, old.error)
        stamp(answer, call.protocol, call.request_id)
        return answer

    def _keep(self, call: Call, answer: Answer) -> None:
        if len(answer.body) > SMALL or call.method not in {"GET", "POST", "HEAD"}:
            return
        self._last[_question(call)] = answer
        self._last.move_to_end(_question(call))
        while len(self._last) > REMEMBERED:
            self._last.popitem(last=False)

    def _remember_call(self, call: Call, answer: Answer | None, trouble: Trouble | None, began: float) -> None:
        error = error_in(answer) if answer is not None else None
        self.world.calls.append(
            {
                "time": time.time(),
                "service": call.service,
                "operation": call.operation,
                "user_agent": call.user_agent,
                "request_id": call.request_id,
                "access_key": call.access_key,
                "bucket": call.bucket,
                "key": call.key,
                "status": answer.status if answer is not None else 0,
                "outcome": "dropped" if answer is None else error[0] if error else "ok",
                "trouble": trouble.kind if trouble else None,
                "seconds": round(time.monotonic() - began, 6),
            }
        )


def _question(call: Call) -> tuple[str, str, str, bytes]:
    where = str(call.environ.get("RAW_URI", ""))
    return call.service, f"{call.method} {call.operation} {call.access_key}", where, call.body
