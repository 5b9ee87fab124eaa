"""A lock that this process holds, renewed by a thread inside a `with` block."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import results, verbs
from .errors import Held, LockLost, NotFound, Stale
from .keeper import Keeper
from .lease import HeldLock, Moment, note, unowned_error
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
        self._keeper = Keeper(client, self._lease)

    def renew(self, ttl: Duration | None = None) -> None:
        """Renews it now. Raises LockLost if it is not held, Unavailable."""
        self._renew(self._client, ttl)
        self.check()

    def renew_or_release(self, req: str | None) -> None:
        """Begins the time of a lock anew that was granted after a long wait, with the key `req` of
        its request; if that fails it is released.

        Raises what a renewal raises; UnknownOutcome if the lock may be held all the same."""
        try:
            self.renew()
        except LockLost:
            raise
        except Exception as error:  # also of a function for the secret
            client = self._client.within(self._client.options.reply_s)
            try:
                client.ask(verbs.unlock(self.device, self.agent, token=self.token))
            except (NotFound, Held, Stale):
                pass  # it has ended
            except Exception as second:
                raise unowned_error(self.device, req, error) from second
            raise

    def release(self) -> None:
        """Ends it. Raises LockLost if it had ended before, Unavailable, UnknownOutcome."""
        self._keeper.stop()
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
        self._keeper.stop()
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
        self._keeper.start(self._renew)
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
                self._keeper.stop()
                self.check()
        except Exception as error:  # also of a function for the secret
            if body is None:
                raise
            note(body, error)

    def _renew(self, client: Client, ttl: Duration | None = None) -> None:
        asked = Moment.now()
        try:
            request = verbs.renew(self.device, self.agent, token=self.token, ttl=ttl).without_req()
            self._lease.renewed(client.ask(request)["ttl_ms"], asked)
        except (NotFound, Held, Stale) as error:
            self._lease.failed(error)
