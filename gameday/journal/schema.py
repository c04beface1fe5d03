"""The journal's tables. Times are UTC in ISO 8601; states before and parameters are JSON."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

VERSION = 1
"""Raised with every change of the tables; a journal of another version is refused, never misread."""

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
    Column("body", Text, nullable=False),
    Column("state", String(20), nullable=False),  # intended, injected, closed
    Column("intended_at", String(40), nullable=False),
    Column("injected_at", String(40)),
    Column("closed_at", String(40)),
    Column("closed", String(20)),
    Column("detail", Text),
    Index("gameday_steps_state", "state"),
)
