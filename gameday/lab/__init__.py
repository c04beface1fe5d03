"""An embedded AWS on loopback: moto, and what moto lacks for rehearsing the loss of a key.

``start()`` runs it as a process of its own; ``python -m gameday.lab`` serves it by hand. Importing this
package loads neither moto nor flask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gameday.errors import LabError

if TYPE_CHECKING:
    from .client import LabControl, LabProcess, start

HOW = """\
# point awscli (or anything else that speaks to AWS) at it:
export AWS_ENDPOINT_URL={url}
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
aws kms list-keys
"""

__all__ = ["PRESETS", "LabControl", "LabError", "LabProcess", "describe", "instructions", "serve", "start"]

PRESETS = ("instant", "brisk", "aws")


def __getattr__(name: str) -> Any:
    """Load the client when it is first asked for: processes and HTTP take their time to import."""
    if name in {"LabControl", "LabProcess", "start"}:
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    preset: str = "instant",
    on_ready: Callable[[str], None] = print,
    **knobs: object,
) -> None:
    """Serve in this process until it ends; ``on_ready`` gets the URL."""
    try:
        from .server import serve as serve_here
    except ModuleNotFoundError as error:
        raise LabError(f"the lab needs moto, flask and flask-cors: {error}") from error

    serve_here(host, port, preset, on_ready, **knobs)


def instructions(url: str) -> str:
    """How to point awscli at a lab, for people to read after its URL."""
    return HOW.format(url=url)


def describe() -> list[dict[str, str]]:
    """What the lab does beyond moto, with the standing of each (recorded … invented)."""
    from .describe import describe as listed

    return listed()
