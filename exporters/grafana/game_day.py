"""The dashboard of one game day as it happens."""

from __future__ import annotations

from exporters.grafana.board import BOOK, ERRORS, GOOD_AT_0, GOOD_AT_1, OWNED, SHARE, UP_DOWN, Board, Panel, newest

MARGIN = f"{newest('guard_fails_limit', 'playbook, probe')} - {newest('guard_fails', 'playbook, probe')}"
BY_SERVICE = (
    f"sum by (target, uses, role, cause) (rate({ERRORS}[$__rate_interval]) * on ({OWNED}, probe) "
    f"group_left (uses, role) max by ({OWNED}, probe, uses, role) (gameday_probe_info))"
)
SLOWEST = (
    "histogram_quantile(0.99, sum by (le, target, probe) "
    f"(rate(gameday_probe_latency_seconds_bucket{{{BOOK}}}[$__rate_interval])))"
)

GAME_DAY = Board(
    uid="gameday-run",
    title="Game day",
    about="One game day as it happens: how long the key has been off, what went dark, what stayed up, what came back.",
    since="now-30m",
    refresh="5s",
    rows=(
        (
            "Will it be put back?",
            (
                Panel(
                    "Key off, of max_fault",
                    "How much of the time that the fault may last has been used. At 100 % rollback begins.",
                    "bars",
                    (
                        (
                            "gameday:fault_seconds:max{" + BOOK + "} / gameday:max_fault_seconds:max{" + BOOK + "}",
                            "{{playbook}} {{target}}",
                        ),
                    ),
                    "percentunit",
                    6,
                    steps=SHARE,
                ),
                Panel(
                    "Open undo steps",
                    "Changes that may be in place. Red outside a game day: gameday status says what to do.",
                    "stat",
                    ((newest("undo_steps_open", "playbook"), "{{playbook}} {{target}}"),),
                    width=4,
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "Watchdog",
                    "A second process that puts things back should the run's own be gone.",
                    "stat",
                    ((newest("watchdog_armed", "playbook"), "{{playbook}} {{target}}"),),
                    width=4,
                    words=(("0", "no run", "text"), ("1", "armed", "green")),
                ),
                Panel(
                    "Dead man's switch",
                    "Schedules in AWS that put things back should this machine not be there.",
                    "stat",
                    ((newest("dead_man_switch_armed", "playbook"), "{{playbook}} {{target}}"),),
                    width=4,
                    words=(("0", "not armed", "text"), ("1", "armed", "green")),
                ),
                Panel(
                    "Phase",
                    "Where the run is; annotations show the same over all panels.",
                    "states",
                    ((newest("run_phase", "playbook, phase") + " > 0", "{{playbook}} {{target}} {{phase}}"),),
                    width=6,
                    words=(("1", "now", "blue"),),
                ),
            ),
        ),
        (
            "What goes dark, and what comes back",
            (
                Panel(
                    "Probes",
                    "What each probe's last look found, whatever the phase.",
                    "states",
                    ((newest("probe_up", "playbook, probe"), "{{target}} {{probe}}"),),
                    width=24,
                    steps=GOOD_AT_1,
                    words=UP_DOWN,
                ),
                Panel(
                    "Time to effect",
                    "From the inject until the first new answer was there; the effect lies between the two.",
                    "bars",
                    (
                        (newest("time_to_effect_seconds", "playbook, probe, bound"), "{{target}} {{probe}} {{bound}}"),
                        (
                            newest("probe_limit_seconds", "playbook, probe", ', phase="fault"'),
                            "{{target}} {{probe}} limit",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Time to recover",
                    "From the undo until the resource itself was back, beside the time that it may take.",
                    "bars",
                    (
                        (newest("time_to_recover_seconds", "playbook, probe, bound"), "{{target}} {{probe}} {{bound}}"),
                        (
                            newest("probe_limit_seconds", "playbook, probe", ', phase="recovery"'),
                            "{{target}} {{probe}} limit",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Leaks",
                    "Looks that succeeded after the effect had been seen: a cache, a warm session, another way in.",
                    "stat",
                    ((newest("leaks_total", "playbook, probe"), "{{target}} {{probe}}"),),
                    width=8,
                    steps=GOOD_AT_0,
                ),
                Panel(
                    "Latency, 99th percentile",
                    "By probe; an outage may begin as slowness.",
                    "lines",
                    (
                        (
                            SLOWEST,
                            "{{target}} {{probe}}",
                        ),
                    ),
                    "s",
                    16,
                ),
            ),
        ),
        (
            "What must stay up",
            (
                Panel(
                    "Margin of the business guards",
                    "Failing looks that are left before the guard ends the fault.",
                    "lines",
                    (
                        (
                            MARGIN,
                            "{{target}} {{probe}}",
                        ),
                    ),
                ),
                Panel(
                    "Errors by service and role",
                    "Refused looks a second, by what was asked (kms.…, s3.…) and as whom.",
                    "lines",
                    (
                        (
                            BY_SERVICE,
                            "{{target}} {{uses}} {{role}} {{cause}}",
                        ),
                    ),
                    "reqps",
                ),
            ),
        ),
        (
            "Blast radius",
            (
                Panel(
                    "Predicted",
                    "Who and what depends on the key, by what is counted; latent is what fails or comes back later.",
                    "bars",
                    ((newest("radius_predicted", "playbook, of"), "{{target}} {{of}}"),),
                    width=8,
                ),
                Panel(
                    "Observed",
                    "What became of them in the last run, as CloudTrail shows. Unexpected should be none.",
                    "bars",
                    ((newest("radius_observed", "playbook, fate"), "{{target}} {{fate}}"),),
                    width=8,
                ),
                Panel(
                    "Refused calls",
                    "Of others than gameday, in the last run.",
                    "stat",
                    ((newest("radius_refused_calls", "playbook"), "{{playbook}} {{target}}"),),
                    width=4,
                ),
                Panel(
                    "Detection delay",
                    "From the first refused call, and from the put back, until CloudTrail was seen to show it.",
                    "bars",
                    ((newest("radius_detection_seconds", "playbook, of"), "{{target}} {{of}}"),),
                    "s",
                    4,
                ),
            ),
        ),
    ),
)
