"""Fixtures: see tests/aws/aws_rig.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "aws"))

from aws_rig import aws, client, lab, process  # noqa: F401
