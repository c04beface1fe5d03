"""``gameday plan``, ``iam-policy`` and ``drill``: what a run would do, before it does anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import click

from exporters.lines import checked
from exporters.parts import is_key
from exporters.text import count, short, span
from gameday.cli.journals import warn_of_open_steps
from gameday.cli.say import say
from gameday.cli.target_options import journal_of, journal_words, playbook_on_target
from gameday.engine.iam import policies
from gameday.engine.plan import Plan, make_plan
from gameday.engine.prepare import foreseeable, prepare
from gameday.errors import Refused
from gameday.journal import Journal, Owner
from gameday.journal.sql import SqlJournal, default_place
from gameday.playbook import Playbook
from gameday.rollback.hands import rehearse
from gameday.sdk import AnyEvent, Latent, Phase, PreflightChecked, Switch, format_duration
from gameday.target import Target, reopen

Options = dict[str, str | None]
Work = Callable[[Playbook, Target, Journal], None]


def plan_playbook(playbook: str, var: tuple[str, ...], journal: str | None, **target: str | None) -> None:
    """Print what would be changed, watched and undone; calls nothing that writes."""
    _with_target(playbook, var, journal, target, _print_plan)


def print_policies(playbook: str, var: tuple[str, ...], journal: str | None, **target: str | None) -> None:
    """Print the least policies as JSON."""

    def work(loaded: Playbook, opened: Target, _journal: Journal) -> None:
        plan = make_plan(loaded, opened.session, opened.facts, opened.session.run, "")
        say(json.dumps(policies(loaded, plan, opened.session, opened.facts.caller), indent=2))

    _with_target(playbook, var, journal, target, work)


def drill_playbook(playbook: str, var: tuple[str, ...], journal: str | None, **target: str | None) -> None:
    """Prove the undo and everything else that preflight can, and nothing more; raises Refused."""

    def work(loaded: Playbook, opened: Target, kept: Journal) -> None:
        plan = prepare(loaded, replace(opened, stages=False), journal=kept, finish_with="", emit=_print_check)
        _rehearse(plan, opened, kept)
        say(f"{loaded.name}: ready to run; nothing was changed")

    _with_target(playbook, var, journal, target, work)


def _rehearse(plan: Plan, target: Target, journal: Journal) -> None:
    """The undo of each step, under all holds: it must not enable a key that a run has just disabled.

    As everyone who may have to do it: the runner, the rollback role, and the watchdog, which comes to the same AWS
    in a process of its own with nothing but what the journal keeps.
    """
    run, owner = target.session.run, Owner.this()
    who = {"runner": target.session, "watchdog": reopen(target.facts, run)}
    if target.undoes is not target.session:
        who["rollback role"] = target.undoes
    with ExitStack() as holds:
        for resource in {step.resource: None for step in plan.steps.values()}:
            journal.take_hold(run, owner, resource)
            holds.callback(journal.release, run, resource)
        for id_, step in plan.steps.items():
            for name, aws in who.items():
                if why := rehearse(id_, step, aws)[0]:
                    raise Refused(f"as {name}: {why}")
                say(f"ok  undo {id_} as {name}: {', '.join(step.calls.undo)}")


def _with_target(playbook: str, var: tuple[str, ...], journal: str | None, target: Options, work: Work) -> None:
    why = "an embedded lab is empty until a run fills it; name an AWS: --target lab=URL, aws, or a target file"
    with playbook_on_target(playbook, var, target, purpose="plan", no_lab=why) as (loaded, opened, choice):
        kept = SqlJournal(journal_of(journal, choice) or default_place())
        warn_of_open_steps(kept, journal_words(journal, choice, target["target"] or ""))
        work(loaded, opened, kept)


def _print_check(event: AnyEvent) -> None:
    if isinstance(event, PreflightChecked):
        say(f"{'ok ' if event.ok else 'NO '} {checked(event)}")


def _print_plan(playbook: Playbook, target: Target, journal: Journal) -> None:
    aws = target.session
    say(f"{playbook.name}: {playbook.description}")
    say(f"target  {target.facts.kind} {aws.account}/{aws.region} as {target.facts.caller}")
    for use in playbook.stage:
        missing = use.part.check(aws)
        say(f"stage   {use.uses}: {missing or 'there and fit'}")
    plan = make_plan(playbook, aws, target.facts, aws.run, "")
    for name, said in plan.samples.items():
        say(f"sample  {name}: {said}")
    _print_changes(plan)
    _print_switches(plan)
    _print_looks(plan)
    _section("Checks")
    limits = ", ".join(f"{name} {span(seconds)}" for name, seconds in plan.prepared.limits.items() if seconds)
    say(f"limits  {limits}")
    refused, shown = foreseeable(playbook, plan, target, journal)
    for said in shown:
        say(f"check   {said}")
    against, latent = _print_radius(playbook, plan, target)
    why = [*refused, *against]
    for reason in why:
        say(f"REFUSED {reason}")
    _section(_sum(plan, latent), "red" if why else "green")
    if why:
        raise Refused(f"preflight would refuse this run for {len(why)} reason{'s' if len(why) > 1 else ''}")
    say("ready   preflight found nothing that it would refuse; gameday drill proves the undo too")


def _section(title: str, colour: str | None = None) -> None:
    """A heading in gameday's own words; colours leave where no terminal is."""
    say("")
    click.secho(title, bold=True, fg=colour)


def _sum(plan: Plan, latent: Sequence[Latent]) -> str:
    """``Plan: 2 changes, 4 probes, key off at most 15 min, 3 latent, 2 need work afterwards``."""
    limits, work = plan.prepared.limits, sum(one.unrecoverable for one in latent)
    keys = all(is_key(spec.resource) for spec in plan.spec.fault_steps)
    parts = [count(len(plan.spec.fault_steps), "change"), count(len(plan.prepared.probes), "probe")]
    if "max_fault" in limits:
        parts.append(f"{'key off' if keys else 'changed for'} at most {span(limits['max_fault'])}")
    if latent:
        parts += [f"{len(latent)} latent", f"{work} need{'s' if work == 1 else ''} work afterwards"]
    return f"Plan: {', '.join(parts)}"


def _print_radius(playbook: Playbook, plan: Plan, target: Target) -> tuple[list[str], list[Latent]]:
    """Print who is expected to feel it; returns why preflight would refuse a run for it, and what comes later."""
    if playbook.blast_radius is None and target.stages:
        return [], []
    from gameday.engine.radius import foreseen  # brings engines of its own, which other plans need not load

    _section("Blast radius")
    found = foreseen(playbook, plan, target)
    latent: list[Latent] = []
    for key, words, _, prediction in found:
        say(f"radius  {key}: {words}")
        for one in prediction.dependents:
            whose = " ".join(filter(None, (short(one.principal), one.service and f"through {one.service}")))
            whose += ", this run itself" if one.why == "this run" else ""
            say(f"          {whose}" + (f" for {short(one.resource)}" if one.resource else ""))
        for later in prediction.latent:
            say(f"          latent: {short(later.resource)}: {later.when}")
        latent += prediction.latent
    why = [f"the blast radius of {key} is not what the playbook allows: {why}" for key, _, why, _ in found if why]
    return why, latent


def _print_changes(plan: Plan) -> None:
    _section("Changes")
    for spec in (*plan.spec.fault_steps, *plan.spec.probe_steps):
        calls = plan.steps[spec.id].calls
        by = f" (by probe {spec.probe}, at each look)" if spec.probe else ""
        say(f"change  {spec.resource}{by}")
        say(f"          inject  {', '.join(calls.inject)}")
        say(f"          undo    {'stays when all goes well: keep' if spec.keep else ', '.join(calls.undo)}")
        say(f"          proof   {', '.join(calls.read)}")


def _print_switches(plan: Plan) -> None:
    for switch in plan.switches:
        say(f"switch  {switch.resource}")
        say(f"          fires   {switch.call.permission} on {switch.about}, {_when(switch)}")
        say(f"          as      {switch.role}")
        say("          armed   and read back before the first change; deleted once all is put back")


def _when(switch: Switch) -> str:
    return f"{format_duration(timedelta(seconds=switch.after))} after it is armed, and up to a minute more"


def _print_looks(plan: Plan) -> None:
    _section("Probes")
    for facts in plan.prepared.probes:
        expected = ", ".join(f"{phase} {' or '.join(causes)}" for phase, causes in facts.expect.items())
        kind = "guard" if facts.guard else "proof" if set(facts.expect) == {Phase.EVIDENCE} else "look"
        say(f"{kind:<8}{facts.name}: {expected}")
        say(f"          {facts.uses} {facts.resource}")
    say("metrics gameday_probe_success, gameday_fault_active, gameday_time_to_effect_seconds and the rest of")
    say("        docs/observability.md, for each of these")
