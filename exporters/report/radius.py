"""The blast radius in a report: predicted and observed brought together."""

from __future__ import annotations

from exporters.radius import RadiusView
from exporters.report.model import Affected, Radius
from gameday.sdk import Dependent, Seen

_FIRST = ("unexpected", "as predicted", "spared", "", "silent")


def tell_radius(view: RadiusView) -> Radius:
    """Bring together who was predicted and what became of them; the surprises first."""
    predicted, observed = view.predicted, view.observed
    known = {(one.principal, one.service, one.resource): one for one in predicted.dependents}
    seen = observed.seen if observed else ()
    rows = [_affected(known.pop((one.principal, one.service, one.resource), None), one) for one in seen]
    rows += [_affected(one, None) for one in known.values()]
    return Radius(
        key=predicted.key,
        since=predicted.since,
        until=predicted.until,
        sizes=predicted.sizes,
        affected=tuple(sorted(rows, key=lambda row: _FIRST.index(row.fate))),
        latent=predicted.latent,
        left_out=max(predicted.left_out, observed.left_out if observed else 0),
        observed=observed is not None,
        counts={str(fate): number for fate, number in observed.counts.items()} if observed else {},
        refused=observed.refused if observed else 0,
        own=observed.own if observed else 0,
        unknown=tuple(dict.fromkeys((*predicted.unknown, *(observed.unknown if observed else ())))),
        coverage=tuple(dict.fromkeys((*predicted.coverage, *(observed.coverage if observed else ())))),
    )


def _affected(predicted: Dependent | None, seen: Seen | None) -> Affected:
    who = seen or predicted
    assert who is not None
    return Affected(
        principal=who.principal,
        service=who.service,
        resource=who.resource,
        why=predicted.why if predicted else "",
        uses=predicted.uses if predicted else 0,
        last_used=predicted.last_used if predicted else "",
        fate=seen.fate if seen else "",
        refused=seen.refused if seen else 0,
        effect=seen.effect if seen else None,
        recover=seen.recover if seen else None,
    )
