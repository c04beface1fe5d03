"""URLs that somebody typed: whether they are any, and how they may be shown."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

NO_URL = "(not a URL)"


def split(text: str) -> SplitResult | None:
    """Its parts with a host and a port that can be read, or None for what is no URL."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # half a bracket, a port that is no number
        return None
    return parts if parts.scheme and parts.hostname else None


def is_web_address(text: str) -> bool:
    """Whether it is an ``http`` or ``https`` URL with a host."""
    parts = split(text)
    return parts is not None and parts.scheme in ("http", "https")


def shown(text: str) -> str:
    """A URL without user, password and query, which may be secrets; one that cannot be read is not repeated."""
    parts = split(text)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts else NO_URL
