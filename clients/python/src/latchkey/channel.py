"""A blocking connection, and the channel that opens one when it is needed.

A channel belongs to one thread at a time; only `abort` may be called from another one.
"""

from __future__ import annotations

import socket
import threading
import time

from .endpoints import AUTH_PIPELINED_MAX, Endpoint, Freshness, Options, auth_line
from .errors import ProtocolError
from .reply import ENDING, LineBuffer, RejectedError, Reply, parse_reply


class UnreachedError(OSError):
    """No connection could be made, so nothing was sent."""


class Connection:
    """A socket and the lines that arrive on it."""

    def __init__(self, endpoint: Endpoint, until: float, idle_s: float) -> None:
        """Connects. Raises UnreachedError if that does not succeed in time."""
        self.endpoint = endpoint
        self._socket = _connect(endpoint, until)
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

    @property
    def is_fit(self) -> bool:
        """True if it can take a request: not idle for long, not of another process, not ended.

        Nothing can be there to read: it would be the end, or a line that answers no request."""
        if self._freshness.is_over or not self._lines.is_empty:
            return False
        try:
            self._socket.settimeout(0)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def abort(self) -> None:
        """Ends it under a thread that waits for a line."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
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


def _connect(endpoint: Endpoint, until: float) -> socket.socket:
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
                return made
            except OSError as error:
                failure = error
                made.close()
            except BaseException:
                made.close()
                raise
    except OSError as error:
        failure = error
    raise UnreachedError(f"{endpoint}: {failure}") from failure


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

    def exchange(self, line: bytes, until: float) -> Reply:
        """The reply to a line.

        Raises UnreachedError if nothing was sent, RejectedError if AUTH was not accepted, other
        OSErrors if no reply came, and ProtocolError. The connection is then closed: its next line
        would be a late reply."""
        with self._busy:
            connection, auth = self._fit(until)
            is_over = True
            try:
                reply = self._asked(connection, auth, line, until)
                # After `draining` and its like another worker may serve: the next attempt
                # reconnects.
                is_over = reply.code in ENDING
                return reply
            except TimeoutError as error:
                raise TimeoutError(f"{connection.endpoint}: no reply in time") from error
            finally:
                if is_over:
                    self._options.endpoints.failed(connection.endpoint)
                    self._drop()

    def _asked(self, connection: Connection, auth: bytes, line: bytes, until: float) -> Reply:
        """Sends, and reads the reply. AUTH and a short line share one write."""
        if auth:
            together = line if len(line) <= AUTH_PIPELINED_MAX else b""
            connection.send(auth + together, until)
            reply = parse_reply(connection.read_line(until))
            if reply.word != "OK":
                raise RejectedError(reply)
            if not together:
                connection.send(line, until)
        else:
            connection.send(line, until)
        reply = parse_reply(connection.read_line(until))
        if reply.word == "EVENT":
            raise ProtocolError("an event came where a reply was expected")
        return reply

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
        secret = self._options.secret
        auth = auth_line(secret() if callable(secret) else secret) if secret else b""
        endpoint = self._options.endpoints.current
        try:
            self._connection = Connection(endpoint, until, self._options.idle_s)
        except UnreachedError:
            self._options.endpoints.failed(endpoint)
            raise
        return self._connection, auth
