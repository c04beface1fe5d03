"""What a run counts of its blast radius: predicted, observed, and how late it could be seen."""

from __future__ import annotations

from exporters.fold import RunView
from exporters.prometheus_families import Families
from exporters.text import wall_clock
from gameday.sdk import RadiusObserved


def predicted(families: Families, playbook: str, view: RunView) -> None:
    """A key's blast radius was predicted; what was observed in the run before is no longer told."""
    gauge, said = families.gauge("radius_predicted"), [one.predicted for one in view.radius.values()]
    for name in ("dependents", "principals", "services", "resources"):
        gauge.labels(playbook, name).set(sum(getattr(one.sizes, name) for one in said))
    gauge.labels(playbook, "latent").set(sum(len(one.latent) for one in said))
    gauge.labels(playbook, "unknown").set(sum(len(one.unknown) for one in said))
    for family in ("radius_observed", "radius_refused_calls", "radius_detection_seconds"):
        families.gauge(family).remove_by_labels({"playbook": playbook})


def observed(families: Families, playbook: str, view: RunView, event: RadiusObserved, wall: float) -> None:
    """CloudTrail told, at the time ``wall``, what became of them."""
    seen = [one.observed for one in view.radius.values() if one.observed is not None]
    for fate in event.counts:
        families.gauge("radius_observed").labels(playbook, fate).set(sum(one.counts.get(fate, 0) for one in seen))
    families.gauge("radius_refused_calls").labels(playbook).set(sum(one.refused for one in seen))
    delay = families.gauge("radius_detection_seconds")
    if event.first_refused:
        delay.labels(playbook, "refused_call").set(max(0.0, wall - wall_clock(event.first_refused)))
    if event.delivered_after is not None:
        delay.labels(playbook, "put_back").set(event.delivered_after)
