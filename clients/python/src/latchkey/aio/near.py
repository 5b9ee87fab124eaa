"""A client for coroutines whose GET and HISTORY are answered from memory while nothing changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from ..cached import Cached, Pauses
from ..errors import LatchkeyError
from ..forking import Forked
from ..names import Duration, seconds
from ..reply import Reply
from ..request import Request
from .channel import Channel, Connection
from .client import AsyncClient


class Subscription(Forked):
    """The connection that follows devices; the event loop reads it."""

    def __init__(self, client: AsyncClient, cached: Cached) -> None:
        super().__init__()
        self._client = client
        self._cached = cached
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._moved = asyncio.Event()
        self._channel: Channel | None = None
        self._connection: Connection | None = None
        self._pauses = Pauses()
        self._retry_at = 0.0
        self._is_closed = False

    def forked(self) -> None:
        """In a child process: nothing is cached, since the loop stays with the parent."""
        self._is_closed = True
        self._cached.forked()

    async def look(self, device: str) -> bool:
        """Has the device followed; as `latchkey.near.Subscription.look`.

        False if nothing is cached: for another event loop, and once it is closed."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._is_closed or loop is not self._loop:
            return False
        connection = self._connection
        if connection is not None and self._cached.is_silent(self._client.options.reply_s):
            self._failed()
            connection = None
        try:
            if connection is not None and self._cached.follows(device):
                self._send(connection, self._cached.probe(device))
                return True
            async with self._opening:
                if self._connection is not None or time.monotonic() >= self._retry_at:
                    await self._follow(device)
        except (OSError, LatchkeyError):
            self._failed()
        return True

    async def _follow(self, device: str) -> None:
        until = time.monotonic() + self._client.options.reply_s
        data = self._cached.follow(device)
        if data and self._cached.is_full:
            self._drop()
            self._cached.halve()
        connection = self._connection
        if connection is None:
            connection = await self._subscribed(until)
            data = self._cached.opened()
        self._send(connection, data + self._cached.probe(device))
        while not self._cached.is_settled(device) and self._connection is connection:
            self._moved.clear()
            moved = asyncio.ensure_future(self._moved.wait())
            try:
                await asyncio.wait((moved,), timeout=max(0.0, until - time.monotonic()))
            finally:
                moved.cancel()
            if time.monotonic() >= until:
                raise TimeoutError("no reply in time")

    async def _subscribed(self, until: float) -> Connection:
        channel = self._client.channel()
        try:
            connection = await channel.subscribe(until)
        except BaseException:
            self._client.discard(channel)
            raise
        connection.line_received = self._received
        self._channel, self._connection = channel, connection
        return connection

    @staticmethod
    def _send(connection: Connection, data: bytes) -> None:
        if data:
            connection.send(data)

    def _received(self, line: bytes | None) -> None:
        self._moved.set()
        if line is None:
            return self._failed()
        try:
            self._cached.received(line)
            self._pauses.reset()
        except (OSError, LatchkeyError):
            self._failed()
        return None

    def _failed(self) -> None:
        if self._connection is not None:
            self._client.options.endpoints.failed(self._connection.endpoint)
        self._drop()
        self._retry_at = self._pauses.failed(time.monotonic())

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.line_received = None
        channel, self._channel = self._channel, None
        if channel is not None:
            self._client.discard(channel)
        self._cached.closed()

    def close(self) -> None:
        """Ends it, and forgets everything."""
        self._is_closed = True
        if self._loop is asyncio.get_running_loop():
            self._drop()
        self._cached.closed()


class AsyncNearClient(AsyncClient):
    """As `latchkey.NearClient`, for `async with`."""

    def __init__(
        self, client: AsyncClient, *, fresh: Duration, longest: Duration, bytes_max: int
    ) -> None:
        """See `Client.near`."""
        vars(self).update(vars(client))
        self._cached = Cached(seconds(fresh), seconds(longest), bytes_max)
        self._subscription = Subscription(client, self._cached)

    @property
    def hits(self) -> int:
        """How many requests were answered from memory."""
        return self._cached.hits

    @property
    def misses(self) -> int:
        """How many requests of GET and HISTORY a worker has answered."""
        return self._cached.misses

    async def _replies(self, requests: Sequence[Request[Any]]) -> list[Reply]:
        if len(requests) == 1 and self._cached.keeps(requests[0]):
            return [await self._read(requests[0])]
        try:
            return await super()._replies(requests)
        finally:
            for request in requests:
                self._cached.changed_by(request)

    async def _read(self, request: Request[Any]) -> Reply:
        is_cached = await self._subscription.look(request.words[0].partition("/")[0])
        if not is_cached:
            return (await super()._replies([request]))[0]
        kept, asked = self._cached.find(request)
        if kept is not None:
            return kept
        reply = (await super()._replies([request]))[0]
        self._cached.keep(asked, reply)
        return reply

    async def close(self) -> None:
        """As `NearClient.close`."""
        self._subscription.close()
