"""``gameday --help``: the commands in the order in which people need them, each with one whole sentence."""

from __future__ import annotations

import textwrap

import click

from gameday.errors import ExitCode

SECTIONS = {
    "Prepare": {
        "validate": "Check playbooks and report every mistake at once.",
        "plan": "Show what a run would change, and how it is undone.",
        "drill": "Do the preflight alone: prove the undo, change nothing.",
        "stage": "Make what a playbook needs and is missing.",
        "unstage": "Remove what gameday stage made, and nothing else.",
        "iam-policy": "Print the least IAM policies for a playbook.",
        "blast-radius": "Show who used a key, for what, and when last.",
    },
    "Run": {
        "run": "Run a playbook: break, watch, put back, prove.",
        "schedule": "Run playbooks by their calendar, until stopped.",
        "watch": "Watch a playbook's probes without breaking anything.",
    },
    "Stop and put back": {
        "rollback": "Put back what a run left changed.",
        "halt": "Make every run roll back now, and let none begin.",
        "resume": "End a halt.",
        "abandon": "Leave what a run changed as it is: a real incident.",
    },
    "Look": {
        "status": "Show what runs, what is held, what is still changed.",
        "history": "List past runs, newest first.",
        "show": "Replay a past run.",
        "report": "Write a past run's report: HTML, JSON, JUnit, Markdown.",
        "verify": "Check that the journal of a run is as it was written.",
    },
    "Serve and look up": {
        "lab": "Serve the embedded AWS on loopback.",
        "dashboards": "Write Grafana dashboards and Prometheus rules.",
        "probes": "List the probes.",
        "faults": "List the faults.",
        "prerequisites": "List what a playbook can need to be there.",
        "exporters": "List the exporters that the environment switches on.",
        "schema": "Print the JSON Schema of a playbook, for editors.",
    },
}
"""Each section's commands with their summaries; a test holds it to the commands that there are."""


def exit_codes() -> str:
    """The table of exit codes, as it stands below the help; no line is longer than 78 characters."""
    lines = ["\b", "Exit codes:"]
    for code in ExitCode:
        lines += textwrap.wrap(code.meaning, 76, initial_indent=f"  {code:<3d} ", subsequent_indent="      ")
    return "\n".join(lines)


class Sections(click.Group):
    """A group whose help shows its commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section as a list; what no section names comes last."""
        named = {name for commands in SECTIONS.values() for name in commands}
        rest = {name: self.commands[name].get_short_help_str() for name in self.commands if name not in named}
        for title, commands in {**SECTIONS, "More": rest}.items():
            if commands:
                with formatter.section(title):
                    formatter.write_dl([*commands.items()])
