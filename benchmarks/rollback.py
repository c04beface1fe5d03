"""Is the key put back, how soon, and with which exit code: gameday beside Chaos Toolkit, whatever happens to them.

Both run against one lab, in the same minutes; what counts is what came in there, told by its own log of calls, and what
an independent client reads. Then the bars, for gameday alone: from a signal to EnableKey while a probe hangs, and from
SIGKILL to EnableKey. Exits non-zero when the key was not put back by gameday, or a bar is missed.

``--rounds 100`` is the full measure of the bars; ``--only bars`` or ``--only table`` leaves the other out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from startup import BENCH, CHAOS, GAMEDAY, HERE, install

from gameday.lab import LabProcess, start

WATCHED = 8.0
"""Seconds for which the key is watched after what happened."""
HANG = 60.0
BARS = {"signal": (0.050, None), "SIGKILL": (0.150, 1.0)}
NAMES = {"gameday": "gameday", "default": "chaos", "always": "chaos, always"}


@dataclass
class Stage:
    """A lab with a key and an object for each trial."""

    lab: LabProcess
    place: Path
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.kms, self.s3 = self._client("kms"), self._client("s3")

    def _client(self, service: str):
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.lab.url, region_name="us-east-1", **keys)

    def trial(self, tool: str) -> Trial:
        with self.lock:
            self.count += 1
            name = f"trial-{self.count}"
        key = self.kms.create_key(Description=name)["KeyMetadata"]["Arn"]
        self.kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
        self.s3.create_bucket(Bucket=name)
        self.s3.put_object(Bucket=name, Key="clock.png", Body=b"12", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        folder = self.place / name
        folder.mkdir()
        return Trial(self, tool, name, key, folder)


class Trial:
    """One tool, one key, one thing that happens."""

    def __init__(self, stage: Stage, tool: str, name: str, key: str, folder: Path) -> None:
        self.stage, self.tool, self.name, self.key, self.folder = stage, tool, name, key, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.watchdogs: list[int] = []

    def start(self, *, pause: float = 30.0, max_fault: float = 60.0, first: float = 0.0) -> subprocess.Popen[bytes]:
        """Start the tool; its fault lasts for ``pause`` unless something ends it.

        Chaos Toolkit reads once after the disable, and ``first`` seconds after it.
        """
        command = self._gameday(pause, max_fault) if self.tool == "gameday" else self._chaos(pause, first)
        env = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_STATE_HOME": str(self.folder),
            "GAMEDAY_JOURNAL": str(self.folder / "journal.db"),
            "GAMEDAY_KEY": self.key,
            "GAMEDAY_BUCKET": self.name,
            "LAB_URL": self.stage.lab.url,
            "PYTHONPATH": str(HERE / "chaostoolkit"),
            "HOME": str(self.folder),
        }
        with (self.folder / f"out-{len(self.processes)}").open("wb") as out:
            made = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True, cwd=self.folder)
        self.processes.append(made)
        return made

    def _gameday(self, pause: float, max_fault: float) -> list[str | Path]:
        dark = {"baseline": "ok", "fault": "key_disabled", "recovery": "ok"}
        read = {"uses": "s3.read", "with": {"bucket": self.name, "key": "clock.png"}, "every": "50ms", "expect": dark}
        state = {"uses": "kms.state", "with": {"key": f"alias/{self.name}"}, "every": "50ms", "expect": dark}
        limit = min(pause, max_fault / 2)
        playbook = {
            "playbook": "trial",
            "probes": {"read": read, "state": state},
            "faults": [{"uses": "kms.disable_key", "with": {"key": f"alias/{self.name}"}}],
            "timing": {
                "hold": f"{limit:g}s",
                "max_fault": f"{max_fault:g}s",
                "effect_within": f"{max_fault - limit:g}s",
                "settle": "1s",
                "rollback_within": "5s",
            },
        }
        path = self.folder / "playbook.yaml"
        path.write_text(yaml.safe_dump(playbook, sort_keys=False))
        return [GAMEDAY, "run", path, f"--target=lab={self.stage.lab.url}", "--json"]

    def _chaos(self, pause: float, first: float) -> list[str | Path]:
        experiment = yaml.safe_load((HERE / "chaostoolkit" / "experiment.yaml").read_text())
        disable, dark, enable = experiment["method"]
        dark["pauses"] = {"before": first, "after": pause}
        experiment["method"] = [disable, dark, enable]
        path = self.folder / "experiment.yaml"
        path.write_text(yaml.safe_dump(experiment, sort_keys=False))
        quiet = ["--no-version-check", "--log-file", str(self.folder / "chaos.log")]
        journal = ["--journal-path", str(self.folder / "chaos.json"), f"--rollback-strategy={self.tool}"]
        return [CHAOS, *quiet, "run", *journal, path]

    @property
    def state(self) -> str:
        return self.stage.kms.describe_key(KeyId=self.key)["KeyMetadata"]["KeyState"]

    def until(self, state: str, within: float = 30.0, vain: Callable[[], bool] = lambda: False) -> bool:
        deadline = time.monotonic() + within
        while True:
            over = vain() or time.monotonic() > deadline
            if self.state == state:  # looked at once more after the end
                return True
            if over:
                return False
            time.sleep(0.01)

    def calls(self, operation: str, since: float) -> list[float]:
        """When a call on this key came in, answered or not."""
        return [
            call["time"]
            for call in self.stage.lab.control.calls("kms", operation)
            if call["time"] >= since and self.key in (call["key"] or self.key) and self._ours(call)
        ]

    def _ours(self, call: dict[str, object]) -> bool:
        return self.tool != "gameday" or f"gameday/{self.run_id}" in str(call["user_agent"])

    @property
    def run_id(self) -> str:
        for line in (self.folder / "out-0").read_text(errors="replace").splitlines():
            if line.startswith("{"):
                event = json.loads(line)
                if event["event"]["kind"] == "watchdog_armed" and not self.watchdogs:
                    self.watchdogs.append(event["event"]["pid"])
                run = str(event["run"])
        return run

    def hang_reads(self) -> None:
        """From now on a read of the object is not answered."""
        self.stage.lab.control.trouble("hang", "s3", "GetObject", seconds=HANG, user_agent=self.agent)

    @property
    def agent(self) -> str:
        return f"gameday/{self.run_id}" if self.tool == "gameday" else "Boto3"

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.stage.lab.control.clear_trouble()


@dataclass(frozen=True)
class Result:
    """What became of a key."""

    back: bool
    after: float | None
    code: int | None

    def __str__(self) -> str:
        after = f"{self.after:.2f} s" if self.after is not None and self.back else ""
        code = "-" if self.code is None else str(self.code)
        return f"{'yes' if self.back else 'NO':<4}{after:<8} rc {code}"


def _outcome(trial: Trial, process: subprocess.Popen[bytes], since: float, *, watched: float = WATCHED) -> Result:
    def alone() -> bool:
        return trial.tool != "gameday" and process.poll() is not None  # nobody is left who could do it

    back = trial.until("Enabled", watched, vain=alone)
    after = time.time() - since
    try:
        code: int | None = process.wait(max(0.5, watched - after))
    except subprocess.TimeoutExpired:
        code = None
    return Result(back and trial.state == "Enabled", after if back else None, code)


def _dark(trial: Trial, **options: float) -> subprocess.Popen[bytes]:
    process = trial.start(**options)
    assert trial.until("Disabled"), (trial.folder / "out-0").read_text()
    time.sleep(0.4)  # into the pause, or the hold, and with what a probe asks next
    return process


def _signal(number: int, *, hang: bool = False, group: bool = False) -> Callable[[Trial], Result]:
    def happens(trial: Trial) -> Result:
        process = _dark(trial, first=1.0 if hang else 0.0)
        if hang:
            trial.hang_reads()
            time.sleep(0.3 if trial.tool == "gameday" else 1.0)
        since = time.time()
        (os.killpg if group else os.kill)(process.pid, number)
        return _outcome(trial, process, since)

    return happens


def _nothing(trial: Trial) -> Result:
    process = _dark(trial, pause=1.0)
    return _outcome(trial, process, time.time())


def _refused(trial: Trial) -> Result:
    process = _dark(trial, pause=2.0)
    about = {"code": "AccessDeniedException", "message": "not today", "user_agent": trial.agent}
    trial.stage.lab.control.trouble("refuse", "kms", "EnableKey", times=2, **about)
    return _outcome(trial, process, time.time(), watched=WATCHED + 4)


def _in_rollback(number: int) -> Callable[[Trial], Result]:
    def happens(trial: Trial) -> Result:
        process = _dark(trial, pause=1.5)
        trial.stage.lab.control.trouble("hang", "kms", "EnableKey", times=1, seconds=2, user_agent=trial.agent)
        time.sleep(1.8)
        since = time.time()
        process.send_signal(number)
        return _outcome(trial, process, since, watched=WATCHED + 6)

    return happens


def _stopped(trial: Trial) -> Result:
    process = _dark(trial, max_fault=3.0, pause=2.5)
    since = time.time()
    process.send_signal(signal.SIGSTOP)
    trial.until("Enabled", 10.0)
    process.send_signal(signal.SIGCONT)
    return _outcome(trial, process, since)


def _theirs(trial: Trial) -> Result:
    """Somebody else has disabled the key before: good is to leave it so."""
    trial.stage.kms.disable_key(KeyId=trial.key)
    process = trial.start(pause=1.0)
    try:
        code: int | None = process.wait(15)
    except subprocess.TimeoutExpired:
        code = None
    return Result(trial.state == "Disabled", None, code)


def _two(trial: Trial) -> Result:
    """A second run on the same key in the first one's fault: good is that the key stays off until the first ends."""
    _dark(trial, pause=6.0)
    second = trial.start(pause=0.5)
    try:
        code: int | None = second.wait(4)
    except subprocess.TimeoutExpired:
        code = None
    return Result(trial.state == "Disabled", None, code)


TABLE: dict[str, Callable[[Trial], Result]] = {
    "nothing; the read fails": _nothing,
    "SIGINT in a pause": _signal(signal.SIGINT),
    "SIGINT in a hung probe": _signal(signal.SIGINT, hang=True),
    "SIGTERM in a pause": _signal(signal.SIGTERM),
    "SIGTERM in a hung probe": _signal(signal.SIGTERM, hang=True),
    "SIGHUP": _signal(signal.SIGHUP),
    "SIGKILL": _signal(signal.SIGKILL),
    "SIGKILL to the process group": _signal(signal.SIGKILL, group=True),
    "SIGSTOP past its limit": _stopped,
    "enabling is refused twice": _refused,
    "SIGTERM during rollback": _in_rollback(signal.SIGTERM),
    "SIGINT during rollback": _in_rollback(signal.SIGINT),
    "disabled by others: left so": _theirs,
    "a second run: kept apart": _two,
}

UNCUT = ("nothing; the read fails", "enabling is refused twice")
"""Where the run goes to its end; everywhere else an exit code of 0 would be a lie."""


def table(stage: Stage) -> bool:
    good = True
    print(f"{'the key is put back':<30}" + "".join(f"{NAMES[tool]:<24}" for tool in NAMES))
    for what, happens in TABLE.items():
        cells = []
        for tool in NAMES:
            with _ended(stage.trial(tool)) as trial:
                cells.append(happens(trial))
        good = good and cells[0].back and (cells[0].code == 0) == (what in UNCUT)
        print(f"{what:<30}" + "".join(f"{cell!s:<24}" for cell in cells), flush=True)
    return good


@contextmanager
def _ended(trial: Trial) -> Iterator[Trial]:
    try:
        yield trial
    finally:
        trial.end()


def measure(stage: Stage, number: int, *, hang: bool) -> float:
    """Seconds from a signal until EnableKey came in at the lab."""
    with _ended(stage.trial("gameday")) as trial:
        process = _dark(trial)
        if hang:
            trial.hang_reads()
            time.sleep(0.3)
        since = time.time()
        process.send_signal(number)
        deadline = time.monotonic() + 20
        while not (calls := trial.calls("EnableKey", since)):
            if time.monotonic() > deadline:
                return float("inf")
            time.sleep(0.02)
        trial.until("Enabled")
        process.wait(20)
        return min(calls) - since


def bars(stage: Stage, rounds: int) -> bool:
    good = True
    for what, number, hang in (("signal", signal.SIGINT, True), ("SIGKILL", signal.SIGKILL, False)):
        times = sorted(
            measure(stage, number, hang=hang) for _ in range(rounds if what == "SIGKILL" else rounds // 4 or 1)
        )
        median, worst = statistics.median(times), times[-1]
        bar, most = BARS[what]
        held = median <= bar and (most is None or worst <= most)
        good = good and held
        p90 = times[int(len(times) * 0.9)] if len(times) > 1 else worst
        limits = f"median ≤ {bar * 1000:.0f} ms" + (f", worst ≤ {most * 1000:.0f} ms" if most else "")
        print(
            f"{what} → EnableKey{' while a probe hangs' if hang else ''}: median {median * 1000:.0f} ms, "
            f"p90 {p90 * 1000:.0f} ms, worst {worst * 1000:.0f} ms of {len(times)}   ({limits}: "
            f"{'ok' if held else 'MISSED'})",
            flush=True,
        )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=["table", "bars"])
    options = parser.parse_args()
    if options.only != "bars":
        install(CHAOS, "chaostoolkit==1.19.0", "chaostoolkit-lib==1.44.0", "boto3")
    install(GAMEDAY, HERE.parent)
    print(time.strftime("%F %T UTC", time.gmtime()), end=": ")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; environments in {BENCH}", flush=True)
    with tempfile.TemporaryDirectory() as scratch, start("instant") as lab:
        stage = Stage(lab, Path(scratch))
        good = options.only == "bars" or table(stage)
        good = (options.only == "table" or bars(stage, options.rounds)) and good
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
