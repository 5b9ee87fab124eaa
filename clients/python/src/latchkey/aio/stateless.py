"""A session without a worker, for coroutines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..names import Address
from ..request import Request
from ..results import Record
from ..stateless import LocalSession, refused
from .behind import AsyncAutoSave
from .session import AsyncSession

if TYPE_CHECKING:
    from .client import AsyncClient

R = TypeVar("R")


class AsyncStatelessSession(AsyncSession):
    """A session in this process's memory; see `Client.stateless`."""

    is_stateless = True

    def __init__(self, client: AsyncClient, device: str, fields: Mapping[str, Any] | None) -> None:
        """`fields`: those of the new session."""
        self._local = LocalSession(device, fields)
        record = cast("Record", self._local.record())
        super().__init__(client, Address(device), record=record)

    def at(self, chat: int | str) -> AsyncSession:
        """The session, which has one chat. Raises Unavailable for another one."""
        if chat not in (1, "current"):
            raise refused(f"chat {chat}")
        return self

    def autosave(self, **options: Any) -> AsyncAutoSave:
        """Raises Unavailable: there is nothing to save to."""
        raise refused("autosave")

    async def ask(self, request: Request[R]) -> R:
        """The result of a request, from memory. Raises Unavailable for most verbs."""
        return request.result(self._local.answer(request))
