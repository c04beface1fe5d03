"""gameday beside Chaos Toolkit, in the same minute on the same machine: help, validate, and a run without pauses.

Installs both, as their users would, into virtual environments of their own under ``.bench/``. Exits non-zero
when a bar is missed: ``--help`` at least twice as fast, ``validate`` faster, a run at most 1.5 times as long. Ratios of
medians; the runs of both tools alternate, so that a busy machine is busy for both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BENCH = HERE.parent / ".bench"
GAMEDAY = BENCH / "gameday" / "bin" / "gameday"
CHAOS = BENCH / "chaostoolkit" / "bin" / "chaos"
ROUNDS = 9


def install(command: Path, *packages: str | Path) -> None:
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", command.parents[1]], check=True)
    subprocess.run([command.with_name("pip"), "install", "-q", *packages], check=True)


def seconds(command: list[str | Path], env: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return took


def compare(what: str, ours: list[str | Path], theirs: list[str | Path], env: dict[str, str], bar: float) -> bool:
    seconds(ours, env)  # once to warm the disk's cache, and to have compiled bytecode on both sides
    seconds(theirs, env)
    pairs = [(seconds(ours, env), seconds(theirs, env)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = mine / other
    good = ratio <= bar
    word = "ok" if good else "MISSED"
    print(
        f"{what:<10} gameday {mine * 1000:6.0f} ms   chaos {other * 1000:6.0f} ms   ratio {ratio:4.2f}   {bar=} {word}"
    )
    return good


def main() -> None:
    from gameday.lab import start

    install(CHAOS, "chaostoolkit==1.19.0", "chaostoolkit-lib==1.44.0", "boto3")
    install(GAMEDAY, HERE.parent)
    files = HERE / "chaostoolkit"
    with tempfile.TemporaryDirectory() as scratch, start("instant") as lab:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        mine = {"GAMEDAY_JOURNAL": f"{scratch}/journal.db", "GAMEDAY_KEY": "", "GAMEDAY_BUCKET": "gameday-benchmark"}
        env = {**os.environ, **keys, **mine, "PYTHONPATH": str(files), "LAB_URL": lab.url, "HOME": scratch}
        target: list[str | Path] = [f"--target=lab={lab.url}"]
        run: list[str | Path] = [GAMEDAY, "run", files / "killswitch.yaml", *target]
        seconds(run, env)  # makes the key and the object
        env["GAMEDAY_KEY"] = key_arn(env)
        chaos: list[str | Path] = [CHAOS, "--no-version-check", "--log-file", f"{scratch}/chaos.log"]
        experiment = files / "experiment.yaml"
        journal = ["--journal-path", f"{scratch}/chaos.json"]
        good = [
            compare("--help", [GAMEDAY, "--help"], [CHAOS, "--help"], env, 0.5),
            compare("validate", [GAMEDAY, "validate", "killswitch.yaml"], [*chaos, "validate", experiment], env, 1.0),
            compare("run", run, [*chaos, "run", *journal, experiment], env, 1.5),
        ]
    sys.exit(0 if all(good) else 1)


def key_arn(env: dict[str, str]) -> str:
    """The key that the first run made; KMS takes no alias for DisableKey."""
    import boto3

    client = boto3.client(
        "kms",
        endpoint_url=env["LAB_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return client.describe_key(KeyId="alias/benchmark")["KeyMetadata"]["Arn"]


if __name__ == "__main__":
    main()
