"""A blocking connection, and the channel that opens one when it is needed.

A channel belongs to one thread at a time; only `abort` may be called from another one.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .endpoints import AUTH_PIPELINED_MAX, Endpoint, Freshness, Options, auth_line
from .errors import ProtocolError
from .reply import ENDING, LineBuffer, RejectedError, Reply, parse_reply

if TYPE_CHECKING:
    from ssl import SSLContext

_TOGETHER_MAX = 64
_TOGETHER_BYTES_MAX = 1 << 18
"""So much is sent before the replies to it are read: both sides' buffers have room for it."""


class UnreachedError(OSError):
    """No connection could be made, so nothing was sent."""


class Connection:
    """A socket and the lines that arrive on it."""

    def __init__(
        self, endpoint: Endpoint, until: float, idle_s: float, tls: SSLContext | None = None
    ) -> None:
        """Connects. Raises UnreachedError if that does not succeed in time."""
        self.endpoint = endpoint
        self._socket = _connect(endpoint, until, tls)
        # With TLS bytes may come that are no data; without it an early look leaves what is there.
        self._flags = socket.MSG_PEEK if tls is None else 0
        self._lines = LineBuffer()
        self._freshness = Freshness(idle_s)

    def send(self, data: bytes, until: float) -> None:
        """Sends all of it. Raises OSError."""
        self._socket.settimeout(_left(until))
        self._socket.sendall(data)

    def read_line(self, until: float) -> bytes:
        """The next line. Raises OSError at the end of the connection or of the time."""
        while (line := self._lines.next_line()) is None:
            self._socket.settimeout(_left(until))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the worker closed the connection")
            self._lines.feed(data)
        self._freshness.used()
        return line

    def lines(self) -> Iterator[bytes]:
        """The lines that have come, without waiting. Raises OSError at the end of the connection,
        after the lines before it."""
        if self._socket.gettimeout() != 0:
            self._socket.settimeout(0)
        while True:
            while (line := self._lines.next_line()) is not None:
                yield line
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                if _is_empty(error):
                    return
                raise
            if not data:
                raise ConnectionResetError("the worker closed the connection")
            self._lines.feed(data)

    @property
    def is_fit(self) -> bool:
        """True if it can take a request: not idle for long, not of another process, not ended.

        Nothing can be there to read: it would be the end, or a line that answers no request."""
        if self._freshness.is_over or not self._lines.is_empty:
            return False
        try:
            self._socket.settimeout(0)
            self._socket.recv(1, self._flags)
        except OSError as error:
            return _is_empty(error)
        return False

    def abort(self) -> None:
        """Ends it under a thread that waits for a line."""
        try:
            # Not the method of a socket with TLS: that would make it a plain one at once.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return  # it is ended already

    def close(self) -> None:
        """Closes this process's end; in a forked child, the parent's connection goes on."""
        self._socket.close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no reply in time")
    return left


def _is_empty(error: OSError) -> bool:
    """True for the error of a read that finds nothing there, on a socket that does not wait."""
    return isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError"


def _connect(endpoint: Endpoint, until: float, tls: SSLContext | None) -> socket.socket:
    """A connected socket, to the first address of the name that can be reached."""
    failure: OSError = TimeoutError("no connection in time")
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, where in found:
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(_left(until))
                made.connect(where)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is None:
                    return made
                made.settimeout(_left(until))
                return tls.wrap_socket(made, server_hostname=endpoint.host)
            except OSError as error:
                failure = error
                made.close()
            except BaseException:
                made.close()
                raise
    except OSError as error:
        failure = error
    raise UnreachedError(f"{endpoint}: {failure}") from failure


def context(options: Options) -> SSLContext | None:
    """The context of a new connection, None for a plain one. Raises UnreachedError."""
    try:
        return None if options.tls is None else options.tls.context()
    except OSError as error:
        raise UnreachedError(f"the files of TLS: {error}") from error


def _parts(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Lines that can be sent before the replies to them are read."""
    first, size = 0, 0
    for at, line in enumerate(lines):
        size += len(line)
        if at > first and (at - first >= _TOGETHER_MAX or size > _TOGETHER_BYTES_MAX):
            yield lines[first:at]
            first, size = at, len(line)
    yield lines[first:]


class Channel:
    """Sends requests one at a time over one connection, and opens another when that has ended."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._connection: Connection | None = None
        self._busy = threading.Lock()

    def __del__(self) -> None:
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Closes the connection, if there is one; a request under way ends with an error."""
        self.abort()
        with self._busy:
            self._drop()

    def abort(self) -> None:
        """Ends a request that another thread is waiting for."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def exchange(self, lines: Sequence[bytes], until: float, replies: list[Reply]) -> None:
        """Sends lines, and appends their replies as they come.

        Raises UnreachedError if nothing was sent, RejectedError if AUTH was not accepted, other
        OSErrors if a reply did not come, and ProtocolError. The connection is then closed: its next
        line would be a late reply."""
        with self._busy:
            connection, auth = self._fit(until)
            is_over = True
            try:
                for together in _parts(lines):
                    self._asked(connection, auth, together, until, replies)
                    auth = b""
                # After `draining` and its like another worker may serve: the next attempt
                # reconnects.
                is_over = any(reply.code in ENDING for reply in replies)
            except TimeoutError as error:
                raise TimeoutError(f"{connection.endpoint}: no reply in time") from error
            finally:
                if is_over:
                    self._options.endpoints.failed(connection.endpoint)
                    self._drop()

    def _asked(
        self,
        connection: Connection,
        auth: bytes,
        lines: Sequence[bytes],
        until: float,
        replies: list[Reply],
    ) -> None:
        """Sends, and reads the replies. AUTH and short lines share one write."""
        data = b"".join(lines)
        if auth:
            together = data if len(data) <= AUTH_PIPELINED_MAX else b""
            connection.send(auth + together, until)
            reply = parse_reply(connection.read_line(until))
            if reply.word != "OK":
                raise RejectedError(reply)
            if not together:
                connection.send(data, until)
        else:
            connection.send(data, until)
        for _ in lines:
            reply = parse_reply(connection.read_line(until))
            if reply.word == "EVENT":
                raise ProtocolError("an event came where a reply was expected")
            replies.append(reply)

    def subscribe(self, until: float) -> Connection:
        """A new, authenticated connection, for lines that the caller sends and reads itself.

        Raises OSError, ProtocolError, and the error of a rejected AUTH."""
        with self._busy:
            self._drop()
            connection, auth = self.open(until)
        if auth:
            connection.send(auth, until)
            reply = parse_reply(connection.read_line(until))
            if reply.word != "OK":
                raise reply.error("AUTH")
        return connection

    def _fit(self, until: float) -> tuple[Connection, bytes]:
        """A connection, and the line to authenticate with if it is new."""
        connection = self._connection
        if connection is not None:
            if connection.is_fit:
                return connection, b""
            self._drop()
        return self.open(until)

    def open(self, until: float) -> tuple[Connection, bytes]:
        """A new connection, and the line to authenticate with, empty if there is no secret.

        Raises UnreachedError."""
        options, secret = self._options, self._options.secret
        auth = auth_line(secret() if callable(secret) else secret, options.kind) if secret else b""
        endpoint = options.endpoints.current
        try:
            self._connection = Connection(endpoint, until, options.idle_s, context(options))
        except UnreachedError:
            options.endpoints.failed(endpoint)
            raise
        return self._connection, auth
