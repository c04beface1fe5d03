"""A dry run proves a permission only where the endpoint says DryRunOperation; a plain yes is an alarm."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from gameday.aws.answers import Answering
from gameday.errors import CannotInject
from gameday.sdk import AWS, dry_run


class Silent:
    """As much of a session as a dry run needs."""

    def answering(self) -> Answering:
        return Answering(lambda: "")


def asked(answer: Exception | dict[str, Any], **how: Any) -> None:
    def call() -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    dry_run(cast(AWS, Silent()), "ec2:CreateVolume", call, find="look for gameday:run=7f3a", **how)


def refusal(code: str, status: int = 400) -> ClientError:
    said = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(cast(Any, said), "CreateVolume")


@pytest.mark.parametrize("code", ["DryRunOperation", "VolumeInUse", "InvalidVolume.NotFound"])
def test_a_dry_run_that_is_permitted_or_says_nothing_lets_the_run_go_on(code: str) -> None:
    asked(refusal(code, 412))


@pytest.mark.parametrize(
    "answer",
    [
        refusal("UnauthorizedOperation", 403),
        refusal("RequestLimitExceeded", 503),
        refusal("InternalError", 500),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_what_denies_the_permission_or_leaves_it_open_refuses(answer: Exception) -> None:
    with pytest.raises(CannotInject, match="ec2:CreateVolume is not permitted"):
        asked(answer)


def test_a_dry_run_that_was_carried_out_says_what_may_have_been_made_and_how_to_find_it() -> None:
    with pytest.raises(CannotInject) as caught:
        asked({"VolumeId": "vol-0123456789abcdef0", "Attachments": [{"InstanceId": "i-0abc123def4567890"}]})
    for word in ("carried it out", "i-0abc123def4567890, vol-0123456789abcdef0", "gameday:run=7f3a", "DryRun"):
        assert word in str(caught.value)


def test_only_the_refusals_that_are_named_are_fine_where_they_are_named() -> None:
    asked(refusal("IncorrectState"), fine=("IncorrectState",))
    with pytest.raises(CannotInject):
        asked(refusal("InvalidInstanceID.NotFound"), fine=("IncorrectState",))
