"""A session as an object: its verbs, without the address and the token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .asking import BlockingBound
from .errors import LatchkeyError
from .names import Address, Duration
from .request import Request
from .results import Record
from .table import SessionVerbs

if TYPE_CHECKING:
    from .behind import AutoSave
    from .client import Client

R = TypeVar("R")


class Session(BlockingBound, SessionVerbs):
    """A session of a device. It is a handle: making one sends nothing."""

    def __init__(
        self,
        client: Client,
        address: Address,
        *,
        token: int | None = None,
        turn: int | None = None,
        record: Record | None = None,
    ) -> None:
        """`record` is that of the reply which named the session. With `token` every change
        happens only under the lock of that token, with `turn` only while that turn runs."""
        super().__init__(address, token, turn, record)
        self._client = client

    def at(self, chat: int | str) -> Session:
        """The same session, with a chat for the verbs that have one: a number or `'current'`."""
        where = Address(self.device, self.id, chat)
        return Session(self._client, where, token=self.token, turn=self.turn, record=self.record)

    def autosave(
        self,
        *,
        quiet: Duration = 2,
        longest: Duration = 30,
        on_error: Callable[[LatchkeyError], None] | None = None,
    ) -> AutoSave:
        """Changes of fields that a thread saves together. Use it in `with`.

        They are saved when nothing changed for `quiet`, and `longest` after the first of them at
        the latest; the end of the block saves the rest. `on_error`: called by the thread for a save
        that is refused; without it the next call raises the error."""
        from .behind import AutoSave

        return AutoSave(
            self._client,
            self.address,
            token=self.token,
            turn=self.turn,
            quiet=quiet,
            longest=longest,
            on_error=on_error,
        )

    def ask(self, request: Request[R]) -> R:
        """The result of a request."""
        return self._client.ask(request)
