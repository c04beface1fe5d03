"""The journal's tables. Times are UTC in ISO 8601; states before and parameters are JSON."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

VERSION = 2
"""Raised with every change of the tables; an older journal is migrated, a newer one refused, none misread."""

metadata = MetaData()

meta = Table("gameday_meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text))

runs = Table(
    "gameday_runs",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("playbook", Text, nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("heartbeat_at", String(40), nullable=False),
    Column("owner", Text, nullable=False),
    Column("target", Text, nullable=False, default=""),
    Column("finished_at", String(40)),
    Column("verdict", String(20)),
    Column("exit_code", Integer),
    Column("story", Text),
    Column("abandon", Text),  # JSON: who asked that it leave everything as it is, why, and when
)

events = Table(
    "gameday_events",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

holds = Table(
    "gameday_holds",
    metadata,
    Column("resource", String(512), primary_key=True),  # the canonical ARN: one hold each, whoever asks
    Column("run", String(40), nullable=False),
    Column("owner", Text, nullable=False),
    Column("taken_at", String(40), nullable=False),
)

steps = Table(
    "gameday_steps",
    metadata,
    Column("run", String(40), primary_key=True),
    Column("step", String(80), primary_key=True),
    Column("resource", String(512), nullable=False, server_default=""),
    Column("body", Text, nullable=False),
    Column("state", String(20), nullable=False),  # intended, injected, closed
    Column("intended_at", String(40), nullable=False),
    Column("injected_at", String(40)),
    Column("closed_at", String(40)),
    Column("closed", String(20)),
    Column("detail", Text),
    Index("gameday_steps_state", "state"),
)

halts = Table(
    "gameday_halts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(40), nullable=False),
    Column("resumed_by", Text),
    Column("resumed_at", String(40)),  # while it is NULL, every run rolls back and none begins
)

due = Table(
    "gameday_due",
    metadata,
    Column("schedule", String(200), primary_key=True),
    Column("due_at", String(40), primary_key=True),  # UTC; with the schedule the claim: one row, one daemon
    Column("claimed_by", Text, nullable=False),
    Column("claimed_at", String(40), nullable=False),
    Column("heartbeat_at", String(40), nullable=False),
    Column("run", String(40), nullable=False),  # chosen with the claim, so that others find it whatever happens
    Column("began_at", String(40)),  # when its game day began; NULL while it waits, or when there was none
    Column("outcome", String(20)),  # NULL while it is under way
    Column("settled_at", String(40)),
    Column("detail", Text, nullable=False, server_default=""),
    Index("gameday_due_outcome", "outcome"),
    Index("gameday_due_run", "run"),
)
