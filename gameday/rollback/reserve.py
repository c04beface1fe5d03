"""What an undo needs of this machine, reserved and proven before a run begins: memory, descriptors, threads, disk.

Held by the runner and, through the fork, by its watchdog; each gives its own back at the moment it rolls back.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from gameday.errors import Refused

MEBI = 1 << 20
NEEDED = 640 * MEBI
"""Bytes of address space that a run may take until it has put everything back, HELD among them: sized from one trace
(90 MiB of code, 8 MiB of stack for each of some 30 threads, and what the answers of AWS take), not a measured peak."""
HELD = 128 * MEBI
"""Bytes that nobody may take before the rollback does."""
DESCRIPTORS, THREADS = 128, 32
DISK = 8 * MEBI
"""Bytes that the journal, its log and a receipt may grow by."""
_M_ARENA_MAX = -8
"""mallopt's parameter (glibc, malloc.h)."""

_held: list[mmap.mmap] = []


def reserve(*folders: Path) -> None:
    """Hold memory for the undo and prove the rest; raises Refused with what to raise.

    ``folders`` are where the undo is written down. Call it while this process has one thread, before the watchdog is
    forked.
    """
    release()
    one_arena()
    try:
        mmap.mmap(-1, NEEDED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
        _held.append(mmap.mmap(-1, HELD, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ))
    except (OSError, MemoryError) as error:
        raise _refused(f"{NEEDED // MEBI} MiB of memory", "ulimit -v") from error
    _descriptors()
    _threads()
    for folder in dict.fromkeys(folders):
        _disk(folder)


def release() -> None:
    """Give the memory back, to whoever rolls back in this process."""
    while _held:
        _held.pop().close()


def one_arena() -> None:
    """Keep a small limit of memory for stacks: else glibc maps 64 MiB of it for each of the first threads.

    Call it before any thread is started; it does nothing where there is no limit.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    import ctypes  # only where there is a limit

    with suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def lift_limits() -> None:
    """Raise this process's own limits as far as it may: a watchdog outlives what ends its runner."""
    for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
        _, hard = resource.getrlimit(which)
        for wanted in (resource.RLIM_INFINITY, hard):
            with suppress(OSError, ValueError):  # only root may go beyond the hard limit
                resource.setrlimit(which, (wanted, wanted))
                break
    with suppress(OSError):  # likewise; the kernel, short of memory, is to end somebody else
        Path("/proc/self/oom_score_adj").write_text("-900")


def _descriptors() -> None:
    with ExitStack() as opened:
        try:
            for _ in range(DESCRIPTORS):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            raise _refused(f"{DESCRIPTORS} more file descriptors", "ulimit -n") from error


def _threads() -> None:
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(THREADS):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError) as error:
        raise _refused(f"{THREADS} threads", "ulimit -u, or the container's pids limit") from error
    finally:
        over.set()
        for thread in started:
            thread.join()


def _disk(folder: Path) -> None:
    """In a file of its own: quotas, limits and full disks are found by trying."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max((one.stat().st_size for one in folder.glob("journal.db*")), default=0)
    try:
        if most != resource.RLIM_INFINITY and most < largest + DISK:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, DISK)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without it
            return
        raise _refused(f"{DISK // MEBI} MiB on the disk of {folder} ({error.strerror})", "df, ulimit -f") from error


def _refused(what: str, where: str) -> Refused:
    return Refused(
        f"this machine does not give the run what putting everything back may need: {what} (see {where}); "
        "nothing was touched"
    )
