"""A session as an object, for coroutines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..asking import AwaitingBound
from ..errors import LatchkeyError
from ..names import Address, Duration
from ..request import Request
from ..results import Record
from ..table import SessionVerbs
from .behind import AsyncAutoSave

if TYPE_CHECKING:
    from .client import AsyncClient

R = TypeVar("R")


class AsyncSession(AwaitingBound, SessionVerbs):
    """A session of a device. It is a handle: making one sends nothing."""

    def __init__(
        self,
        client: AsyncClient,
        address: Address,
        *,
        token: int | None = None,
        turn: int | None = None,
        record: Record | None = None,
    ) -> None:
        """As `latchkey.Session`."""
        super().__init__(address, token, turn, record)
        self._client = client

    def at(self, chat: int | str) -> AsyncSession:
        """The same session, with a chat for the verbs that have one: a number or `'current'`."""
        where = Address(self.device, self.id, chat)
        return AsyncSession(
            self._client, where, token=self.token, turn=self.turn, record=self.record
        )

    def autosave(
        self,
        *,
        quiet: Duration = 2,
        longest: Duration = 30,
        on_error: Callable[[LatchkeyError], None] | None = None,
    ) -> AsyncAutoSave:
        """As `Session.autosave`, for `async with`."""
        return AsyncAutoSave(
            self._client,
            self.address,
            token=self.token,
            turn=self.turn,
            quiet=quiet,
            longest=longest,
            on_error=on_error,
        )

    async def ask(self, request: Request[R]) -> R:
        """The result of a request."""
        return await self._client.ask(request)
