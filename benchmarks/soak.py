"""The daemon, left alone with a game day every five seconds on the lab: its memory, its descriptors, its journal.

    python benchmarks/soak.py --minutes 15

Prints a line a minute, and whether memory and descriptors were flat: the last third against the first, after a warm-up.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from gameday.journal.sql import SqlJournal
from gameday.lab import start

GAMEDAY = str(Path(sys.executable).with_name("gameday"))
PLAYBOOK = """\
playbook: soak
stage:
  - {uses: kms.key, with: {alias: alias/soak}}
probes:
  key:
    uses: kms.state
    with: {key: alias/soak}
    every: 100ms
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
faults:
  - {uses: kms.disable_key, with: {key: alias/soak}}
timing: {effect_within: 20s, max_fault: 1m, rollback_within: 20s, recover_within: 20s}
schedule: {cron: "*/5 * * * * *", when_busy: skip}
"""
COUNTED = re.compile(r'^gameday_schedule_due_total\{[^}]*outcome="(\w+)"[^}]*\} (\S+)$', re.M)


def resident(pid: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("--minutes", type=float, default=15)
    asked.add_argument("--port", type=int, default=9479)
    minutes, port = vars(asked.parse_args()).values()
    samples: list[tuple[float, int, int]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name, start("instant") as lab:
        folder, place = Path(name), str(Path(name) / "journal.db")
        (folder / "soak.yaml").write_text(PLAYBOOK)
        words = ("soak.yaml", "--target", f"lab={lab.url}", "--journal", place, "--listen", f"127.0.0.1:{port}")
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen([GAMEDAY, "schedule", *words], cwd=folder, stdout=log, stderr=log)
        began, pruned, told = time.monotonic(), 0, ""
        while time.monotonic() - began < minutes * 60 and daemon.poll() is None:
            time.sleep(10)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                told = answer.read().decode()
            size = sum(file.stat().st_size for file in folder.glob("journal.db*"))
            samples.append((resident(daemon.pid), len([*Path(f"/proc/{daemon.pid}/fd").iterdir()]), size))
            if len(samples) % 6 == 0:
                pruned += SqlJournal(place).prune(120)
                memory, descriptors, _ = samples[-1]
                print(
                    f"{len(samples) // 6:3} min {memory:7.1f} MiB {descriptors:4} fds {size / 2**20:7.2f} MiB journal"
                )
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(90)
        outcomes = {word: int(float(count)) for word, count in COUNTED.findall(told) if float(count)}
        open_ = len(SqlJournal(place).steps(only_open=True))
    third = max(1, (len(samples) - 6) // 3)
    early, late = samples[6:][:third] or samples, samples[-third:]
    print(f"daemon exit {code}; {outcomes}; {pruned} runs pruned; {open_} steps open")
    for what, n, slack in (("memory MiB", 0, 2.0), ("descriptors", 1, 2.0), ("journal bytes", 2, 2.0**20)):
        before, after = median(one[n] for one in early), median(one[n] for one in late)
        print(f"{what}: {before:.1f} -> {after:.1f} {'flat' if after - before <= slack else 'GROWING'}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
