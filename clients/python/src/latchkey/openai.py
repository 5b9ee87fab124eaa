"""A session of the OpenAI Agents SDK whose items are a chat in Latchkey.

    pip install latchkey[openai]

    session = LatchkeySession("user-42")
    async with session.aturn(wait=30):
        result = await Runner.run(agent, "Tuesday?", session=session)

The session's id is the device, so other agents, and functions in other languages, share its
conversation. A batch of items is one change: it is there as a whole or not at all, in one place,
once, whatever happens to the worker or the task meanwhile.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from . import verbs
from .adapting import PAGE, Adapter, Steps, bound, messages
from .errors import NotFound, Stale
from .names import Address, Duration

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncTurn


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
        chat: int | str | None = None,
        user: str | None = None,
        token: int | None = None,
        turn: int | None = None,
        idle: Duration = 0,
        abandon: Duration = 0,
        life: Duration = 0,
        **opening: Any,
    ) -> None:
        """`client` is shared and stays open; without it the session has one of its own.

        `session_settings`: a `SessionSettings`, or a dict of its members.
        `chat`: a chat of the session, else the current one. `user`: a user to link a new session
        to, and to recover only sessions of. `token` or `turn`: the device's lock or its running
        turn, under which each change happens; else that of the block of `aturn`. `idle`, `abandon`,
        `life`: clocks of a new session; `opening`: other parameters of `open` for it."""
        settings = importlib.import_module("agents.memory.session_settings")
        self.session_id = session_id
        self.session_settings: Any = (
            settings.SessionSettings()
            if session_settings is None
            else settings.coerce_session_settings(session_settings)
        )
        self._limit = settings.resolve_session_limit
        self._where = Address(session_id, None, chat) if chat is not None else Address(session_id)
        self._under: dict[str, Any] = {"token": token, "turn": turn}
        self._adapter = Adapter(
            None, client, user=user, idle=idle, abandon=abandon, life=life, **opening
        )
        self._is_closed = False

    def aturn(self, **options: Any) -> AbstractAsyncContextManager[AsyncTurn]:
        """A turn of the session, for `async with`: inside the block adapters change it only while
        the turn runs. `options` are those of `AsyncClient.turn`, such as `wait`. Raises Busy."""
        return self._adapter.aturn(self._where.device, **options)

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """The newest `limit` items, or all, oldest first. Raises LatchkeyError."""
        self._check()
        return await self._adapter.aread(self._get(self._limit(limit, self.session_settings)))

    def _get(self, last: int | None) -> Steps[list[Any]]:
        try:
            found = yield from messages(self._where, last=last)
        except NotFound:
            return []
        return [one["message"] for one in found]

    async def add_items(self, items: list[Any]) -> None:
        """Appends items in one step. Raises LatchkeyError; Stale if the lock or turn was lost."""
        self._check()
        if items:
            await self._adapter.arun(self._say(items))

    def _say(self, items: list[Any], after: int | None = None) -> Steps[None]:
        request = verbs.say(self._where, items, after=after)
        yield from self._adapter.changed(self._where.device, request, **self._under)

    async def _atomic_replace_items(self, items: list[Any]) -> bool:
        """Replaces all items in one step; the framework looks for this when it compacts."""
        self._check()
        await self._adapter.arun(self._say(items, after=0))
        return True

    async def _get_compaction_snapshot(self, limit: int, *, prune_prefix: Any = None) -> Any:
        """The newest items, whether these are all, and a function that replaces those from an index
        on in one step, if nothing was added meanwhile; None if an item is corrupt in Redis.

        Of the items before those, it removes the oldest for which `prune_prefix` is true. The
        framework looks for this when it compacts by itself."""
        self._check()
        page = await self._adapter.aread(self._page(limit))
        found = page["messages"]
        if any(one["message"] is None for one in found):
            return None

        async def replace_suffix(start: int, output: list[Any]) -> bool:
            self._check()
            if not found[start:]:
                return False
            after = found[start - 1]["seq"] if start else found[0]["seq"] - 1
            steps = self._replace(output, after, found[-1]["seq"])
            is_replaced = await self._adapter.arun(steps)
            if is_replaced and prune_prefix is not None:
                await self._adapter.arun(self._prune(after, prune_prefix))
            return is_replaced

        snapshot = importlib.import_module("agents.memory.session")._CompactionSnapshot
        return snapshot([one["message"] for one in found], not page["more"], replace_suffix)

    def _page(self, last: int) -> Steps[Any]:
        try:
            return (yield verbs.history(self._where, last=min(last, PAGE), limit=min(last, PAGE)))
        except NotFound:
            return {"messages": [], "more": False}

    def _replace(self, items: list[Any], after: int, last: int) -> Steps[bool]:
        request = verbs.say(self._where, items, after=after, last=last)
        try:
            yield bound(request, self._where.device, **self._under)
            return True
        except NotFound:
            return False
        except Stale as error:
            if error.seq is None:
                raise  # of the lock or the turn
            return False

    def _prune(self, to: int, is_expired: Callable[[Any], bool]) -> Steps[None]:
        """Removes the oldest items, up to a number and as long as they are expired."""
        found = yield from messages(self._where)
        before = [one for one in found if one["seq"] <= to]
        expired = [*itertools.takewhile(lambda one: is_expired(one["message"]), before)]
        for at in range(0, len(expired), PAGE):
            forgets = [verbs.forget(self._where, seq=one["seq"]) for one in expired[at : at + PAGE]]
            yield [bound(one, self._where.device, **self._under) for one in forgets]

    async def pop_item(self) -> Any | None:
        """Removes the newest item and returns it; None if there is none. Raises LatchkeyError."""
        self._check()
        return await self._adapter.arun(self._pop())

    def _pop(self) -> Steps[Any]:
        while True:
            popped = yield bound(verbs.pop(self._where), self._where.device, **self._under)
            # An item that is corrupt in Redis is removed and hides no other.
            if popped is None or popped["message"] is not None:
                return None if popped is None else popped["message"]

    async def clear_session(self) -> None:
        """Removes all items. Raises LatchkeyError."""
        self._check()
        await self._adapter.arun(self._clear())

    def _clear(self) -> Steps[None]:
        try:
            yield bound(verbs.forget(self._where), self._where.device, **self._under)
        except NotFound:
            return  # nothing was ever added

    async def close(self) -> None:
        """Closes the session's own client; later calls raise RuntimeError."""
        self._is_closed = True
        await self._adapter.aclose()

    def _check(self) -> None:
        if self._is_closed:
            raise RuntimeError("the session is closed")
