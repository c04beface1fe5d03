"""Fixtures: see tests/aws/aws_rig.py; and the way to tests/deep.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "aws"))

from aws_rig import aws, client, clock, instance, key, lab, nobody, process, rude  # noqa: F401
