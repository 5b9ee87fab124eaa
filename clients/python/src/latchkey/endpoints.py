"""Where the workers are, and when a connection is fit for the next request."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import tls as tls_files
from .names import Duration, dump, seconds, utf8, word

if TYPE_CHECKING:
    from ssl import SSLContext

Secret = str | Callable[[], object] | None
"""A text, or a function that returns it (for AsyncClient maybe a coroutine function)."""

DEFAULT = "127.0.0.1:5282"
DEFAULT_PORT = 5282


class Endpoint(NamedTuple):
    """A worker, or a balancer in front of workers."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoints(text: str | Sequence[str]) -> list[Endpoint]:
    """`HOST:PORT,...` or a sequence of `HOST:PORT`; the port is 5282 unless given.

    Raises ValueError if there is none, or one is malformed."""
    parts = text.split(",") if isinstance(text, str) else list(text)
    found = [_parse(part.strip()) for part in parts if part.strip()]
    if not found:
        raise ValueError("LATCHKEY_TO, or to=, names no worker: HOST:PORT,...")
    return found


def _parse(text: str) -> Endpoint:
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    elif ":" in host and not host.startswith("["):
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, [::1]:5282")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Endpoint(host.strip("[]"), int(port))


class Endpoints:
    """The workers in order, and the one that new connections go to.

    Threads share it: a race costs one attempt at most.
    """

    def __init__(self, found: Sequence[Endpoint], first: int) -> None:
        self._found = tuple(found)
        self._current = first % len(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def current(self) -> Endpoint:
        """The one that is tried next."""
        return self._found[self._current]

    def failed(self, endpoint: Endpoint) -> None:
        """Goes on to the next, unless another caller has done so."""
        if self.current == endpoint:
            self._current = (self._current + 1) % len(self._found)


class Freshness:
    """Whether a connection can be used again: not in another process, not after a long idle time.

    It goes by the wall clock, since a monotonic one may stop while a process is frozen.
    """

    __slots__ = ("_idle_s", "_pid", "_used_at")

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._pid = os.getpid()
        self._used_at = time.time()

    def used(self) -> None:
        """A reply came just now."""
        self._used_at = time.time()

    @property
    def is_forked(self) -> bool:
        """True in a child of the process that made the connection."""
        return os.getpid() != self._pid

    @property
    def is_over(self) -> bool:
        """True if the connection is not to be used any more."""
        return self.is_forked or not 0 <= time.time() - self._used_at <= self._idle_s


class Options(NamedTuple):
    """What the clients are configured with, resolved."""

    endpoints: Endpoints
    secret: object
    """None, a str, or a callable that returns one (or for AsyncClient an awaitable of one)."""
    kind: str
    """How AUTH calls the secret: `jwt`, `ticket`, or empty for a principal's."""
    timeout_s: float
    reply_s: float
    idle_s: float
    tls: tls_files.Contexts | None
    """None for plain connections."""


def auth_line(secret: object, kind: str = "") -> bytes:
    """The line that authenticates a connection. Raises TypeError for what is no text."""
    if not isinstance(secret, str) or not secret:
        name = kind or "secret"
        raise TypeError(f"{name}= is a non-empty str, or a callable that returns one")
    return utf8(f"AUTH {kind} {word(secret)}\n" if kind else f"AUTH {dump(secret)}\n")


def jitter() -> float:
    """A number from 0 to 1 that differs between processes and calls."""
    return os.urandom(1)[0] / 255


def resolve(
    to: str | Sequence[str] | None,
    *,
    secret: Secret,
    jwt: Secret,
    ticket: Secret,
    tls: bool | tls_files.TLS | SSLContext | None,
    timeout: Duration,
    reply_timeout: Duration,
    idle: Duration,
) -> Options:
    """The options of a client: what is None comes from the environment.

    Raises ValueError if `to` is malformed, or there is more than one secret."""
    found = parse_endpoints(to or os.environ.get("LATCHKEY_TO") or DEFAULT)
    given = {"": secret, "jwt": jwt, "ticket": ticket}
    secrets = [(kind, value) for kind, value in given.items() if value is not None]
    if len(secrets) > 1:
        raise ValueError("secret=, jwt= and ticket= exclude each other")
    kind, value = secrets[0] if secrets else ("", os.environ.get("LATCHKEY_SECRET") or None)
    return Options(
        Endpoints(found, int.from_bytes(os.urandom(2), "big")),
        value,
        kind,
        seconds(timeout),
        seconds(reply_timeout),
        seconds(idle),
        tls_files.configured(tls, os.environ),
    )


AUTH_PIPELINED_MAX = 2048
"""The longest line that is sent in one write with AUTH: before it, a worker takes 4 KiB."""
