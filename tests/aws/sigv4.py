"""An S3 on loopback that checks each request's Signature Version 4, in the header or in the query, as AWS documents it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
It knows nothing of botocore, so it can say that a request of botocore's, or of anybody's, is signed rightly.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

BODY = b"hello"


@dataclass
class Checked:
    """What was asked, and whether its signature was right.

    Parameters
    ----------
    secrets: the secret of each access key that is known.
    tokens: the session token that a known access key must bring.
    """

    secrets: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)
    url: str = ""
    answers: list[tuple[str, bool]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def right(self) -> list[bool]:
        return [right for _, right in self.answers]

    def verify(self, method: str, target: str, headers: dict[str, str]) -> bool:
        parts = urlsplit(target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        asked = dict(query)
        if "X-Amz-Signature" in asked:
            given, stamp, payload = asked, asked["X-Amz-Date"], "UNSIGNED-PAYLOAD"
            credential, names = given["X-Amz-Credential"], given["X-Amz-SignedHeaders"]
            said, token = given["X-Amz-Signature"], given.get("X-Amz-Security-Token", "")
            query = [pair for pair in query if pair[0] != "X-Amz-Signature"]
        else:
            algorithm, _, rest = headers.get("authorization", "").partition(" ")
            if algorithm != "AWS4-HMAC-SHA256":
                return False
            pieces = dict(piece.strip().split("=", 1) for piece in rest.split(","))
            credential, names, said = pieces["Credential"], pieces["SignedHeaders"], pieces["Signature"]
            stamp, payload = headers["x-amz-date"], headers["x-amz-content-sha256"]
            token = headers.get("x-amz-security-token", "")
            if token and "x-amz-security-token" not in names.split(";"):
                return False
        access, scope = credential.split("/", 1)
        if access not in self.secrets or token != self.tokens.get(access, ""):
            return False
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
        canonical = "\n".join(
            [
                method,
                quote(unquote(parts.path), safe="/-_.~"),
                "&".join(f"{name}={value}" for name, value in pairs),
                "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names.split(";")),
                names,
                payload,
            ]
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = ("AWS4" + self.secrets[access]).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        wanted = hmac.new(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hexdigest()
        return hmac.compare_digest(wanted, said)


@contextmanager
def checking(
    secrets: dict[str, str], tokens: dict[str, str] | None = None, key: str = "clock.png"
) -> Iterator[Checked]:
    """Serve until the block ends."""
    checked = Checked(secrets, tokens or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            right = checked.verify(self.command, self.path, headers)
            checked.answers.append((self.path, right))
            checked.ports.append(self.client_address[1])
            checked.requests.append((self.command, self.path, headers))
            wrong = b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
            body = BODY if right else wrong
            self.send_response(200 if right else 403)
            self.send_header("content-length", str(len(body)))
            self.send_header("last-modified", "Sun, 29 Nov 2026 10:00:00 GMT")
            self.send_header("etag", '"5d41402abc4b2a76b9719d911017c592"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = _answer  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    checked.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield checked
    finally:
        server.shutdown()
        server.server_close()
