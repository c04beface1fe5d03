"""The dashboard of what is watched between game days."""

from __future__ import annotations

from exporters.grafana.board import AS_EXPECTED, AT, BOOK, ERRORS, GOOD_AT_0, GOOD_AT_1, OWNED, Board, Panel, newest

WATCHED = f'on ({OWNED}, probe) gameday_probe_success{{{BOOK}, phase="watch"}}'
"""Left out is what only a run looks at: a boot, evidence."""
AGE = f"time() - {newest('probe_last_observation_timestamp_seconds', 'playbook, probe')} and {WATCHED}"
LATE = f"histogram_quantile(0.99, sum by (le) (rate(gameday_watch_lateness_seconds_bucket{{{AT}}}[$__rate_interval])))"

PROBES = Board(
    uid="gameday-probes",
    title="Probes",
    about="What gameday watch sees between game days, over weeks.",
    since="now-7d",
    refresh="1m",
    rows=(
        (
            "The fleet",
            (
                Panel(
                    "Watched",
                    "Probes that gameday watch looks with.",
                    "stat",
                    ((f"sum(gameday_watch_probes{{{AT}}})", "probes"),),
                    width=4,
                ),
                Panel(
                    "Not as expected",
                    "Probes whose last look was not what the baseline expects.",
                    "stat",
                    (
                        (
                            f"count({newest('probe_expected', 'playbook, probe')} == 0 and {WATCHED}) or vector(0)",
                            "probes",
                        ),
                    ),
                    width=4,
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "As expected, share of the last hour",
                    "Of the looks that said something.",
                    "bars",
                    (
                        (
                            "gameday:probe_expected:avg1h{" + BOOK + "} and " + WATCHED,
                            "{{playbook}} {{target}} {{probe}}",
                        ),
                    ),
                    "percentunit",
                    16,
                    steps=((None, "red"), (0.99, "orange"), (0.999, "green")),
                ),
                Panel(
                    "As expected",
                    "Each probe over the time chosen.",
                    "states",
                    (
                        (
                            newest("probe_expected", "playbook, probe") + " and " + WATCHED,
                            "{{playbook}} {{target}} {{probe}}",
                        ),
                    ),
                    width=24,
                    height=10,
                    steps=GOOD_AT_1,
                    words=AS_EXPECTED,
                ),
            ),
        ),
        (
            "How they answer",
            (
                Panel(
                    "Latency, 99th percentile",
                    "By probe.",
                    "lines",
                    (("gameday:probe_latency_seconds:p99_5m{" + BOOK + "}", "{{playbook}} {{target}} {{probe}}"),),
                    "s",
                ),
                Panel(
                    "Answers by cause",
                    "Looks a second that were refused or said nothing, by why.",
                    "lines",
                    ((f"sum by (cause) (rate({ERRORS}[$__rate_interval]))", "{{cause}}"),),
                    "reqps",
                ),
                Panel(
                    "Since the last look",
                    "A probe that does not look sees nothing.",
                    "lines",
                    (
                        (
                            AGE,
                            "{{playbook}} {{target}} {{probe}}",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Lateness of the watch, 99th percentile",
                    "Above a tenth of a second the machine has too little CPU for what it watches.",
                    "lines",
                    (
                        (
                            LATE,
                            "p99",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Looks left out",
                    "A second, because the one before had not been answered.",
                    "lines",
                    (
                        (
                            f"sum by ({OWNED}, probe) (rate(gameday_watch_skipped_total{{{BOOK}}}[$__rate_interval]))",
                            "{{playbook}} {{target}} {{probe}}",
                        ),
                    ),
                ),
                Panel(
                    "Threads that look",
                    "16 unless targets hang.",
                    "lines",
                    ((f"sum(gameday_watch_workers{{{AT}}})", "threads"),),
                ),
            ),
        ),
    ),
)
