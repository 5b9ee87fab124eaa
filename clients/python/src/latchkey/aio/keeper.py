"""The task that renews a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..errors import LatchkeyError
from ..lease import Lease, Moment

if TYPE_CHECKING:
    from .client import AsyncClient


class Keeper:
    """Renews a lease until it is stopped, or the lease is lost."""

    def __init__(
        self,
        client: AsyncClient,
        lease: Lease,
        renew: Callable[[AsyncClient], Awaitable[None]],
    ) -> None:
        """`renew` asks for a renewal, over the client that it is given."""
        self._client = client
        self._lease = lease
        self._renew = renew
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, in a task of the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="latchkey-lease")

    async def stop(self) -> None:
        """Ends the task; a renewal that is under way is given up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._lease.next_s(Moment.now()))
            left_s = self._lease.left_s(Moment.now())
            if left_s <= 0:
                return
            try:
                timeout_s = min(left_s, self._client.options.timeout_s)
                await self._renew(self._client.within(timeout_s))
            except LatchkeyError as error:
                self._lease.failed(error)
