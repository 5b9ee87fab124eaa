"""A session of the OpenAI Agents SDK whose items are a chat in Latchkey.

    pip install latchkey[openai]

    session = LatchkeySession("user-42")
    result = await Runner.run(agent, "Tuesday?", session=session)

The session's id is the device, so other agents, and functions in other languages, share its
conversation. A batch of items is one change: it is there as a whole or not at all, in one place,
once, whatever happens to the worker or the task meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from .aio import AsyncClient
from .errors import IllegalState, NotFound
from .names import Address, Duration

T = TypeVar("T")

_PAGE = 1000


class LatchkeySession:
    """Implements the protocol `agents.memory.Session`.

    The conversation is the device's current session. It is made by the first `add_items`, and
    recovered when it was paused or abandoned meanwhile; its clocks are off unless they are given.
    A chat keeps its newest `--max-messages` items (1,000).
    """

    def __init__(
        self,
        session_id: str,
        client: AsyncClient | None = None,
        *,
        session_settings: Any = None,
        chat: int | None = None,
        user: str | None = None,
        token: int | None = None,
        turn: int | None = None,
        idle: Duration = 0,
        abandon: Duration = 0,
        life: Duration = 0,
    ) -> None:
        """`client` is shared and stays open; without it the session has one of its own.

        `session_settings`: a `SessionSettings`, or a dict of its members.
        `chat`: a chat of the session, else the current one. `user`: a user to link a new session
        to, and to recover only sessions of. `token` or `turn`: the device's lock or its running
        turn, under which each change happens; else changes need none. `idle`, `abandon`, `life`:
        clocks of a new session."""
        settings = importlib.import_module("agents.memory.session_settings")
        self.session_id = session_id
        self.session_settings: Any = (
            settings.SessionSettings()
            if session_settings is None
            else settings.coerce_session_settings(session_settings)
        )
        self._limit = settings.resolve_session_limit
        self._client = client or AsyncClient()
        self._is_own = client is None
        self._where = Address(session_id, None, chat) if chat is not None else Address(session_id)
        self._under: dict[str, Any] = {"token": token, "turn": turn}
        self._opening: dict[str, Any] = {
            "user": user,
            "idle": idle,
            "abandon": abandon,
            "life": life,
        }
        self._is_closed = False

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """The newest `limit` items, or all, oldest first. Raises LatchkeyError."""
        self._check()
        wanted = self._limit(limit, self.session_settings)
        if wanted is not None and wanted <= 0:
            return []
        try:
            if wanted is not None and wanted <= _PAGE:
                page = await self._client.history(self._where, last=wanted)
                found = _items(page["messages"])
                if len(found) == len(page["messages"]):
                    return found
                # An item is corrupt in Redis: older ones take its place.
            items = await self._all()
        except NotFound:
            return []
        return items if wanted is None else items[-wanted:]

    async def _all(self) -> list[Any]:
        """All items, a page at a time; numbers only grow, so no item comes twice."""
        found: list[Any] = []
        after = 0
        while True:
            page = await self._client.history(self._where, after=after, limit=_PAGE)
            found += _items(page["messages"])
            if not page["more"] or not page["messages"]:
                return found
            after = page["messages"][-1]["seq"]

    async def add_items(self, items: list[Any]) -> None:
        """Appends items in one step. Raises LatchkeyError; Stale if the lock was lost."""
        self._check()
        if items:
            await _settled(self._say(items))

    async def _say(self, items: list[Any]) -> None:
        try:
            await self._client.say(self._where, items, **self._under)
        except (NotFound, IllegalState):
            # There is none yet, or it was abandoned. Of several tasks that come here at once one
            # makes the session, the others recover it.
            await self._client.recover(self._where.device, **self._under, **self._opening)
            await self._client.say(self._where, items, **self._under)

    async def pop_item(self) -> Any | None:
        """Removes the newest item and returns it; None if there is none. Raises LatchkeyError."""
        self._check()
        return await _settled(self._pop())

    async def _pop(self) -> Any | None:
        while True:
            popped = await self._client.pop(self._where, **self._under)
            # An item that is corrupt in Redis is removed and hides no other.
            if popped is None or popped["message"] is not None:
                return None if popped is None else popped["message"]

    async def clear_session(self) -> None:
        """Removes all items. Raises LatchkeyError."""
        self._check()
        await _settled(self._clear())

    async def _clear(self) -> None:
        try:
            await self._client.forget(self._where, **self._under)
        except NotFound:
            return  # nothing was ever added

    async def close(self) -> None:
        """Closes the session's own client; later calls raise RuntimeError."""
        self._is_closed = True
        if self._is_own:
            await self._client.close()

    def _check(self) -> None:
        if self._is_closed:
            raise RuntimeError("the session is closed")


def _items(messages: list[Any]) -> list[Any]:
    return [message["message"] for message in messages if message["message"] is not None]


async def _settled(change: Coroutine[Any, Any, T]) -> T:
    """The result of a change, which is carried out even if the caller is cancelled meanwhile.

    The cancellation is raised when the outcome is known, so that a caller who handles it finds the
    conversation as it will stay."""
    task = asyncio.ensure_future(change)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return task.result()
    task.exception()  # the cancellation is what is raised
    raise cancelled
