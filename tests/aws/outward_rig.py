"""A forward proxy on loopback, and a web server whose certificate an authority of its own has signed."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """Whatever host is asked for, ``behind`` answers.

    Parameters
    ----------
    behind: host and port.
    """

    behind: str
    url: str = ""
    got: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, target and Proxy-Authorization of each request."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], certificate: Path | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def proxying(behind: str) -> Iterator[Proxy]:
    proxy = Proxy(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            proxy.got.append((self.command, self.path, self.headers.get("Proxy-Authorization", "")))
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            further = http.client.HTTPConnection(proxy.behind, timeout=10)
            further.putrequest(self.command, f"{parts.path}?{parts.query}" if parts.query else parts.path, True, True)
            for name, value in self.headers.items():
                if not name.lower().startswith("proxy-"):
                    further.putheader(name, value)
            further.endheaders(body)
            answer = further.getresponse()
            said = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_PUT = do_POST = _forward  # noqa: N815 - http.server's names

        def do_CONNECT(self) -> None:
            proxy.got.append(("CONNECT", self.path, self.headers.get("Proxy-Authorization", "")))
            host, _, port = proxy.behind.rpartition(":")
            with socket.create_connection((host, int(port))) as further:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(further, self.connection), daemon=True)
                back.start()
                _pump(self.connection, further)
                back.join(5)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with serving(Handler) as where:
        proxy.url = f"http://{where}"
        yield proxy


def _pump(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            into.sendall(chunk)
    with suppress(OSError):
        into.shutdown(socket.SHUT_WR)


def authority(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of an authority of its own, and one that it has signed for a host (with its key)."""
    ca, signed = folder / "ca.pem", folder / "host.pem"

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", ca, "-days", "2", "-subj", "/CN=own authority", *usage)
    openssl("req", *curve, "-keyout", "host.key", "-out", "host.csr", "-subj", f"/CN={name}")
    (folder / "ext").write_text(f"subjectAltName=DNS:{name}\n")
    issue = ("-CA", ca, "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
    openssl("x509", "-req", "-in", "host.csr", "-out", "host.crt", *issue)
    signed.write_text((folder / "host.crt").read_text() + (folder / "host.key").read_text())
    return ca, signed
