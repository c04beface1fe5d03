"""What an answer covers, in sentences; above all why it may be empty or too small."""

from __future__ import annotations

from collections.abc import Iterator

from gameday.blastradius._answer import Answer, Coverage, Trail

_NOT_LOGGED = "a denied call from another account is logged in that account alone"


def coverage_sentences(answer: Answer) -> list[str]:
    """What was looked at, what was not, and what no log can show; one sentence each, the gravest first."""
    return [*_why_empty(answer), *_missing(answer.coverage), *_looked_at(answer), *_trails(answer.coverage.trails)]


def incomplete_sentences(answer: Answer) -> list[str]:
    """What was asked for and not read; empty when the answer is complete."""
    coverage = answer.coverage
    if coverage.complete:
        return []
    blind = [one for one in _trails(coverage.trails) if "leaves KMS out" in one]
    return [*_missing(coverage), *blind]


def _why_empty(answer: Answer) -> Iterator[str]:
    if answer.rows:
        return
    coverage = answer.coverage
    yield "No use of the key was found. That is no proof that nobody depends on it:"
    if coverage.partial or coverage.skipped or coverage.gaps:
        yield "- not all was read (below)"
    if not (coverage.read_files or coverage.records):
        yield "- no record at all was read: the place, the window or the Region may be another"
    if not coverage.trails:
        yield "- no trail told whether it records KMS (ExcludeManagementEventSources leaves it out)"
    if coverage.accounts:
        yield f"- only the logs of {_some(coverage.accounts)} were at hand; {_NOT_LOGGED}"
    yield "- who holds a data key in memory (attached volumes, Bucket Keys, caches) does not ask KMS again for a while"
    yield "- events of the last minutes may not be delivered yet"


def _missing(coverage: Coverage) -> Iterator[str]:
    if coverage.partial:
        yield f"PARTIAL: {coverage.partial}; every number is a lower bound."
    for gap in coverage.gaps:
        yield f"INCOMPLETE: {gap}."
    for why, count in coverage.skipped.items():
        yield f"Not read, or not in full: {_count(count, 'file')} ({why}); every number is a lower bound."
    for name, why in coverage.examples[:3]:
        yield f"- {name}: {why}"
    if coverage.throttled:
        yield f"AWS asked to slow down {_count(coverage.throttled, 'time')}."
    if coverage.undated:
        yield f"{_count(coverage.undated, 'record')} about the key without a time that can be read: in no window."
    if coverage.unattributed:
        yield f"{_count(coverage.unattributed, 'refused call')} on KMS named no key, and may have been on this one."


def _looked_at(answer: Answer) -> Iterator[str]:
    coverage, window = answer.coverage, answer.window
    yield (
        f"Looked at {_some(coverage.sources)} from {window.since:%Y-%m-%d %H:%M:%S} up to "
        f"{window.until:%Y-%m-%d %H:%M:%S} UTC."
    )
    if coverage.files:
        days = dict.fromkeys(f"{day:%Y-%m-%d}" for day in (coverage.earliest, coverage.latest) if day)
        times = f", of {' to '.join(days)}" if days else ""
        yield (
            f"{coverage.read_files:,} of {_count(coverage.files, 'file')} read{times}: {_size(coverage.bytes)}, about "
            f"{_count(coverage.estimated_records, 'record')}."
        )
    if coverage.accounts or coverage.regions:
        yield f"Accounts: {_some(coverage.accounts) or 'unknown'}. Regions: {_some(coverage.regions) or 'unknown'}."
    if coverage.excluded:
        yield f"Left out, since they hold no calls: {', '.join(coverage.excluded)}."
    for why, count in coverage.left_out.items():
        what, _, rest = why.partition(" ")
        noun, colon = what.rstrip(":"), ":" * what.endswith(":")
        yield f"Left out: {_count(count, noun)}{colon} {rest}{_dates(answer, rest)}."
    if coverage.repeated:
        yield f"{_count(coverage.repeated, 'repeated record')} counted once."
    yield from coverage.notes
    if answer.rows:
        yield f"Delivery takes about five minutes without a guarantee, and {_NOT_LOGGED}."


def _trails(trails: tuple[Trail, ...]) -> Iterator[str]:
    for trail in trails:
        if trail.excludes_kms:
            yield f"Trail {trail.name} leaves KMS out: its files are blind to every use of a key."
        if trail.logging is False:
            yield f"Trail {trail.name} is not logging."
        if trail.data_events is False:
            yield f"Trail {trail.name} has no data events: S3's reads themselves are not in it, KMS' Decrypt is."


def _dates(answer: Answer, why: str) -> str:
    if why != "outside the window" or not answer.coverage.outside:
        return ""
    first, last = answer.coverage.outside
    earlier = first <= f"{answer.window.since:%Y-%m}"[: len(first)]
    option = "--since reaches further back" if earlier else "--until reaches further"
    return f", of {first}{f' to {last}' if last != first else ''}: {option}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, {"B": "kB", "kB": "MB", "MB": "GB"}.get(unit, "TB")
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
