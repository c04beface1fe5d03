"""A Prometheus of Debian's, on loopback, for one test session."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
MISSING = (PROMETHEUS is None or PROMTOOL is None) and not os.environ.get("CI")
WHY = "prometheus and promtool are not on PATH (Debian: apt-get install prometheus)"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Prometheus:
    """Scrapes each second what it is told to."""

    def __init__(self, folder: Path, jobs: dict[str, int], rules: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "rules.yml").write_text(rules)
        scrapes = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in jobs.items()
        ]
        timing = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        said = {"global": timing, "rule_files": ["rules.yml"], "scrape_configs": scrapes}
        (folder / "prometheus.yml").write_text(json.dumps(said))
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--enable-feature=exemplar-storage",
            ],
            stderr=self.log,
            stdout=self.log,
        )

    def ask(self, what: str, **parameters: str) -> Any:
        query = f"{self.url}/api/v1/{what}?{urlencode(parameters)}"
        with urllib.request.urlopen(query, timeout=10) as answer:
            return json.load(answer)["data"]

    def until(self, true: Any, seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while True:
            try:
                if found := true():
                    return found
            except OSError:
                found = None
            assert time.monotonic() < end, f"it did not come to that: {found}"
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
