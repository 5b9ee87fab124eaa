"""A connection of an event loop, and the channel that opens one when it is needed.

The requests of many tasks share a connection, each without waiting for the others' replies. The
reply to a request whose task was cancelled is read and dropped, so the rest stay in step.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ..channel import UnreachedError, context
from ..endpoints import AUTH_PIPELINED_MAX, Endpoint, Freshness, Options, auth_line
from ..errors import ProtocolError
from ..reply import ENDING, LineBuffer, RejectedError, Reply, parse_reply

if TYPE_CHECKING:
    from ssl import SSLContext

_UNREAD_MAX = 1000
_SETTLED_S = 0.01


class Connection(asyncio.Protocol):
    """A transport, the lines that arrive on it, and the futures that wait for them in order."""

    def __init__(self, endpoint: Endpoint, idle_s: float) -> None:
        self.endpoint = endpoint
        self.auth: asyncio.Future[bytes] | None = None
        """The reply to AUTH, if it was sent."""
        self.line_received: Callable[[bytes | None], None] | None = None
        """If there is one, it is given each line as it comes, and None at the end."""
        self._lines = LineBuffer()
        self._unread: deque[bytes] = deque()
        self._outgoing: list[bytes] = []
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._freshness = Freshness(idle_s)
        self._idle_since = time.time()
        self._ending: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._is_secure = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._is_secure = transport.get_extra_info("ssl_object") is not None
        made = transport.get_extra_info("socket")
        if made is not None:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Bytes came: each complete line goes to the future that waits for it."""
        self._lines.feed(data)
        while (line := self._lines.next_line()) is not None:
            self._freshness.used()
            self._idle_since = time.time()
            if self.line_received is not None:
                self.line_received(line)
                continue
            if not self._waiting:
                self._unread.append(line)
                continue
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(line)
        if len(self._unread) > _UNREAD_MAX and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended: nothing more comes."""
        self._ending = exc or ConnectionResetError("the worker closed the connection")
        if self.line_received is not None:
            self.line_received(None)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(self._ending)
                waiting.exception()  # its task may be gone, and asyncio would warn

    # What a channel calls.

    def send(self, data: bytes) -> None:
        """Sends lines. Raises OSError if the connection has ended.

        While replies are awaited, the lines of all tasks that run in this turn of the loop share a
        write: to the worker they come together, and it asks Redis for all of them at once."""
        if self._transport is None or self._transport.is_closing():
            raise self._ending or ConnectionResetError("the connection is closed")
        self._freshness.used()
        if not self._waiting and not self._outgoing:
            self._transport.write(data)
            return
        self._outgoing.append(data)
        if len(self._outgoing) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def expect(self) -> asyncio.Future[bytes]:
        """A future for the next line that nothing else waits for."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._unread:
            future.set_result(self._unread.popleft())
            if not self._unread and self._transport is not None:
                self._transport.resume_reading()
        elif self._ending is not None:
            future.set_exception(self._ending)
        else:
            self._waiting.append(future)
        return future

    async def read_line(self, until: float) -> bytes:
        """The next line. Raises OSError at the end of the connection; and at the end of the time,
        after which the connection can still be read."""
        future = self.expect()
        try:
            return await _own(future, until)
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    async def is_fit(self) -> bool:
        """True if it can take another request."""
        if not self._looks_fit():
            return False
        if time.time() - self._idle_since > _SETTLED_S and not self._waiting:
            # The loop looks at the socket once before the second of these returns: an end that
            # came while this process was frozen is noticed. With TLS it takes one turn more.
            for _ in range(3 if self._is_secure else 2):
                await asyncio.sleep(0)
        return self._looks_fit()

    def _looks_fit(self) -> bool:
        if self._transport is None or self._transport.is_closing() or self._freshness.is_forked:
            return False
        return bool(self._waiting) or not (self._freshness.is_over or self._unread)

    def close(self) -> None:
        """Ends it; what waits for a reply gets an error. In a forked child it is only dropped."""
        if self._transport is not None and not self._freshness.is_forked:
            self._transport.abort()

    def drop(self) -> None:
        """Ends it once its loop is closed, which could not do that any more. The transport closes
        its socket when it is freed."""
        transport, self._transport = self._transport, None
        made = None if transport is None else transport.get_extra_info("socket")
        if made is not None:
            with suppress(OSError, TypeError):  # it has ended; or another kind of loop ended it
                made.shutdown(socket.SHUT_RDWR)


async def _connect(
    endpoint: Endpoint, until: float, idle_s: float, tls: SSLContext | None
) -> Connection:
    """Raises UnreachedError."""
    loop = asyncio.get_running_loop()
    making = loop.create_connection(
        lambda: Connection(endpoint, idle_s), endpoint.host, endpoint.port, ssl=tls
    )
    try:
        _, made = await asyncio.wait_for(making, max(0.0, until - time.monotonic()))
    except asyncio.TimeoutError:
        raise UnreachedError(f"{endpoint}: no connection in time") from None
    except OSError as error:
        raise UnreachedError(f"{endpoint}: {str(error) or type(error).__name__}") from error
    return made


class Channel:
    """Sends requests over one connection of one event loop, and opens another when it has ended."""

    def __init__(self, options: Options, *, is_shared: bool) -> None:
        """A shared channel is for short requests of many tasks. One that is not is used by one
        task at a time, and a cancelled request closes its connection."""
        self._options = options
        self._is_shared = is_shared
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    def close(self) -> None:
        """Closes the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def drop(self) -> None:
        """As `close`, once the loop is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    async def exchange(self, lines: Sequence[bytes], until: float, replies: list[Reply]) -> None:
        """As `latchkey.channel.Channel.exchange`."""
        connection = await self._fit(until)
        is_over = True
        try:
            await self._asked(connection, b"".join(lines), len(lines), until, replies)
            is_over = any(reply.code in ENDING for reply in replies)
        except TimeoutError as error:
            raise TimeoutError(f"{connection.endpoint}: {error}") from error
        except asyncio.CancelledError:
            is_over = not self._is_shared
            raise
        finally:
            if is_over:
                self._failed(connection)

    async def _asked(
        self, connection: Connection, data: bytes, count: int, until: float, replies: list[Reply]
    ) -> None:
        auth = connection.auth
        if auth is not None and (len(data) > AUTH_PIPELINED_MAX or auth.done()):
            _accepted(await _shared(auth, until))
            auth = None
        connection.send(data)
        futures = [connection.expect() for _ in range(count)]
        try:
            if auth is not None:
                _accepted(await _shared(auth, until))
            for future in futures:
                reply = parse_reply(await _own(future, until))
                if reply.word == "EVENT":
                    raise ProtocolError("an event came where a reply was expected")
                replies.append(reply)
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()  # the lines are dropped when they come
            raise

    async def subscribe(self, until: float) -> Connection:
        """A new, authenticated connection, for lines that the caller sends and reads itself.

        Raises OSError, ProtocolError, and the error of a rejected AUTH."""
        self.close()
        connection = await self._open(until)
        if connection.auth is not None:
            reply = parse_reply(await _shared(connection.auth, until))
            if reply.word != "OK":
                raise reply.error("AUTH")
        return connection

    async def _fit(self, until: float) -> Connection:
        connection = self._connection
        if connection is not None and await connection.is_fit():
            return connection
        async with self._opening:
            # Another task may have opened one meanwhile.
            connection = self._connection
            if connection is not None and await connection.is_fit():
                return connection
            self.close()
            return await self._open(until)

    async def _open(self, until: float) -> Connection:
        secret: Any = self._options.secret
        if callable(secret):
            secret = secret()
            if isinstance(secret, Awaitable):
                secret = await secret
        endpoint = self._options.endpoints.current
        try:
            connection = await _connect(
                endpoint, until, self._options.idle_s, context(self._options)
            )
        except UnreachedError:
            self._options.endpoints.failed(endpoint)
            raise
        if self._options.secret:
            connection.send(auth_line(secret, self._options.kind))
            connection.auth = connection.expect()
        self._connection = connection
        return connection

    def _failed(self, connection: Connection) -> None:
        self._options.endpoints.failed(connection.endpoint)
        connection.close()
        if self._connection is connection:
            self._connection = None


def _accepted(line: bytes) -> None:
    """Raises RejectedError unless this is the `OK` of AUTH."""
    reply = parse_reply(line)
    if reply.word != "OK":
        raise RejectedError(reply)


async def _own(future: asyncio.Future[bytes], until: float) -> bytes:
    """A line that only the caller waits for. Raises OSError if it does not come in time.

    If the task is cancelled, the future is too, and the line is dropped when it comes."""
    loop = asyncio.get_running_loop()
    timer = loop.call_later(max(0.0, until - time.monotonic()), _expire, future)
    try:
        return await future
    finally:
        timer.cancel()


def _expire(future: asyncio.Future[bytes]) -> None:
    if not future.done():
        future.set_exception(TimeoutError("no reply in time"))


async def _shared(future: asyncio.Future[bytes], until: float) -> bytes:
    """A line that several tasks wait for. Raises OSError if it does not come in time."""
    await asyncio.wait((future,), timeout=max(0.0, until - time.monotonic()))
    if not future.done():
        raise TimeoutError("no reply to AUTH in time")
    return future.result()
