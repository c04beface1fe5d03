"""The commands and their options; nothing heavy is imported here."""

from __future__ import annotations

import click

from gameday import __version__
from gameday.cli import completion
from gameday.cli.blast_radius_command import blast_radius
from gameday.cli.dashboards_command import dashboards
from gameday.cli.halt_command import abandon, halt, resume
from gameday.cli.help import Sections, exit_codes
from gameday.cli.history_command import history, status
from gameday.cli.options import journal_option, quick_imports, target_options, vars_option
from gameday.cli.report_command import report, verify
from gameday.cli.schedule_command import schedule
from gameday.cli.watch_command import watch


@click.group(cls=Sections, epilog=exit_codes(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gameday")
def gameday() -> None:
    """Rehearse the revocation of an AWS KMS key: break it, watch, always put it back, and prove it."""


@gameday.command()
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on standard output; people read stderr.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics on 127.0.0.1:PORT.")
@click.option("--metrics-textfile", type=click.Path(dir_okay=False), help="Leave metrics for the node exporter.")
@click.option("--metrics-push", metavar="URL", envvar="GAMEDAY_METRICS_PUSH", help="Push metrics to a Pushgateway.")
@click.option("--report", type=click.Path(file_okay=False), help="Write the report (HTML, JSON, JUnit, Markdown) here.")
def run(**options: object) -> None:
    """Run PLAYBOOK: baseline, fault, rollback, recovery, evidence, verdict.

    PLAYBOOK is a file, or the name of one that ships with gameday (killswitch.yaml). Without --target it runs on an
    embedded lab; no real account is touched unless --target names it.
    """
    with quick_imports():
        from gameday.cli.run import run_playbook

    run_playbook(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command()
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...", shell_complete=completion.playbooks)
@vars_option
@click.option("--target", metavar="FILE.yaml", help="The target file that they are to run with; it is checked too.")
def validate(playbooks: tuple[str, ...], var: tuple[str, ...], target: str | None) -> None:
    """Check playbooks; every mistake is reported at once."""
    with quick_imports():
        from gameday.cli.catalogue import validate_playbooks

    validate_playbooks(playbooks, var, target)


@gameday.command()
@click.option("--report", "of", flag_value="report", help="Print the JSON report's schema instead.")
@click.option("--target", "of", flag_value="target", help="Print a target file's schema instead.")
def schema(of: str | None) -> None:
    """Print the JSON Schema of a playbook, for editors."""
    from gameday.cli.catalogue import print_schema

    print_schema(of)


@gameday.command()
@click.option("--markdown", is_flag=True, help="As docs/probes.md is made.")
def probes(markdown: bool) -> None:
    """List the probes: what each looks at, its parameters and permissions."""
    from gameday.cli.catalogue import print_parts

    print_parts("probes", markdown=markdown)


@gameday.command()
@click.option("--markdown", is_flag=True, help="As docs/faults.md is made.")
def faults(markdown: bool) -> None:
    """List the faults: what each breaks and how it is undone, its parameters and permissions."""
    from gameday.cli.catalogue import print_parts

    print_parts("faults", markdown=markdown)


@gameday.command()
@click.option("--markdown", is_flag=True, help="As docs/prerequisites.md is made.")
def prerequisites(markdown: bool) -> None:
    """List what a playbook can need to be there (its `stage:`), and what `gameday stage` makes."""
    from gameday.cli.catalogue import print_parts

    print_parts("prerequisites", markdown=markdown)


@gameday.command()
@click.option("--markdown", is_flag=True, help="As docs/exporters.md is made.")
def exporters(markdown: bool) -> None:
    """List the exporters that the environment switches on."""
    from gameday.cli.catalogue import print_exporters

    print_exporters(markdown=markdown)


@gameday.command()
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
@journal_option
def plan(**options: object) -> None:
    """Say what a run of PLAYBOOK would change, call by call, and what preflight would refuse; writes nothing."""
    from gameday.cli.plan import plan_playbook

    plan_playbook(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command()
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
@journal_option
def drill(**options: object) -> None:
    """Do the preflight of PLAYBOOK alone: prove the undo (EnableKey on the enabled key), change nothing."""
    from gameday.cli.plan import drill_playbook

    drill_playbook(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command("iam-policy")
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
@journal_option
def iam_policy(**options: object) -> None:
    """Print the least IAM policies for running PLAYBOOK and for rolling it back, scoped to its resources."""
    from gameday.cli.plan import print_policies

    print_policies(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command()
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
def stage(**options: object) -> None:
    """Make what PLAYBOOK needs and is missing, tagged; what exists is checked and never altered."""
    from gameday.cli.stage import stage_playbook

    stage_playbook(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command()
@click.argument("playbook", shell_complete=completion.playbooks)
@vars_option
@target_options
def unstage(**options: object) -> None:
    """Remove what gameday stage made for PLAYBOOK, and nothing else."""
    from gameday.cli.stage import unstage_playbook

    unstage_playbook(**options)  # type: ignore[arg-type]  # click made them so


@gameday.command()
@click.argument("run", required=False, shell_complete=completion.runs)
@click.option("--all", "all_", is_flag=True, help="The open undo steps of every run that has ended.")
@click.option("--within", default="2m", show_default=True, help="How long to try, e.g. 90s or 10m.")
@click.option("--ours", is_flag=True, help="You know that a key which RUN may have disabled was disabled by RUN.")
@journal_option
def rollback(run: str | None, all_: bool, within: str, ours: bool, journal: str | None) -> None:
    """Put back what a run left changed: RUN is its id, or the beginning of it.

    A key of which RUN did not live to say that it had disabled it is enabled only when CloudTrail shows that RUN did,
    or with --ours: somebody else may have disabled it since.
    """
    from gameday.cli.rollback import roll_back_runs

    roll_back_runs(run, all_=all_, within=within, ours=ours, place=journal)


@gameday.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="The events as JSON lines.")
@journal_option
def show(run: str, as_json: bool, journal: str | None) -> None:
    """Tell a past run again from the journal: RUN is its id, or the beginning of it."""
    from gameday.cli.history import print_run

    print_run(journal, run, as_json=as_json)


@gameday.command()
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 for any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--preset", type=click.Choice(["instant", "brisk", "aws"]), default="instant", show_default=True)
@click.option("--set", "knobs", multiple=True, metavar="KNOB=VALUE", help="One knob; repeatable.")
@click.option("--describe", is_flag=True, help="List what the lab enforces, and where each line comes from.")
def lab(port: int, host: str, preset: str, knobs: tuple[str, ...], describe: bool) -> None:
    """Serve the embedded AWS on loopback; its URL is the first line of standard output."""
    from gameday.lab.__main__ import main

    arguments = ["--port", str(port), "--host", host, "--preset", preset]
    arguments += [word for knob in knobs for word in ("--set", knob)] + ["--describe"] * describe
    raise SystemExit(main(arguments))


for command in (blast_radius, report, verify, status, history, halt, resume, abandon, watch, schedule, dashboards):
    gameday.add_command(command)
