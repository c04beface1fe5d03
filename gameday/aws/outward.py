"""The way from this host to a web address, as botocore finds its own: what is no call of boto3's takes it too.

The proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and the certificates of AWS_CA_BUNDLE, the profile's ``ca_bundle``
or REQUESTS_CA_BUNDLE (boto3's guide, "Configuration"; botocore's ``args.py``).
"""

from __future__ import annotations

import functools
import logging
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3

if TYPE_CHECKING:
    from botocore.session import Session


class _NoQueries(logging.Filter):
    """urllib3 writes each address that it asks into its log; a query may be a signature."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(re.sub(r"\?.*", "?…", arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_NoQueries())


def bundle_of(session: Session | None) -> str:
    """The file or folder of certificates that botocore would trust, or ``""``; without a session, the environment's."""
    from botocore.exceptions import BotoCoreError

    found: Any = None
    if session is not None:
        with suppress(BotoCoreError):  # a profile that is not there has no bundle; who signs with it says so
            found = session.get_config_variable("ca_bundle")
    return str(found or os.environ.get("REQUESTS_CA_BUNDLE") or "")


def bundle_of_host(profile: str | None) -> str:
    """The same for one of boto3's profiles, or for the one that the environment means."""
    return bundle_of(_session(profile, os.environ.get("AWS_PROFILE"), os.environ.get("AWS_CONFIG_FILE")))


@functools.cache
def _session(profile: str | None, *_environment: str | None) -> Session:
    """Made once for each: a guard looks every second."""
    from botocore.session import Session

    return Session(profile=profile)


@contextmanager
def asked(
    url: str,
    *,
    timeout: urllib3.Timeout,
    bundle: str = "",
    only_bundle: bool = False,
    proxies: bool = True,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[urllib3.BaseHTTPResponse]:
    """Ask once: no redirects, no retries; the body is not read yet. Raises urllib3's HTTPError or OSError.

    A ``bundle`` of certificates is trusted besides the system's, or, with ``only_bundle``, alone. A name and a password
    in the address are not sent.
    """
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    choice = ProxyConfiguration(get_environ_proxies(url) if proxies else {})
    proxy: str | None = choice.proxy_url_for(url)
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    trusted = None
    if "https" in (parts.scheme, urlsplit(proxy or "").scheme):
        trusted = _trusting(bundle, only=only_bundle)
    how: dict[str, Any] = {"timeout": timeout, "ssl_context": trusted}
    manager = urllib3.PoolManager(**how)
    if proxy:
        named = choice.proxy_headers_for(proxy)
        manager = urllib3.ProxyManager(proxy, proxy_headers=named, proxy_ssl_context=trusted, **how)
        if parts.scheme == "http":  # such a proxy is told the whole address
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
    with manager:
        answer = manager.connection_from_url(url).urlopen(
            method,
            target,
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            yield answer
        finally:
            answer.close()


def _trusting(bundle: str, *, only: bool) -> ssl.SSLContext:
    """Verifies names and certificates; raises OSError where the bundle cannot be read."""
    context = ssl.create_default_context() if not (bundle and only) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if bundle:
        folder = Path(bundle).is_dir()
        context.load_verify_locations(cafile=None if folder else bundle, capath=bundle if folder else None)
    return context


class _Refused(OSError):
    """A gateway's answer that is none of success."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.reason = f"it answered {status}"


def gateway(profile: str | None) -> Callable[..., Callable[[], None]]:
    """What prometheus_client's pushes are sent with."""

    def handler(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        def send() -> None:
            limit = urllib3.Timeout(total=timeout)
            trusted = bundle_of_host(profile)
            with asked(url, timeout=limit, bundle=trusted, method=method, headers=dict(headers), body=data) as answer:
                if answer.status >= 400:
                    raise _Refused(answer.status)

        return send

    return handler
