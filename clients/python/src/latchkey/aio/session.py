"""A session as an object, for coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..asking import AwaitingBound
from ..names import Address
from ..request import Request
from ..results import Record
from ..table import SessionVerbs

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
        record: Record | None = None,
    ) -> None:
        """As `latchkey.Session`."""
        super().__init__(address, token, record)
        self._client = client

    def at(self, chat: int | str) -> AsyncSession:
        """The same session, with a chat for the verbs that have one: a number or `'current'`."""
        where = Address(self.device, self.id, chat)
        return AsyncSession(self._client, where, token=self.token, record=self.record)

    async def ask(self, request: Request[R]) -> R:
        """The result of a request."""
        return await self._client.ask(request)
