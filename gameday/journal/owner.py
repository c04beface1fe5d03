"""Who runs: a process on a machine, told apart from a later one that got the same number."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Owner(BaseModel):
    """A process on a machine.

    Parameters
    ----------
    machine: the host's name.
    boot: the kernel's id of this boot; empty where the system has none.
    pid: the process's number.
    began: the process's start in clock ticks since boot, 0 where the system does not tell.
    """

    model_config = ConfigDict(frozen=True)

    machine: str
    boot: str
    pid: int
    began: int
    space: str = ""
    """The namespace in which the number counts: two containers may share a host's name and boot."""

    @classmethod
    def this(cls) -> Owner:
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Owner:
        """Another process of this machine, which is there now."""
        return cls(machine=socket.gethostname(), boot=_boot(), pid=pid, began=_began(pid), space=_space())

    def alive(self) -> bool | None:
        """Whether it still runs; None when it cannot be told from here (another machine)."""
        if (self.machine, self.space) != (socket.gethostname(), _space()):
            return None
        if self.boot != _boot():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _began(self.pid) == self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.machine}"


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _began(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)); a zombie counts as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return -1 if fields[0] == "Z" else int(fields[19])
