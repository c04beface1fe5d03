"""The dashboard of what is still changed, and of what puts it back."""

from __future__ import annotations

from exporters.grafana.board import AS_EXPECTED, AT, GOOD_AT_0, GOOD_AT_1, PLACE, Board, Panel, newest

AGE = (
    f"(time() - {newest('undo_steps_oldest_timestamp_seconds', 'playbook')}) "
    f"* ({newest('undo_steps_open', 'playbook')} > bool 0)"
)

SAFETY = Board(
    uid="gameday-safety",
    title="Safety",
    about="Is anything still changed, and is what puts it back in order?",
    since="now-30d",
    refresh="1m",
    rows=(
        (
            "Open",
            (
                Panel(
                    "Open undo steps",
                    "Changes that may be in place.",
                    "stat",
                    ((newest("undo_steps_open", "playbook"), "{{playbook}} {{target}}"),),
                    width=6,
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "Age of the oldest",
                    "Since it was written down.",
                    "stat",
                    (
                        (
                            AGE,
                            "{{playbook}} {{target}}",
                        ),
                    ),
                    "s",
                    6,
                    steps=((None, "green"), (300, "orange"), (600, "red")),
                ),
                Panel(
                    "Open undo steps over time",
                    "A rise that does not come down is a rollback that nobody finished.",
                    "lines",
                    ((newest("undo_steps_open", "playbook"), "{{playbook}} {{target}}"),),
                ),
            ),
        ),
        (
            "Rollbacks",
            (
                Panel(
                    "Rollback time",
                    "How long the last one took.",
                    "lines",
                    ((newest("rollback_seconds", "playbook"), "{{playbook}} {{target}}"),),
                    "s",
                ),
                Panel(
                    "Who put it back",
                    "Rollbacks finished, by who did it and whether all of it was put back.",
                    "stat",
                    ((newest("rollbacks_total", "playbook, by, outcome"), "{{by}} {{outcome}}"),),
                ),
                Panel(
                    "Failed attempts to undo",
                    "Each is tried again until it succeeds.",
                    "stat",
                    ((newest("rollback_failures_total", "playbook"), "{{playbook}} {{target}}"),),
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "Last verdict",
                    "Of each playbook.",
                    "states",
                    (
                        (
                            newest("run_last_verdict", "playbook, verdict") + " > 0",
                            "{{playbook}} {{target}} {{verdict}}",
                        ),
                    ),
                    words=(("1", "last", "blue"),),
                ),
            ),
        ),
        (
            "Schedule",
            (
                Panel(
                    "Since the last game day that passed",
                    "A control that has not been rehearsed for long is a hope.",
                    "stat",
                    (
                        (
                            f"time() - {newest('run_last_passed_timestamp_seconds', 'playbook')}",
                            "{{playbook}} {{target}}",
                        ),
                    ),
                    "s",
                    8,
                    steps=((None, "green"), (1209600, "orange"), (2592000, "red")),
                ),
                Panel(
                    "Until the next",
                    "Below zero it is overdue. Served by gameday schedule.",
                    "stat",
                    (
                        (
                            f"max by (name, {PLACE}) (gameday_schedule_next_due_timestamp_seconds{{{AT}}}) - time()",
                            "{{name}}",
                        ),
                    ),
                    "s",
                    8,
                    steps=((None, "red"), (0, "green")),
                ),
                Panel(
                    "Missed or skipped",
                    "Game days that were due and did not begin.",
                    "stat",
                    (
                        (
                            f'sum by (name, {PLACE}) (gameday_schedule_due_total{{{AT}, outcome=~"missed|skipped"}})',
                            "{{name}}",
                        ),
                    ),
                    width=8,
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "Journal",
                    "Whether it could be read.",
                    "stat",
                    (("min(gameday_journal_up)", "journal"),),
                    width=8,
                    steps=GOOD_AT_1,
                    words=AS_EXPECTED,
                ),
            ),
        ),
    ),
)
