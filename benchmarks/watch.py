"""gameday watch on one core: 500 S3 reads at one a second from nginx; boto3 and Debian's blackbox exporter beside it.

Needs nginx and prometheus-blackbox-exporter (apt). Exits non-zero when the 99th percentile of lateness reaches 100 ms,
when fewer looks were made than were due, or when a read costs more than twice the CPU of boto3's get_object alone. All
in the same minutes on the same machine; the metrics are scraped every ten seconds meanwhile, as Prometheus would. On a
machine that others load as well, what is measured is their load: see the first line.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

PROBES = 500
SECONDS = int(os.environ.get("GAMEDAY_BENCHMARK_SECONDS", "60"))
BAR = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
WHO = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:root</Arn><UserId>1</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
BOTO3 = """
import sys, time
from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
s3 = Session(region="us-east-1", run="boto3", endpoint=sys.argv[1], keys=LAB_KEYS).client("s3")
def read(n):
    body = s3.get_object(Bucket="bucket", Key=f"object-{n % 500}")["Body"]
    body.read()
    body.close()
read(0)
began = time.process_time()
for n in range(2000):
    read(n)
print((time.process_time() - began) / 2000)
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def started(*words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def nginx(folder: Path) -> tuple[str, Path]:
    folder.chmod(0o755)
    bucket = folder / "root" / "bucket"
    bucket.mkdir(parents=True)
    for number in range(PROBES):
        (bucket / f"object-{number}").write_bytes(b"x" * 10_000)
    port = free_port()
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; "
        f"events {{ worker_connections 4096; }} http {{ access_log off; keepalive_requests 10000000; {temporary} "
        f"server {{ listen 127.0.0.1:{port}; root {folder}/root; default_type application/octet-stream; "
        f"location = / {{ default_type text/xml; return 200 '{WHO}'; }} }} }}"
    )
    return f"http://127.0.0.1:{port}", folder / "nginx.conf"


def playbook(folder: Path) -> Path:
    probes = "".join(
        f"  r{n}: {{uses: s3.read, with: {{bucket: bucket, key: object-{n}}}, expect: {{baseline: ok}}, every: 1s}}\n"
        for n in range(PROBES)
    )
    path = folder / "thousand.yaml"
    path.write_text(f"playbook: thousand\nprobes:\n{probes}")
    return path


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def lateness(text: str) -> list[tuple[float, float]]:
    found = re.findall(r'gameday_watch_lateness_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)', text)
    return [(float(bound), float(count)) for bound, count in found]


def at_most(buckets: list[tuple[float, float]], share: float) -> float:
    """The quantile as PromQL's histogram_quantile says it."""
    wanted, low, below = buckets[-1][1] * share, 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def watch(url: str, folder: Path) -> tuple[float, float, float, float]:
    """Seconds late at the median and at the 99th percentile, looks a second, and CPU a read."""
    gameday, port = Path(sys.executable).with_name("gameday"), free_port()
    words = ["watch", playbook(folder), f"--target=lab={url}", f"--journal={folder}/journal.db"]
    metrics = f"http://127.0.0.1:{port}/metrics"
    one_core = ("taskset", "-c", "0") if shutil.which("taskset") else ()
    with started(*one_core, gameday, *words, f"--metrics-port={port}") as process:
        until_up(metrics)
        time.sleep(10)  # connections are made, and each request has been drawn once
        first, used, began = lateness(scrape(metrics)), cpu(process.pid), time.monotonic()
        while time.monotonic() - began < SECONDS:
            time.sleep(min(10.0, max(0.0, SECONDS - (time.monotonic() - began))))
            text = scrape(metrics)
        used, took, last = cpu(process.pid) - used, time.monotonic() - began, lateness(text)
    failed = re.findall(r'^gameday_probe_observations_total\{[^}]*cause="(?!ok)[^\n]*', text, re.MULTILINE)
    assert not failed, failed[:3]
    window = [(bound, after - before) for (bound, after), (_, before) in zip(last, first, strict=True)]
    looks = window[-1][1]
    return at_most(window, 0.5), at_most(window, 0.99), looks / took, used / looks


def until_up(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            scrape(url)
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit(f"{url} did not come up")


def blackbox(url: str, folder: Path) -> float:
    """CPU a probe of Debian's exporter, which is asked for each one, as Prometheus does."""
    port = free_port()
    (folder / "blackbox.yml").write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
    with started(
        "prometheus-blackbox-exporter", f"--config.file={folder}/blackbox.yml", f"--web.listen-address=127.0.0.1:{port}"
    ) as process:
        until_up(f"http://127.0.0.1:{port}/metrics")
        asked = [
            f"http://127.0.0.1:{port}/probe?module=http_2xx&target={quote(f'{url}/bucket/object-{n % PROBES}')}"
            for n in range(2000)
        ]
        used = cpu(process.pid)
        threads = [
            threading.Thread(target=lambda part=part: [scrape(one) for one in part])
            for part in (asked[::2], asked[1::2])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (cpu(process.pid) - used) / len(asked)


def main() -> None:
    for tool in ("nginx", "prometheus-blackbox-exporter"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not on PATH: apt-get install nginx-light prometheus-blackbox-exporter")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url, configuration = nginx(folder)
        with started("nginx", "-c", configuration, "-e", folder / "error.log"):
            until_up(f"{url}/bucket/object-0")
            print(
                f"{PROBES} S3 reads at one a second for {SECONDS} s; "
                f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
            )
            said = subprocess.run([sys.executable, "-c", BOTO3, url], stdout=subprocess.PIPE, text=True, check=True)
            boto3 = float(said.stdout)
            median, late, rate, ours = watch(url, folder)
            theirs = blackbox(url, folder)
    good = late < BAR and rate > 0.99 * PROBES and ours < 2 * boto3
    print(f"lateness   median {median * 1000:.1f} ms   p99 {late * 1000:.1f} ms   bar {BAR * 1000:.0f} ms")
    print(f"looks      {rate:.0f} a second")
    print(f"CPU a read gameday watch {ours * 1000:.2f} ms (all of it: scheduler, metrics, scrapes)")
    print(f"           boto3 get_object alone {boto3 * 1000:.2f} ms")
    print(f"           blackbox exporter {theirs * 1000:.2f} ms (an unsigned GET, in Go)")
    print("ok" if good else "MISSED")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
