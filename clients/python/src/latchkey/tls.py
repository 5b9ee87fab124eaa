"""TLS to the workers: the files that it is configured with, and what is made of them.

The module `ssl` is loaded with the first connection: importing it takes longer than a turn.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .forking import Forked

if TYPE_CHECKING:
    from ssl import SSLContext

Path = str | os.PathLike[str]

_ON = frozenset({"1", "yes", "true", "on"})
_OFF = frozenset({"", "0", "no", "false", "off"})


class TLS(NamedTuple):
    """The files of TLS, in PEM. They are read again when they have changed."""

    ca: Path | None = None
    """The authorities of the workers' certificates; without it those of the system."""
    cert: Path | None = None
    """The caller's certificate, where the workers want one (`--tls-client-ca`)."""
    key: Path | None = None
    """Its private key, if it is not in `cert`."""


class Contexts(Forked):
    """The context that new connections use: of files as they are, or one that was given."""

    def __init__(self, tls: TLS | SSLContext) -> None:
        """A given context is used as it is."""
        super().__init__()
        self._files = tls if isinstance(tls, TLS) else None
        self._made: SSLContext | None = None if isinstance(tls, TLS) else tls
        self._stamp: list[tuple[int, int]] | None = None
        self._mutex = threading.Lock()

    def forked(self) -> None:
        """The parent's mutex may be locked for good."""
        self._mutex = threading.Lock()

    def context(self) -> SSLContext:
        """The context for a connection that is made now.

        Raises OSError if a file cannot be used and none was before; while files are being replaced,
        those from before are used on."""
        if self._files is None and self._made is not None:
            return self._made
        with self._mutex:
            try:
                return self._current(self._files or TLS())
            except OSError:
                if self._made is None:
                    raise
                return self._made

    def _current(self, files: TLS) -> SSLContext:
        found = [os.stat(path) for path in files if path is not None]
        stamp = [(one.st_mtime_ns, one.st_ino) for one in found]
        if self._made is None or stamp != self._stamp:
            import ssl

            made = ssl.create_default_context(cafile=files.ca)
            if files.cert is not None:
                made.load_cert_chain(files.cert, files.key)
            self._made, self._stamp = made, stamp
        return self._made


def configured(
    tls: bool | TLS | SSLContext | None, environment: Mapping[str, str]
) -> Contexts | None:
    """What connections use for TLS; None for plain ones.

    None for `tls` leaves it to LATCHKEY_TLS, LATCHKEY_TLS_CA, LATCHKEY_TLS_CLIENT_CERT and
    LATCHKEY_TLS_CLIENT_KEY. Raises ValueError for a LATCHKEY_TLS that is no yes or no."""
    if tls is False:
        return None
    if tls is not None and tls is not True:
        return Contexts(tls)
    word = environment.get("LATCHKEY_TLS", "").lower()
    if word not in _ON and word not in _OFF:
        raise ValueError(f"LATCHKEY_TLS is yes or no, not {word!r}")
    ca, cert, key = [
        environment.get(f"LATCHKEY_TLS_{name}") or None
        for name in ("CA", "CLIENT_CERT", "CLIENT_KEY")
    ]
    is_on = tls is True or word in _ON or ca is not None or cert is not None
    return Contexts(TLS(ca, cert, key)) if is_on else None
