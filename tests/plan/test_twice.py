"""Two faults, or two probes, of one kind on one resource."""

from __future__ import annotations

from typing import Any

from gameday.engine.prepare import twice
from gameday.journal import StepRecord


def record(number: int, **changes: Any) -> StepRecord:
    place: dict[str, Any] = {"params": {}, "step": "x", "rank": 0, "order": 0, "before": {}, "chain": number}
    place |= {"run": "r", "id": f"s{number}", "uses": "kms.disable_key", "resource": "arn:key", **changes}
    return StepRecord(**place)


def test_the_second_fault_of_a_kind_on_a_resource_is_refused() -> None:
    assert "kms.disable_key" in twice({"a": record(0), "b": record(1)})


def test_the_second_probe_that_changes_a_resource_is_refused() -> None:
    """One by name, and the same instance once more by its tag."""
    pair = {str(number): record(number, uses="ec2.boot", probe=f"boot#{number}") for number in (1, 2)}
    assert twice(pair).startswith("two probes ec2.boot name arn:key")


def test_steps_of_one_fault_other_kinds_other_resources_and_probes_are_not() -> None:
    others = (record(0, order=1), record(1, uses="kms.deny"), record(2, resource="arn:other"), record(3, probe="boot"))
    for other in others:
        assert not twice({"a": record(0), "b": other})
