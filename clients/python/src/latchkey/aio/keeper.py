"""What renews a lease in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..lease import Lease, Moment

if TYPE_CHECKING:
    from .client import AsyncClient

Renew = Callable[["AsyncClient"], Awaitable[None]]


class Keeper:
    """Renews a lease until it is stopped, or the lease is lost."""

    def __init__(self, client: AsyncClient, lease: Lease) -> None:
        self._client = client
        self._lease = lease
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, renew: Renew) -> None:
        """Begins, in the running loop. There is a task only while a renewal is under way: most
        blocks end before the first one is due.

        `renew` asks for a renewal, over the client that it is given. It is not kept longer than it
        is needed: what holds this would be a cycle, which the collector of garbage has to find."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._lease.next_s(Moment.now()), self._due, loop, renew)

    async def stop(self) -> None:
        """Ends it; a renewal that is under way is given up."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _due(self, loop: asyncio.AbstractEventLoop, renew: Renew) -> None:
        self._timer = None
        self._task = loop.create_task(self._run(renew), name="latchkey-lease")

    async def _run(self, renew: Renew) -> None:
        left_s = self._lease.left_s(Moment.now())
        if left_s <= 0:
            return
        try:
            timeout_s = min(left_s, self._client.options.timeout_s)
            await renew(self._client.within(timeout_s))
        except Exception as error:  # also of a function for the secret
            self._lease.failed(error)
        self._task = None
        self.start(renew)
