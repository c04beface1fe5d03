"""The one mechanism of ``keyusers``' table: ask the key in the caller's name, record it, and answer for the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .access import Access
from .keyusers import MISSING, ROWS, KeyUser
from .kms import Keys
from .motostores import UnderKey
from .shapes import Key
from .wire import Answer, AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

SERVICES = tuple(dict.fromkeys(row.service for row in ROWS))


class BehindKey:
    """Hooks of every service in the table."""

    behaviours: tuple[Behaviour, ...] = (
        *(row.behaviour() for row in ROWS),
        Behaviour("lambda", "Invoke answers 200 and null, and runs nothing: the lab has no Docker", "invented"),
        Behaviour("kms", "services that reuse data keys do so for data_key_reuse", "documented"),
    )

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self._keys = keys
        self._access = access
        self._warm: dict[tuple[str, str, str], float] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._warm.clear()

    def before(self, call: Call) -> Answer | None:
        """Ask for the keys that this call needs; a Lambda function's answer is the lab's own."""
        for row in ROWS:
            if row.service == call.service and call.operation in row.asks:
                for found in row.find(self._world.moto, call):
                    self._ask(call, row, found)
        if call.service == "lambda" and call.operation == "Invoke":
            return self._invoke(call)
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """A Lambda function whose key is off says so in its configuration."""
        if call.service != "lambda" or answer.status >= 400 or not call.operation.startswith("GetFunction"):
            return
        for found in self._world.moto.function(call):
            key = self._find(call, found)
            refusal = self._keys.refusal(key) if not isinstance(key, AwsError) else key
            if refusal is not None:
                data = answer.json()
                about = data.get("Configuration", data)
                if isinstance(about, dict):
                    kind = "DisabledKMSKey" if refusal.code == "DisabledException" else "InvalidStateKMSKey"
                    about |= {"State": "Inactive", "StateReasonCode": kind, "StateReason": refusal.message}
                    answer.body = json.dumps(data).encode()

    def _find(self, call: Call, found: UnderKey) -> Key | AwsError:
        try:
            return self._keys.find(call.region, found.key, call.who.account)
        except AwsError as error:
            return AwsError(MISSING, error.message, error.status)

    def _ask(self, call: Call, row: KeyUser, found: UnderKey) -> None:
        """Raises what the service says when the key cannot be used."""
        if found.key.startswith("alias/aws/"):
            return  # AWS' own key: nobody can take it away
        operation, via = row.asks[call.operation], row.via or row.service
        key = self._find(call, found)
        if isinstance(key, AwsError):
            raise row.error(key)
        warm = (row.service, found.name, operation)
        now = self._world.agenda.now()
        if row.reuses and now < self._warm.get(warm, now):
            return
        refusal = self._access.kms(call, key, operation, via, found.context) or self._keys.refusal(key)
        self._world.trail.on_behalf(
            call,
            operation,
            f"{via}.amazonaws.com",
            key_arn="" if refusal else key.arn,
            parameters={"encryptionContext": found.context, "keyId": key.arn},
            error=(refusal.code, refusal.message) if refusal else None,
        )
        if refusal is not None:
            raise row.error(refusal)
        self._warm[warm] = now + self._world.knobs.data_key_reuse

    def _invoke(self, call: Call) -> Answer | None:
        if self._world.moto.lambda_function(call) is None:
            return None  # moto names it
        event = call.header("x-amz-invocation-type") or "RequestResponse"
        status = {"RequestResponse": 200, "Event": 202, "DryRun": 204}.get(event, 200)
        headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")]
        return Answer(status, headers, b"null" if status == 200 else b"")
