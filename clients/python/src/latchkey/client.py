"""The blocking client."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from . import endpoints, names, verbs
from .asking import Blocking
from .attempts import Attempts, Done, Pause, Try
from .channel import Channel, UnreachedError
from .errors import Busy, Held, LatchkeyError
from .forking import Forked
from .lease import Moment, is_long
from .lock import Lock
from .names import ALL, Address, All, Duration
from .reply import RejectedError, Reply
from .request import REPEAT_S, RETRIED_S, Request
from .results import Begun, Event, Recovered
from .session import Session
from .table import Verbs
from .tls import TLS
from .turn import Turn

if TYPE_CHECKING:
    from ssl import SSLContext

    from typing_extensions import Self

    from .behind import WriteBehind
    from .near import NearClient

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
    def __get__(self, owner: Client, kind: type) -> Callable[Concatenate[str, P], Session]: ...
    def __get__(self, owner: Client | None, kind: type) -> Any:
        if owner is None:
            return self
        client, build = owner, self._build

        def session(device: str, *args: P.args, **kwargs: P.kwargs) -> Session:
            request = build(device, *args, **kwargs)
            record = client.ask(request)
            where = Address(device, record["session"])
            return Session(client, where, token=request.token, turn=request.turn, record=record)

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
    def __get__(self, owner: Client, kind: type) -> Callable[Concatenate[str, P], Turn]: ...
    def __get__(self, owner: Client | None, kind: type) -> Any:
        build = self._build
        if owner is None:
            return build
        client = owner

        def turn(device: str, *args: P.args, **kwargs: P.kwargs) -> Turn:
            request = build(device, *args, **kwargs)
            while True:
                asked = Moment.now()
                try:
                    return Turn(client, device, client.ask(request), asked)
                except Busy:
                    # A worker that drains answers so before the time is over.
                    if not request.waits_again(Moment.now().since(asked)):
                        raise
                    client.rest(REPEAT_S)

        turn.__doc__ = build.__doc__
        return turn


class Client(Verbs, Blocking):
    """A client of a fleet of workers, for any number of threads.

    Each thread has a connection of its own, made when it is first needed, kept between calls, and
    replaced when it has ended, was idle for long, or belongs to the parent of a forked process.
    Every call is answered, or raises Unavailable or UnknownOutcome, within `timeout`; only the
    system's look-up of a host's name, and a function that returns the secret, may take longer.
    """

    def __init__(
        self,
        to: str | Sequence[str] | None = None,
        *,
        secret: str | Callable[[], str] | None = None,
        jwt: str | Callable[[], str] | None = None,
        ticket: str | Callable[[], str] | None = None,
        tls: bool | TLS | SSLContext | None = None,
        timeout: Duration = 5,
        reply_timeout: Duration = 1,
        idle: Duration = 60,
    ) -> None:
        """No connection is made yet.

        `to`: `HOST:PORT,...`, else LATCHKEY_TO, else 127.0.0.1:5282.
        `secret`, or `jwt`, or `ticket`: for AUTH, or a function that returns it, called for each
        new connection, so also when a token has expired; else LATCHKEY_SECRET, else none. What the
        function raises, the call raises.
        `tls`: True, or the files of it, or a context; else LATCHKEY_TLS and its like, else plain.
        `timeout`: for a call with all its attempts. `reply_timeout`: for each attempt; more than
        the workers' `--request-timeout`. Both are without the time of `wait=`.
        `idle`: a connection that was idle for longer is not used again; less than the workers'
        `--idle-timeout`, and than what a network between forgets.
        Raises ValueError if `to` is malformed, or more than one secret is given."""
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
        self.stopped = threading.Event()
        self._own: Channel | None = None
        self._threads = _Threads(options)

    @classmethod
    def configured(cls, options: endpoints.Options) -> Client:
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
    ) -> Session:
        """A handle for a session whose id is known, or for the device's current one.

        Sends nothing, so the session need not exist."""
        return Session(self, Address(device, session), token=token, turn=turn)

    def stateless(self, device: str, fields: Mapping[str, Any] | None = None) -> Session:
        """A session in the memory of this process, for a function that would rather answer without
        memory than fail: use it where `session` raised Unavailable.

        It has GET, SET, TOUCH, SAY, HISTORY, POP and FORGET; other verbs, and options that would
        have no effect, raise Unavailable. Its
        `is_stateless` is true, and so is the member `stateless` of each result. Nothing of it is
        stored."""
        from .stateless import StatelessSession

        return StatelessSession(self, device, fields)

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
    ) -> Lock:
        """Acquires the device's lock, or renews it for the agent that holds it already.

        As a context manager, the lock is renewed meanwhile and released at the end; with
        `release=False` it stays the agent's until its TTL ends. `fresh` shares no lock with another
        function of the same agent. `wait` is how long to wait for the end of the lock, in the order
        of asking. Raises Held; with `token`, which never acquires a free device, Stale."""
        request = verbs.lock(device, agent, ttl=ttl, fresh=fresh, wait=wait, token=token, req=req)
        while True:
            asked = Moment.now()
            try:
                grant = self.ask(request)
                break
            except Held:
                # A worker that drains answers so before the time is over.
                if not request.waits_again(Moment.now().since(asked)):
                    raise
                self.rest(REPEAT_S)
        now = Moment.now()
        if not request.wait_s or not is_long(grant, now.since(asked)):
            return Lock(self, device, grant, asked, release=release)
        lock = Lock(self, device, grant, now, release=release)
        lock.renew_or_release(request.req)
        return lock

    def watch(
        self,
        device: str | All = ALL,
        *,
        types: str | Sequence[str] | None = None,
        after: str | None = None,
        idle: Duration | None = None,
        changes: bool = False,
        as_: str | None = None,
    ) -> Generator[Event, None, None]:
        """The events of a device, or of all, as they happen; with `as_` those of a user's sessions.

        With `changes` also what is in no log, such as messages that are said: entries with an empty
        id. `{"type": "changes.lost"}` says that some may be missing: read anew what you follow.
        It reconnects when a connection ends, and goes on after the last event; it begins after the
        event `after`. `{"type": "watch.lost"}` says that events may be missing there. With `idle`
        the iteration ends when no event came for that long. When the principal or the role ends by
        which it may watch, the last entry is `{"type": "watch.ended", "reason": ...}`; with a
        function for the secret, which gives a new token, it goes on. Raises Refused, NotFound."""
        from .following import watch

        return watch(self, device, types, after, idle, changes, as_)

    def consume(
        self,
        group: str,
        *,
        types: str | Sequence[str] | None = None,
        limit: int = 10,
        idle: Duration | None = None,
        ack: bool = True,
    ) -> Generator[Event, None, None]:
        """The events of the whole fleet, as a consumer of a group, each at least once.

        An event is acknowledged when the next one is asked for; the one at which a loop ends, by
        `break` or an exception, is not, and comes again to a consumer of the group. Up to `limit`
        are taken at a time; handle that many within the workers' `--ack-timeout` (60 s). With
        `idle` the iteration ends when there was no event for that long, with 0 when there is none.
        `{"type": "watch.lost"}` says that the group has lost events, since it was behind for too
        long. With `ack=False` nothing is acknowledged: call `ack`. Raises Refused."""
        from .following import consume

        return consume(self, group, types, limit, idle, ack)

    def write_behind(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sync: bool = False,
        count_max: int = 1000,
        bytes_max: int = 8 << 20,
        on_error: Callable[[LatchkeyError], None] | None = None,
    ) -> WriteBehind:
        """A queue of changes that a thread sends in order, while the caller goes on. Use `with`.

        `path`: a file that keeps what waits, for one process at a time; what an earlier process has
        left in it is sent first. Without it the queue is in memory. `sync`: a change is on the disk
        itself before its verb returns. `count_max`, `bytes_max`: beyond them QueueFull is raised.
        `on_error`: called by the thread for each change that is refused; without it the next call
        raises the error. Raises LatchkeyError if the file is in use, or no such queue; OSError."""
        from .behind import WriteBehind, queue

        return WriteBehind(self, queue(path, sync, count_max, bytes_max), on_error)

    def near(
        self, *, fresh: Duration = 1, longest: Duration = 60, bytes_max: int = 8 << 20
    ) -> NearClient:
        """This client with a near cache: GET and HISTORY are answered from memory while a
        subscription to the device's changes says that nothing has changed. Use `with`.

        Changes by the returned client are seen by its next read; those of others as soon as they
        have been pushed, and in the worst case, when the connection is dead, after `fresh`. A
        worker that has lost Redis says so within 4 s. `longest`: after it a reply is asked for
        again in any case. `bytes_max`: of all replies that are kept; the least recently used ones
        go first. TOUCH is no change: times of activity are those of when the reply was made."""
        from .near import NearClient

        return NearClient(self, fresh=fresh, longest=longest, bytes_max=bytes_max)

    def within(self, timeout: Duration) -> Client:
        """This client with another total deadline for its calls; the connections are shared."""
        made = self._copy()
        made.options = self.options._replace(timeout_s=names.seconds(timeout))
        return made

    def channel(self) -> Channel:
        """A channel that is closed with the client; for the package's iterators and locks."""
        return self._threads.new()

    def over(self, channel: Channel, timeout_s: float, stopped: threading.Event) -> Client:
        """This client over one channel, until it is stopped; for a thread of the package."""
        made = self._copy()
        made.options = self.options._replace(timeout_s=min(timeout_s, self.options.timeout_s))
        made._own = channel
        made.stopped = stopped
        return made

    def _copy(self) -> Client:
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made

    def ask(self, request: Request[R]) -> R:
        """The result of a request, after as many attempts as are needed and the deadline allows."""
        return request.result(self._replies([request])[0])

    def ask_all(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """The results of several requests, which are sent together: one round trip.

        They are carried out in their order. If one fails, those behind it may have been carried out
        all the same; the first error is raised when all replies are there."""
        replies = self._replies(requests) if requests else []
        return [request.result(reply) for request, reply in zip(requests, replies, strict=True)]

    def _replies(self, requests: Sequence[Request[Any]]) -> list[Reply]:
        """The definite replies to all of them. Raises Unavailable, UnknownOutcome."""
        channel = self._own or self._threads.channel()
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
            if self.stopped.is_set():
                raise LatchkeyError(f"{requests[0].verb}: the client was closed")
            if isinstance(step, Try) and Moment.now().since(began) > RETRIED_S:
                step = attempts.expired()
            elif isinstance(step, Try):
                got: list[Reply] = []
                try:
                    channel.exchange(lines[len(attempts.replies) :], step.until, got)
                except UnreachedError as error:
                    step = attempts.unreached(time.monotonic(), str(error))
                except RejectedError as error:
                    step = attempts.rejected(time.monotonic(), error.reply)
                except OSError as error:
                    step = attempts.received(time.monotonic(), got, str(error))
                else:
                    step = attempts.received(time.monotonic(), got)
            elif isinstance(step, Pause):
                self.stopped.wait(step.seconds)
                step = attempts.resumed(time.monotonic())
            elif isinstance(step, Done):
                return attempts.replies
            else:
                raise step.error

    def rest(self, seconds: float) -> None:
        """Waits. Raises LatchkeyError if the client is closed meanwhile."""
        if self.stopped.wait(seconds):
            raise LatchkeyError("the client was closed")

    def close(self) -> None:
        """Closes the connections of all threads. Later calls raise LatchkeyError."""
        self.stopped.set()
        self._threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Threads(Forked):
    """The channels of a client: one for each thread, and those of its iterators and locks."""

    def __init__(self, options: endpoints.Options) -> None:
        super().__init__()
        self._options = options
        self._local = threading.local()
        self._all: weakref.WeakSet[Channel] = weakref.WeakSet()
        self._mutex = threading.Lock()

    def channel(self) -> Channel:
        """The calling thread's channel."""
        channel: Channel | None = getattr(self._local, "channel", None)
        if channel is None:
            channel = self._local.channel = self.new()
        return channel

    def new(self) -> Channel:
        """Another channel, which is closed with the client."""
        channel = Channel(self._options)
        with self._mutex:
            self._all.add(channel)
        return channel

    def close(self) -> None:
        """Closes all channels; a request that another thread waits for ends with an error."""
        with self._mutex:
            channels = list(self._all)
        for channel in channels:
            channel.close()

    def forked(self) -> None:
        """In a child process: begins anew. The parent's threads, which may have had a mutex, are
        not there; its connections stay its own, since closing them here does not end them."""
        self._local = threading.local()
        self._all = weakref.WeakSet()
        self._mutex = threading.Lock()
