"""The client for coroutines."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .. import endpoints, names, verbs
from ..asking import Awaiting
from ..attempts import Attempts, Done, Pause, Try
from ..behind import queue
from ..channel import UnreachedError
from ..errors import LatchkeyError
from ..feed import Feed
from ..forking import Forked
from ..lease import Moment
from ..names import ALL, Address, All, Duration
from ..reply import RejectedError, Reply
from ..request import RETRIED_S, Request
from ..results import Begun, Event, Recovered
from ..table import Verbs
from ..tls import TLS
from ..waiting import Idle
from . import following
from .behind import AsyncWriteBehind
from .channel import Channel
from .lock import LockCall
from .session import AsyncSession
from .stateless import AsyncStatelessSession
from .turn import TurnCall

if TYPE_CHECKING:
    from ssl import SSLContext

    from typing_extensions import Self

    from .near import AsyncNearClient

P = ParamSpec("P")
R = TypeVar("R")


class RecoveredSession(Generic[P]):
    """`session`: RECOVER of a device, with a session as its result."""

    def __init__(self, build: Callable[Concatenate[str, P], Request[Recovered]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(
        self, owner: AsyncClient, kind: type
    ) -> Callable[Concatenate[str, P], Coroutine[Any, Any, AsyncSession]]: ...
    def __get__(self, owner: AsyncClient | None, kind: type) -> Any:
        if owner is None:
            return self
        client, build = owner, self._build

        async def session(device: str, *args: P.args, **kwargs: P.kwargs) -> AsyncSession:
            request = build(device, *args, **kwargs)
            record = await client.ask(request)
            where = Address(device, record["session"])
            return AsyncSession(
                client, where, token=request.token, turn=request.turn, record=record
            )

        session.__doc__ = build.__doc__
        return session


class BegunTurn(Generic[P]):
    """`turn`: TURN, with an object for the turn as its result."""

    def __init__(self, build: Callable[Concatenate[str, P], Request[Begun]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[Concatenate[str, P], Request[Begun]]: ...
    @overload
    def __get__(
        self, owner: AsyncClient, kind: type
    ) -> Callable[Concatenate[str, P], TurnCall]: ...
    def __get__(self, owner: AsyncClient | None, kind: type) -> Any:
        build = self._build
        if owner is None:
            return build
        client = owner

        def turn(device: str, *args: P.args, **kwargs: P.kwargs) -> TurnCall:
            return TurnCall(client, device, build(device, *args, **kwargs))

        turn.__doc__ = build.__doc__
        return turn


class AsyncClient(Verbs, Awaiting):
    """A client of a fleet of workers, for the tasks of any number of event loops.

    Each running event loop has a connection of its own, which its tasks share; requests that wait
    have others. Connections are kept between calls, and replaced when they have ended, were idle
    for long, or belong to the parent of a forked process. Close the client in the loop that uses
    it, by `close` or `async with`.
    """

    def __init__(
        self,
        to: str | Sequence[str] | None = None,
        *,
        secret: str | Callable[[], str | Awaitable[str]] | None = None,
        jwt: str | Callable[[], str | Awaitable[str]] | None = None,
        ticket: str | Callable[[], str | Awaitable[str]] | None = None,
        tls: bool | TLS | SSLContext | None = None,
        timeout: Duration = 5,
        reply_timeout: Duration = 1,
        idle: Duration = 60,
    ) -> None:
        """As `latchkey.Client`; a `secret` and its like may be a coroutine function."""
        self._begin(
            endpoints.resolve(
                to,
                secret=secret,
                jwt=jwt,
                ticket=ticket,
                tls=tls,
                timeout=timeout,
                reply_timeout=reply_timeout,
                idle=idle,
            )
        )

    def _begin(self, options: endpoints.Options) -> None:
        self.options = options
        self._loops = _Loops(options)
        self._own: Channel | None = None

    @classmethod
    def configured(cls, options: endpoints.Options) -> AsyncClient:
        """A client with the options of another, of either kind; its connections are its own."""
        made = cls.__new__(cls)
        made._begin(options)
        return made

    session = RecoveredSession(verbs.recover)
    turn = BegunTurn(verbs.turn)

    def attach(
        self,
        device: str,
        session: str | None = None,
        *,
        token: int | None = None,
        turn: int | None = None,
    ) -> AsyncSession:
        """A handle for a session whose id is known, or for the device's current one.

        Sends nothing, so the session need not exist."""
        return AsyncSession(self, Address(device, session), token=token, turn=turn)

    def stateless(self, device: str, fields: Mapping[str, Any] | None = None) -> AsyncSession:
        """As `Client.stateless`; its methods are coroutines."""
        return AsyncStatelessSession(self, device, fields)

    def lock(
        self,
        device: str,
        agent: str,
        *,
        ttl: Duration | None = None,
        fresh: bool | None = None,
        wait: Duration | None = None,
        token: int | None = None,
        req: str | None = None,
        release: bool = True,
    ) -> LockCall:
        """Acquires the device's lock, or renews it for the agent that holds it already.

        With `await` the lock is returned; with `async with` it is renewed meanwhile and released
        at the end, unless `release` is false. If the task is cancelled before the reply is there,
        the lock may have been granted; it ends by its TTL. `fresh` and `wait` as for
        `Client.lock`. Raises Held; with `token` Stale."""
        request = verbs.lock(device, agent, ttl=ttl, fresh=fresh, wait=wait, token=token, req=req)
        return LockCall(self, device, request, release)

    def watch(
        self,
        device: str | All = ALL,
        *,
        types: str | Sequence[str] | None = None,
        after: str | None = None,
        idle: Duration | None = None,
        changes: bool = False,
        as_: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """As `Client.watch`, for `async for`."""
        feed = Feed(device, types, after, changes, as_)
        return following.watch(self, feed, Idle(idle, time.monotonic()))

    def consume(
        self,
        group: str,
        *,
        types: str | Sequence[str] | None = None,
        limit: int = 10,
        idle: Duration | None = None,
        ack: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """As `Client.consume`, for `async for`."""
        verbs.events(ALL, group=group, limit=limit, types=types)  # raises for what is no parameter
        return following.consume(self, group, types, limit, Idle(idle, time.monotonic()), ack)

    def write_behind(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sync: bool = False,
        count_max: int = 1000,
        bytes_max: int = 8 << 20,
        on_error: Callable[[LatchkeyError], None] | None = None,
    ) -> AsyncWriteBehind:
        """As `Client.write_behind`, for `async with`; the file is written by the event loop."""
        return AsyncWriteBehind(self, queue(path, sync, count_max, bytes_max), on_error)

    def near(
        self, *, fresh: Duration = 1, longest: Duration = 60, bytes_max: int = 8 << 20
    ) -> AsyncNearClient:
        """As `Client.near`, for `async with`. It caches for the event loop that uses it first."""
        from .near import AsyncNearClient

        return AsyncNearClient(self, fresh=fresh, longest=longest, bytes_max=bytes_max)

    def within(self, timeout: Duration) -> AsyncClient:
        """This client with another total deadline for its calls; the connections are shared."""
        made = self._copy()
        made.options = self.options._replace(timeout_s=names.seconds(timeout))
        return made

    def channel(self) -> Channel:
        """A channel of the running loop that is closed with the client; for the iterators."""
        return self._loops.channels().take()

    def discard(self, channel: Channel) -> None:
        """Closes a channel that `channel` made."""
        channel.close()
        self._loops.channels().taken.discard(channel)

    def over(self, channel: Channel) -> AsyncClient:
        """This client over one channel; for the iterators of the package."""
        made = self._copy()
        made._own = channel
        return made

    def _copy(self) -> AsyncClient:
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made

    async def ask(self, request: Request[R]) -> R:
        """The result of a request, after as many attempts as are needed and the deadline allows."""
        return request.result((await self._replies([request]))[0])

    async def ask_all(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """As `Client.ask_all`."""
        replies = await self._replies(requests) if requests else []
        return [request.result(reply) for request, reply in zip(requests, replies, strict=True)]

    async def _replies(self, requests: Sequence[Request[Any]]) -> list[Reply]:
        """The definite replies to all of them. Raises Unavailable, UnknownOutcome."""
        if self._own is not None:
            return await self._attempt(requests, self._own)
        channels = self._loops.channels()
        if all(request.held_s <= 0 for request in requests):
            return await self._attempt(requests, channels.shared)
        channel = channels.take()
        try:
            return await self._attempt(requests, channel)
        finally:
            channels.give(channel)

    async def _attempt(self, requests: Sequence[Request[Any]], channel: Channel) -> list[Reply]:
        options, lines = self.options, [request.line() for request in requests]
        attempts = Attempts(
            *requests,
            now=time.monotonic(),
            timeout_s=options.timeout_s,
            reply_s=options.reply_s,
            workers=len(options.endpoints),
            jitter=endpoints.jitter(),
            can_refresh=callable(options.secret),
        )
        began = Moment.now()
        step = attempts.begin(time.monotonic())
        while True:
            if self._loops.is_closed:
                raise LatchkeyError(f"{requests[0].verb}: the client was closed")
            if isinstance(step, Try) and Moment.now().since(began) > RETRIED_S:
                step = attempts.expired()
            elif isinstance(step, Try):
                got: list[Reply] = []
                try:
                    await channel.exchange(lines[len(attempts.replies) :], step.until, got)
                except UnreachedError as error:
                    step = attempts.unreached(time.monotonic(), str(error))
                except RejectedError as error:
                    step = attempts.rejected(time.monotonic(), error.reply)
                except OSError as error:
                    step = attempts.received(time.monotonic(), got, str(error))
                else:
                    step = attempts.received(time.monotonic(), got)
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = attempts.resumed(time.monotonic())
            elif isinstance(step, Done):
                return attempts.replies
            else:
                raise step.error

    async def rest(self, seconds: float) -> None:
        """Waits. Raises LatchkeyError if the client is closed meanwhile."""
        await asyncio.sleep(0 if self._loops.is_closed else seconds)
        if self._loops.is_closed:
            raise LatchkeyError("the client was closed")

    async def close(self) -> None:
        """Closes the connections of the running loop. Later calls raise LatchkeyError."""
        self._loops.close()
        await asyncio.sleep(0)  # transports end in the next turn of the loop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


_SPARE_MAX = 4


class _Channels:
    """The channels of one event loop: the shared one, and those for requests that wait."""

    def __init__(self, options: endpoints.Options) -> None:
        self._options = options
        self._spare: list[Channel] = []
        self.taken: set[Channel] = set()
        self.shared = Channel(options, is_shared=True)

    def take(self) -> Channel:
        """A channel for a request that waits; it is given back by `give`."""
        channel = self._spare.pop() if self._spare else Channel(self._options, is_shared=False)
        self.taken.add(channel)
        return channel

    def give(self, channel: Channel) -> None:
        """Keeps up to four for later requests."""
        self.taken.discard(channel)
        if len(self._spare) < _SPARE_MAX:
            self._spare.append(channel)
        else:
            channel.close()

    def close(self) -> None:
        """Closes all."""
        for channel in [self.shared, *self._spare, *self.taken]:
            channel.close()

    def drop(self) -> None:
        """As `close`, once the loop is closed."""
        for channel in [self.shared, *self._spare, *self.taken]:
            channel.drop()


class _Loops(Forked):
    """The channels of a client, for each event loop that used it."""

    def __init__(self, options: endpoints.Options) -> None:
        super().__init__()
        self._options = options
        self._mutex = threading.Lock()
        self._all: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Channels] = (
            weakref.WeakKeyDictionary()
        )
        self.is_closed = False

    def forked(self) -> None:
        """In a child process: begins anew; the parent's connections stay its own."""
        self._mutex = threading.Lock()
        self._all = weakref.WeakKeyDictionary()

    def channels(self) -> _Channels:
        """Those of the running loop."""
        loop = asyncio.get_running_loop()
        with self._mutex:
            found = self._all.get(loop)
            if found is None:
                self._drop_ended()
                found = self._all[loop] = _Channels(self._options)
            return found

    def _drop_ended(self) -> None:
        """Drops those of loops that are closed. A connection refers to its loop, so they would
        stay for ever, where each invocation of a function has a loop of its own."""
        for ended in [loop for loop in self._all if loop.is_closed()]:
            self._all.pop(ended).drop()

    def close(self) -> None:
        """Closes those of the running loop. Other loops end theirs themselves."""
        self.is_closed = True
        with self._mutex:
            self._drop_ended()
            found = self._all.pop(asyncio.get_running_loop(), None)
        if found is not None:
            found.close()
