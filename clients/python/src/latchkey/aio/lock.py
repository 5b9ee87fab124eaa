"""A lock that this process holds, renewed by a task inside an `async with` block."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import results, verbs
from ..errors import Held, LockLost, NotFound, Stale
from ..lease import HeldLock, Moment, is_long, note, unowned_error
from ..names import Duration
from ..request import REPEAT_S, Request
from .keeper import Keeper

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncLock(HeldLock):
    """A lock that was granted. `async with` renews it meanwhile, and releases it at the end.

    At the end of the block LockLost is raised if the lock was lost in it, or another LatchkeyError
    if it cannot be released; but never in place of the block's own exception.
    """

    def __init__(
        self, client: AsyncClient, device: str, grant: results.Grant, asked: Moment
    ) -> None:
        super().__init__(device, grant, asked)
        self._client = client
        self._keeper = Keeper(client, self._lease)

    async def renew(self, ttl: Duration | None = None) -> None:
        """Renews it now. Raises LockLost if it is not held, Unavailable."""
        await self._renew(self._client, ttl)
        self.check()

    async def renew_or_release(self, req: str | None) -> None:
        """As `Lock.renew_or_release`."""
        try:
            await self.renew()
        except LockLost:
            raise
        except Exception as error:  # also of a function for the secret
            client = self._client.within(self._client.options.reply_s)
            try:
                await client.ask(verbs.unlock(self.device, self.agent, token=self.token))
            except (NotFound, Held, Stale):
                pass  # it has ended
            except Exception as second:
                raise unowned_error(self.device, req, error) from second
            raise

    async def release(self) -> None:
        """Ends it. Raises LockLost if it had ended before, Unavailable, UnknownOutcome."""
        await self._keeper.stop()
        self.check()
        try:
            await self._client.ask(verbs.unlock(self.device, self.agent, token=self.token))
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
            self.check()
        self._lease.is_released = True

    async def handoff(
        self, to: str, note: dict[str, Any] | Sequence[Any] | None = None
    ) -> results.Grant:
        """Passes it to another agent; it is then not this process's any more.

        Returns the receiver's grant. Raises LockLost, Unavailable, UnknownOutcome."""
        await self._keeper.stop()
        self.check()
        request = verbs.handoff(self.device, self.agent, to, note, token=self.token)
        try:
            grant = await self._client.ask(request)
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
            raise self._lease.lost_error(self.device) from error
        self._lease.is_released = True
        return grant

    def start(self) -> None:
        """Begins to renew it in a task of the running loop."""
        self._keeper.start(self._renew)

    async def finish(self, body: BaseException | None, *, release: bool) -> None:
        """The end of the block."""
        if self._lease.is_forked or self._lease.is_released:
            return
        try:
            if release:
                await self.release()
            else:
                await self._keeper.stop()
                self.check()
        except Exception as error:  # also of a function for the secret
            if body is None:
                raise
            note(body, error)

    async def _renew(self, client: AsyncClient, ttl: Duration | None = None) -> None:
        asked = Moment.now()
        try:
            request = verbs.renew(self.device, self.agent, token=self.token, ttl=ttl).without_req()
            self._lease.renewed((await client.ask(request))["ttl_ms"], asked)
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)


class LockCall:
    """`await` it for the lock, or use it in `async with`."""

    def __init__(
        self, client: AsyncClient, device: str, request: Request[results.Grant], release: bool
    ) -> None:
        self._client = client
        self._device = device
        self._request = request
        self._release = release
        self._lock: AsyncLock | None = None

    async def _acquire(self) -> AsyncLock:
        while True:
            asked = Moment.now()
            try:
                grant = await self._client.ask(self._request)
                break
            except Held:
                # A worker that drains answers so before the time is over.
                if not self._request.waits_again(Moment.now().since(asked)):
                    raise
                await self._client.rest(REPEAT_S)
        now = Moment.now()
        if not self._request.wait_s or not is_long(grant, now.since(asked)):
            return AsyncLock(self._client, self._device, grant, asked)
        lock = AsyncLock(self._client, self._device, grant, now)
        await lock.renew_or_release(self._request.req)
        return lock

    def __await__(self) -> Generator[Any, None, AsyncLock]:
        return self._acquire().__await__()

    async def __aenter__(self) -> AsyncLock:
        self._lock = await self._acquire()
        self._lock.start()
        return self._lock

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            await self._lock.finish(body, release=self._release)
