"""A client whose GET and HISTORY are answered from memory while nothing has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from .cached import Cached, Pauses
from .channel import Channel, Connection
from .client import Client
from .errors import LatchkeyError
from .forking import Forked
from .names import Duration, seconds
from .reply import Reply
from .request import Request


class Subscription(Forked):
    """The connection that follows devices, looked at whenever a reply is asked for.

    No thread reads it: what has come is read before a kept reply is given, so it needs no time
    while nothing is asked for, and is right after a process was frozen, too."""

    def __init__(self, client: Client, cached: Cached) -> None:
        super().__init__()
        self._client = client
        self._cached = cached
        self._mutex = threading.Lock()
        self._channel: Channel | None = None
        self._connection: Connection | None = None
        self._pauses = Pauses()
        self._retry_at = 0.0
        self._is_closed = False

    def forked(self) -> None:
        """In a child process: begins anew, and leaves the parent's connection alone."""
        self._mutex = threading.Lock()
        self._channel = self._connection = None
        self._cached.forked()

    def look(self, device: str) -> None:
        """Reads what has come, and has the device followed. It waits only for the reply to a WATCH,
        the first time; without a connection it tries to make one from time to time."""
        with self._mutex:
            connection = self._connection
            if self._is_closed:
                return
            try:
                if connection is not None:
                    for line in connection.lines():
                        self._cached.received(line)
                    if self._cached.is_silent(self._client.options.reply_s):
                        raise TimeoutError("no reply in time")
                    return self._follow(device)
            except (OSError, LatchkeyError):
                self._failed()
            if time.monotonic() >= self._retry_at:
                try:
                    self._follow(device)
                except (OSError, LatchkeyError):
                    self._failed()
            return None

    def _follow(self, device: str) -> None:
        until = time.monotonic() + self._client.options.reply_s
        data = self._cached.follow(device)
        if data and self._cached.is_full:
            self._drop()
            self._cached.halve()
        connection = self._connection
        if connection is None:
            self._channel = self._client.channel()
            connection = self._connection = self._channel.subscribe(until)
            data = self._cached.opened()
        data += self._cached.probe(device)
        if data:
            connection.send(data, until)
        while not self._cached.is_settled(device):
            self._cached.received(connection.read_line(until))
            self._pauses.reset()

    def _failed(self) -> None:
        if self._connection is not None:
            self._client.options.endpoints.failed(self._connection.endpoint)
        self._drop()
        self._retry_at = self._pauses.failed(time.monotonic())

    def _drop(self) -> None:
        channel, self._channel, self._connection = self._channel, None, None
        if channel is not None:
            channel.close()
        self._cached.closed()

    def close(self) -> None:
        """Ends it, and forgets everything."""
        with self._mutex:
            self._is_closed = True
            self._drop()


class NearClient(Client):
    """A client with a near cache; see `Client.near`. Use it in `with`, or call `close`."""

    def __init__(
        self, client: Client, *, fresh: Duration, longest: Duration, bytes_max: int
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

    def _replies(self, requests: Sequence[Request[Any]]) -> list[Reply]:
        if len(requests) == 1 and self._cached.keeps(requests[0]):
            return [self._read(requests[0])]
        try:
            return super()._replies(requests)
        finally:
            for request in requests:
                self._cached.changed_by(request)

    def _read(self, request: Request[Any]) -> Reply:
        if not self.stopped.is_set():
            self._subscription.look(request.words[0].partition("/")[0])
        kept, asked = self._cached.find(request)
        if kept is not None:
            return kept
        reply = super()._replies([request])[0]
        self._cached.keep(asked, reply)
        return reply

    def close(self) -> None:
        """Ends the subscription, and forgets what was kept. The client goes on: later calls are
        answered by workers."""
        self._subscription.close()
