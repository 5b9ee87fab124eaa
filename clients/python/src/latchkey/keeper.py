"""The thread that renews a lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .channel import Channel
from .lease import Lease, Moment

if TYPE_CHECKING:
    from .client import Client


class Keeper:
    """Renews a lease until it is stopped, or the lease is lost."""

    def __init__(self, client: Client, lease: Lease) -> None:
        self._client = client
        self._lease = lease
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._channel: Channel | None = None

    def start(self, renew: Callable[[Client], None]) -> None:
        """Begins; the connection is made when the first renewal is due.

        `renew` asks for a renewal, over the client that it is given. It is not kept longer than it
        is needed: what holds this would be a cycle, which the collector of garbage has to find."""
        self._channel = self._client.channel()
        self._thread = threading.Thread(
            target=self._run, args=(self._channel, renew), name="latchkey-lease", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a renewal that is under way is given up."""
        thread, self._thread = self._thread, None
        if thread is None or self._lease.is_forked:
            return
        self._stopped.set()
        if self._channel is not None:
            self._channel.abort()
        thread.join(self._client.options.reply_s)

    def _run(self, channel: Channel, renew: Callable[[Client], None]) -> None:
        try:
            while not self._stopped.wait(self._lease.next_s(Moment.now())):
                left_s = self._lease.left_s(Moment.now())
                if left_s <= 0:
                    return
                try:
                    renew(self._client.over(channel, left_s, self._stopped))
                except Exception as error:  # also of a function for the secret
                    self._lease.failed(error)
        finally:
            channel.close()
