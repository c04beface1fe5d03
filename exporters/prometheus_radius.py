"""What a run counts of its blast radius: predicted, observed, and how late it could be seen."""

from __future__ import annotations

from exporters.fold import RunView
from exporters.prometheus_families import Families, Owned
from exporters.text import wall_clock
from gameday.sdk import RadiusObserved


def predicted(families: Families, of: Owned, view: RunView) -> None:
    """A key's blast radius was predicted; what was observed in the run before is no longer told."""
    gauge, said = families.gauge("radius_predicted"), [one.predicted for one in view.radius.values()]
    for name in ("dependents", "principals", "services", "resources"):
        gauge.labels(*of, name).set(sum(getattr(one.sizes, name) for one in said))
    gauge.labels(*of, "latent").set(sum(len(one.latent) for one in said))
    gauge.labels(*of, "unknown").set(sum(len(one.unknown) for one in said))
    for family in ("radius_observed", "radius_refused_calls", "radius_detection_seconds"):
        families.gauge(family).remove_by_labels(of._asdict())


def observed(families: Families, of: Owned, view: RunView, event: RadiusObserved, wall: float) -> None:
    """CloudTrail told, at the time ``wall``, what became of them."""
    seen = [one.observed for one in view.radius.values() if one.observed is not None]
    for fate in event.counts:
        families.gauge("radius_observed").labels(*of, fate).set(sum(one.counts.get(fate, 0) for one in seen))
    families.gauge("radius_refused_calls").labels(*of).set(sum(one.refused for one in seen))
    delay = families.gauge("radius_detection_seconds")
    if event.first_refused:
        delay.labels(*of, "refused_call").set(max(0.0, wall - wall_clock(event.first_refused)))
    if event.delivered_after is not None:
        delay.labels(*of, "put_back").set(event.delivered_after)
