"""The blast radius of a run in a line, and in the few that its summary has room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.text import clean, count, short, span
from gameday.sdk import Fate, Gap, Latent, RadiusObserved, RadiusPredicted, Seen

_FATES: dict[Fate, str] = {
    "as predicted": "refused as predicted",
    "unexpected": "refused unexpectedly",
    "spared": "spared",
    "silent": "silent",
}
"""What became of others than gameday, and the words for it: those who were silent made no call meanwhile."""
_SHOWN = 5
DOT = " \N{MIDDLE DOT} "


@dataclass
class RadiusView:
    """What was predicted for one key, and what CloudTrail showed."""

    predicted: RadiusPredicted
    observed: RadiusObserved | None = None

    @property
    def unexpected(self) -> int:
        """How many were refused whom nobody predicted."""
        return self.observed.counts.get("unexpected", 0) if self.observed else 0

    def line(self, dark: int) -> str:
        """``predicted 4 · CloudTrail pending · gameday's own probes dark: 1``.

        Predicted, refused and silent are others than gameday, before and after CloudTrail has shown what became of
        them. ``dark`` is how many of the run's own probes were refused, which is known at once.
        """
        predicted = f"predicted {self.predicted.sizes.dependents}"
        if self.observed is None:
            return DOT.join([predicted, "CloudTrail pending", f"gameday's own probes dark: {dark}"])
        return DOT.join(
            [predicted, *(f"{words} {self.observed.counts.get(fate, 0)}" for fate, words in _FATES.items())]
        )

    def story(self) -> Iterator[str]:
        """What a summary says: sizes, what became of them, and each surprise."""
        said, sizes = self.predicted, self.predicted.sizes
        latent = f", {count(len(said.latent), 'latent one', 'latent ones')}" if said.latent else ""
        named = [(sizes.principals, "principal"), (sizes.services, "service"), (sizes.resources, "resource")]
        counts = ", ".join(count(number, name) for number, name in named)
        yield f"{sizes.dependents} predicted: {counts}{latent}"
        yield from (f"not known for certain: {clean(why)}" for why in said.unknown[:_SHOWN])
        if self.observed is None:
            yield "observed: CloudTrail did not show it"
        else:
            yield from self._observed(self.observed)
        yield from (_latent(one) for one in said.latent[:_SHOWN])
        if len(said.latent) > _SHOWN:
            yield f"and {len(said.latent) - _SHOWN} more latent ones"

    def _observed(self, found: RadiusObserved) -> Iterator[str]:
        counts = ", ".join(f"{found.counts.get(fate, 0)} {words}" for fate, words in _FATES.items())
        yield f"observed: {counts}; {count(found.refused, 'refused call')}, besides {found.own} of gameday's own"
        yield from (f"not known for certain: {clean(why)}" for why in found.unknown[:_SHOWN])
        told = [one for one in found.seen if one.fate == "unexpected"]
        told += [one for one in found.seen if one.fate == "as predicted"]
        yield from (_seen(one) for one in told[:_SHOWN])
        if len(told) > _SHOWN:
            yield f"and {len(told) - _SHOWN} more: gameday show RUN --json has each"


def _seen(one: Seen) -> str:
    who = clean(f"{short(one.principal)} through {one.service.removesuffix('.amazonaws.com') or 'AWS'}")
    what = clean(f" for {short(one.resource)}") if one.resource else ""
    times = [f"refused {count(one.refused, 'time')}"]
    times += [f"after {_gap(one.effect)}"] if one.effect else []
    times += [f"back after {_gap(one.recover)}"] if one.recover else ["not seen to come back"]
    return f"{one.fate.upper() if one.fate == 'unexpected' else one.fate}: {who}{what}: {', '.join(times)}"


def _gap(gap: Gap) -> str:
    return f"{span(gap.after)} to {span(gap.by)}" if gap.by > gap.after else span(gap.by)


def _latent(one: Latent) -> str:
    needs = f"; needs {clean(one.needs)}" if one.needs else ""
    by = f" within {clean(one.by)}" if one.by else ""
    return f"latent: {clean(short(one.resource))}: {clean(one.when)}{needs}{by}"
