"""A lock that this process holds, renewed by a thread inside a `with` block."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import results, verbs
from .channel import Channel
from .errors import Held, LatchkeyError, NotFound, Stale
from .lease import HeldLock, Moment, note
from .names import Duration

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import Client


class Lock(HeldLock):
    """A lock that was granted. `with` renews it meanwhile, and releases it at the end.

    At the end of the block LockLost is raised if the lock was lost in it, or another LatchkeyError
    if it cannot be released; but never in place of the block's own exception.
    """

    def __init__(
        self,
        client: Client,
        device: str,
        grant: results.Grant,
        asked: Moment,
        *,
        release: bool,
    ) -> None:
        super().__init__(device, grant, asked)
        self._client = client
        self._release = release
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._channel: Channel | None = None

    def renew(self, ttl: Duration | None = None) -> None:
        """Renews it now. Raises LockLost if it is not held, Unavailable."""
        self._renew(self._client, ttl)
        self.check()

    def release(self) -> None:
        """Ends it. Raises LockLost if it had ended before, Unavailable, UnknownOutcome."""
        self._stop()
        self.check()
        try:
            self._client.ask(verbs.unlock(self.device, self.agent, token=self.token))
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
            self.check()
        self._lease.is_released = True

    def handoff(self, to: str, note: dict[str, Any] | Sequence[Any] | None = None) -> results.Grant:
        """Passes it to another agent; it is then not this process's any more.

        Returns the receiver's grant. Raises LockLost, Unavailable, UnknownOutcome."""
        self._stop()
        self.check()
        request = verbs.handoff(self.device, self.agent, to, note, token=self.token)
        try:
            grant = self._client.ask(request)
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
            raise self._lease.lost_error(self.device) from error
        self._lease.is_released = True
        return grant

    def __enter__(self) -> Self:
        self._channel = self._client.channel()
        self._thread = threading.Thread(
            target=self._keep, args=(self._channel,), name="latchkey-lock", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease.is_forked or self._lease.is_released:
            return
        try:
            if self._release:
                self.release()
            else:
                self._stop()
                self.check()
        except LatchkeyError as error:
            if body is None:
                raise
            note(body, error)

    def _stop(self) -> None:
        """Ends the thread; a renewal that is under way is given up."""
        thread, self._thread = self._thread, None
        if thread is None or self._lease.is_forked:
            return
        self._stopped.set()
        if self._channel is not None:
            self._channel.abort()
        thread.join(self._client.options.reply_s)

    def _keep(self, channel: Channel) -> None:
        """The thread: renews until the block ends or the lock is lost."""
        try:
            while not self._stopped.wait(self._lease.next_s(Moment.now())):
                left_s = self._lease.left_s(Moment.now())
                if left_s <= 0:
                    return
                try:
                    self._renew(self._client.over(channel, left_s, self._stopped))
                except LatchkeyError as error:
                    self._lease.failed(error)
        finally:
            channel.close()

    def _renew(self, client: Client, ttl: Duration | None = None) -> None:
        asked = Moment.now()
        try:
            request = verbs.renew(self.device, self.agent, token=self.token, ttl=ttl).without_req()
            self._lease.renewed(client.ask(request)["ttl_ms"], asked)
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
