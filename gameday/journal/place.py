"""Whether a file or folder is ours alone: whoever else may write to it could drive an administrator's rollback."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def not_ours_alone(path: Path, found: os.stat_result | None = None, *, regular: bool = False) -> str:
    """Why somebody else may have written a file or folder, in a few words, or ``""``; as ssh judges its files.

    Owned by root is fine. ``found`` is its status where it is open already; ``regular`` wants a plain file. Raises
    OSError when it is not there.
    """
    found = found or path.stat()
    if regular and not stat.S_ISREG(found.st_mode):
        return f"{path} is no plain file"
    if found.st_uid not in (0, os.geteuid()):
        return f"{path} is not owned by you (user {os.geteuid()}) but by user {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} is writable by others (mode {found.st_mode & 0o7777:04o}); chmod go-w {path}"
    return ""


def replaceable(folder: Path) -> str:
    """Why everybody may replace a file in a folder, in a few words, or ``""``; in one like /tmp only its owner may."""
    found = folder.stat()
    everybodys = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    return (
        f"{folder} is writable by others (mode {found.st_mode & 0o7777:04o}); chmod o-w {folder}" if everybodys else ""
    )
