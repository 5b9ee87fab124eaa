"""Changes that a thread sends in the background: written behind, or saved when they pause."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import verbs
from .asking import Queued, QueuedVerb
from .endpoints import jitter
from .errors import LatchkeyError, Unavailable, UnknownOutcome
from .forking import Forked
from .journal import Journal
from .lease import Moment, note
from .names import Address, Duration, seconds
from .outbox import Draft, Outbox, Queue, broken, unknown
from .request import Request
from .waiting import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import Client

OnError = Callable[[LatchkeyError], None]


class Sender(Forked):
    """A thread that sends what an outbox has, until it is closed.

    While no worker can be reached it tries again. A change that is refused is dropped, and its
    error is given to `on_error`, or raised by the next call. A forked child sends nothing."""

    def __init__(self, client: Client, outbox: Outbox, on_error: OnError | None) -> None:
        super().__init__()
        self._client = client
        self._outbox = outbox
        self._on_error = on_error
        self._state = threading.Condition()
        self._errors: list[LatchkeyError] = []
        self._broken: LatchkeyError | None = None
        self._is_closing = False
        self._flushes = 0
        self._is_forked = False
        self._stopped = threading.Event()
        self._channel = client.channel()
        self._thread: threading.Thread | None = None

    def forked(self) -> None:
        """The parent's thread is not in the child, and sends what waits."""
        self._is_forked = True
        self._state = threading.Condition()

    def _add(self, add: Callable[[], None]) -> None:
        with self._state:
            self._check()
            add()
            self._start()
            self._state.notify_all()

    def _start(self) -> None:
        """Has the thread run, which the first change does."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="latchkey-sender", daemon=True)
            self._thread.start()

    def _check(self) -> None:
        if self._is_forked:
            raise LatchkeyError("this was made before a fork: only the parent sends")
        if self._is_closing:
            raise LatchkeyError("this is closed")
        self._raise()

    def _raise(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        if self._broken is not None:
            raise self._broken

    def flush(self, timeout: Duration | None = None) -> None:
        """Returns when all changes are applied.

        Raises the error of one that was refused; Unavailable if some are left after `timeout` (the
        client's), which go on being sent."""
        timeout_s = self._client.options.timeout_s if timeout is None else seconds(timeout)
        with self._state:
            self._flushes += 1
            self._state.notify_all()
            try:
                done = self._state.wait_for(self._is_settled, timeout_s)
            finally:
                self._flushes -= 1
            self._raise()
            if not done:
                raise self._left()

    def _is_settled(self) -> bool:
        return not self._outbox.count or self._broken is not None

    def _left(self) -> Unavailable:
        return Unavailable(f"{self._outbox.count} changes could not be sent yet", "unavailable")

    def close(self, timeout: Duration | None = None) -> None:
        """Sends what is left, and ends the thread. Raises as `flush`; what is left then is lost,
        but for what is in a file."""
        if self._is_forked:
            return
        try:
            self.flush(timeout)
        finally:
            with self._state:
                self._is_closing = True
                self._state.notify_all()
            self._stopped.set()
            self._channel.abort()
            if self._thread is not None:
                self._thread.join(self._client.options.reply_s)
            self._outbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except LatchkeyError as error:
            if body is None:
                raise
            note(body, error)

    def _run(self) -> None:
        client = self._client.over(self._channel, self._client.options.timeout_s, self._stopped)
        backoff = Backoff(can_refresh=False)
        try:
            while (request := self._next()) is not None:
                self._send(client, request, backoff)
        except OSError as error:  # of the file, which keeps what it has
            with self._state:
                self._broken = broken(error)
                self._state.notify_all()
        finally:
            self._channel.close()

    def _next(self) -> Request[Any] | None:
        """Waits for a request to send; None once this is closed."""
        with self._state:
            while not self._is_closing:
                now = time.monotonic()
                request = self._outbox.next(now, is_closing=self._flushes > 0)
                if request is not None:
                    self._outbox.attempt(Moment.now())
                    return request
                wait_s = self._outbox.wait_s(now)
                self._state.wait(None if wait_s > 1e6 else max(0.001, wait_s))
            return None

    def _send(self, client: Client, request: Request[Any], backoff: Backoff) -> None:
        error: LatchkeyError | None = None
        try:
            if self._outbox.is_too_late(Moment.now()):
                raise unknown(request)
            client.ask(request)
            backoff.reset()
        except (Unavailable, UnknownOutcome) as failure:
            if not self._outbox.is_too_late(Moment.now()):
                self._stopped.wait(backoff.failed(failure, 1.0, jitter()))
                return
            error = failure
        except LatchkeyError as failure:
            if self._stopped.is_set():
                return
            error = failure
        except Exception as failure:  # of a function for the secret
            self._stopped.wait(backoff.failed(failure, 1.0, jitter()))
            return
        with self._state:
            self._outbox.settle()
            if error is not None and self._on_error is None:
                self._errors.append(error)
            self._state.notify_all()
        if error is not None and self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as raised:  # the next call raises the change's, with this one in it
                note(error, raised)
                self._errors.append(error)


def queue(path: str | os.PathLike[str] | None, sync: bool, count_max: int, bytes_max: int) -> Queue:
    """A queue in memory, or in a file."""
    if path is None:
        return Queue(count_max, bytes_max)
    return Journal(path, count_max, bytes_max, sync=sync)


class WriteBehind(Sender, Queued):
    """Changes that are sent one after the other, in order, while the caller goes on.

    A verb returns as soon as its change is in the queue, which is bounded: beyond it QueueFull is
    raised. What waits in memory is lost if the process dies; what waits in a file is sent by the
    next queue that has the file.
    """

    say = QueuedVerb(verbs.say)
    set = QueuedVerb(verbs.set)
    set_chat = QueuedVerb(verbs.set_chat)
    touch = QueuedVerb(verbs.touch)
    link = QueuedVerb(verbs.link)
    unlink = QueuedVerb(verbs.unlink)

    def __init__(self, client: Client, queue: Queue, on_error: OnError | None) -> None:
        """See `Client.write_behind`."""
        self._queue = queue
        super().__init__(client, queue, on_error)
        if queue.count:
            self._start()

    def put(self, request: Request[Any]) -> None:
        """Adds a change. Raises QueueFull, and the error of an earlier change that was refused."""
        self._add(lambda: self._queue.put(request))

    @property
    def count(self) -> int:
        """How many changes wait or are being sent."""
        return self._outbox.count


class AutoSave(Sender):
    """Changes of a session's fields, saved in one SET when they pause.

    What was changed and not saved is lost if the process dies."""

    def __init__(
        self,
        client: Client,
        address: Address,
        *,
        token: int | None,
        turn: int | None,
        quiet: Duration,
        longest: Duration,
        on_error: OnError | None,
    ) -> None:
        """See `Session.autosave`."""

        def build(members: Mapping[str, Any]) -> Request[Any]:
            return verbs.set(address, members, token=token, turn=turn)

        self._draft = Draft(build, quiet, longest)
        super().__init__(client, self._draft, on_error)

    def set(self, fields: Mapping[str, Any]) -> None:
        """Changes members of the fields; None removes one. Returns at once.

        Raises the error of an earlier save that was refused."""
        verbs.set("-", fields)  # raises for what JSON cannot express
        self._add(lambda: self._draft.change(fields, time.monotonic()))

    @property
    def is_saved(self) -> bool:
        """True if all changes are applied."""
        return not self._outbox.count
