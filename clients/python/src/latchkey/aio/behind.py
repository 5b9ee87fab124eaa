"""Changes that a task sends in the background: written behind, or saved when they pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import verbs
from ..asking import Queued, QueuedVerb
from ..endpoints import jitter
from ..errors import LatchkeyError, Unavailable, UnknownOutcome
from ..lease import Moment, note
from ..names import Address, Duration, seconds
from ..outbox import Draft, Outbox, Queue, broken, unknown
from ..request import Request
from ..waiting import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import AsyncClient

OnError = Callable[[LatchkeyError], None]


class Sender:
    """A task that sends what an outbox has, until it is closed; as `latchkey.behind.Sender`.

    It belongs to the event loop of its first change."""

    def __init__(self, client: AsyncClient, outbox: Outbox, on_error: OnError | None) -> None:
        self._client = client
        self._outbox = outbox
        self._on_error = on_error
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._errors: list[LatchkeyError] = []
        self._broken: LatchkeyError | None = None
        self._is_closing = False
        self._flushes = 0
        self._task: asyncio.Task[None] | None = None

    def _add(self, add: Callable[[], None]) -> None:
        if self._is_closing:
            raise LatchkeyError("this is closed")
        self._raise()
        add()
        self._start()
        self._changed.set()

    def _start(self) -> None:
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(), name="latchkey-sender")

    def _raise(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        if self._broken is not None:
            raise self._broken

    async def flush(self, timeout: Duration | None = None) -> None:
        """Returns when all changes are applied.

        Raises the error of one that was refused; Unavailable if some are left after `timeout` (the
        client's), which go on being sent."""
        timeout_s = self._client.options.timeout_s if timeout is None else seconds(timeout)
        deadline = time.monotonic() + timeout_s
        if self._outbox.count:
            self._start()
        self._flushes += 1
        self._changed.set()
        try:
            while self._is_sending and (left_s := deadline - time.monotonic()) > 0:
                self._settled.clear()
                settled = asyncio.ensure_future(self._settled.wait())
                await asyncio.wait((settled,), timeout=left_s)
                settled.cancel()
        finally:
            self._flushes -= 1
        self._raise()
        if self._outbox.count:
            text = f"{self._outbox.count} changes could not be sent yet"
            raise Unavailable(text, "unavailable")

    @property
    def _is_sending(self) -> bool:
        return self._outbox.count > 0 and self._broken is None

    async def close(self, timeout: Duration | None = None) -> None:
        """Sends what is left, and ends the task. Raises as `flush`; what is left then is lost, but
        for what is in a file."""
        try:
            await self.flush(timeout)
        finally:
            self._is_closing = True
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait((self._task,))
            self._outbox.close()

    async def __aenter__(self) -> Self:
        if self._outbox.count:
            self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except LatchkeyError as error:
            if body is None:
                raise
            note(body, error)

    async def _run(self) -> None:
        backoff = Backoff(can_refresh=False)
        try:
            while True:
                await self._send(await self._next(), backoff)
        except OSError as error:  # of the file, which keeps what it has
            self._broken = broken(error)
            self._settled.set()

    async def _next(self) -> Request[Any]:
        """Waits for a request to send."""
        while True:
            now = time.monotonic()
            request = self._outbox.next(now, is_closing=self._flushes > 0)
            if request is not None:
                self._outbox.attempt(Moment.now())
                return request
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            wait_s = self._outbox.wait_s(now)
            try:
                timeout_s = None if wait_s > 1e6 else max(0.001, wait_s)
                await asyncio.wait((changed,), timeout=timeout_s)
            finally:
                changed.cancel()

    async def _send(self, request: Request[Any], backoff: Backoff) -> None:
        error: LatchkeyError | None = None
        try:
            if self._outbox.is_too_late(Moment.now()):
                raise unknown(request)
            await self._client.ask(request)
            backoff.reset()
        except (Unavailable, UnknownOutcome) as failure:
            if not self._outbox.is_too_late(Moment.now()):
                await asyncio.sleep(backoff.failed(failure, 1.0, jitter()))
                return
            error = failure
        except LatchkeyError as failure:
            error = failure
        except Exception as failure:  # of a function for the secret
            await asyncio.sleep(backoff.failed(failure, 1.0, jitter()))
            return
        self._outbox.settle()
        if error is not None and self._on_error is None:
            self._errors.append(error)
        self._settled.set()
        if error is not None and self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as raised:  # the next call raises the change's, with this one in it
                note(error, raised)
                self._errors.append(error)


class AsyncWriteBehind(Sender, Queued):
    """As `latchkey.WriteBehind`: the verbs are ordinary methods, `flush` and `close` coroutines."""

    say = QueuedVerb(verbs.say)
    set = QueuedVerb(verbs.set)
    set_chat = QueuedVerb(verbs.set_chat)
    touch = QueuedVerb(verbs.touch)
    link = QueuedVerb(verbs.link)
    unlink = QueuedVerb(verbs.unlink)

    def __init__(self, client: AsyncClient, queue: Queue, on_error: OnError | None) -> None:
        """See `Client.write_behind`."""
        self._queue = queue
        super().__init__(client, queue, on_error)

    def put(self, request: Request[Any]) -> None:
        """Adds a change. Raises QueueFull, and the error of an earlier change that was refused."""
        self._add(lambda: self._queue.put(request))

    @property
    def count(self) -> int:
        """How many changes wait or are being sent."""
        return self._outbox.count


class AsyncAutoSave(Sender):
    """As `latchkey.AutoSave`: `set` is an ordinary method, `flush` and `close` are coroutines."""

    def __init__(
        self,
        client: AsyncClient,
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
