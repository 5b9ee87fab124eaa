"""LlamaIndex's chat store in Latchkey.

pip install latchkey[llamaindex]

memory = ChatMemoryBuffer.from_defaults(chat_store=LatchkeyChatStore(), chat_store_key="ada")
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any

from llama_index.core.llms import ChatMessage
from llama_index.core.storage.chat_store.base import BaseChatStore
from pydantic import PrivateAttr

from . import verbs
from .adapting import PAGE, Adapter, Steps, bound, linked, messages
from .client import Client
from .errors import NotFound
from .turn import Turn

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncTurn

_LINK = "llamaindex"


class LatchkeyChatStore(BaseChatStore):
    """Implements `BaseChatStore`, for coroutines and for threads.

    A key is a device, and its messages are those of the current chat of its session.
    """

    _adapter: Adapter = PrivateAttr()
    _name: str = PrivateAttr()
    _link: dict[str, Any] = PrivateAttr()

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        **opening: Any,
    ) -> None:
        """`name`: of the set of keys that `get_keys` shows. `opening`: parameters of `Client.open`
        for new sessions, such as `user` and `policy`."""
        super().__init__()
        self._link = {**(opening.get("link") or {}), _LINK: name}
        opening["link"] = self._link
        self._adapter = Adapter(client, async_client, **opening)
        self._name = name

    @classmethod
    def class_name(cls) -> str:
        """The name under which the framework serializes it."""
        return "LatchkeyChatStore"

    def turn(self, key: str, /, **options: Any) -> AbstractContextManager[Turn]:
        """A turn of a key; see `latchkey.adapting.Adapter.turn`."""
        return self._adapter.turn(key, **options)

    def aturn(self, key: str, /, **options: Any) -> AbstractAsyncContextManager[AsyncTurn]:
        """As `turn`, for `async with`."""
        return self._adapter.aturn(key, **options)

    def close(self) -> None:
        """Closes the blocking client, unless it was given."""
        self._adapter.close()

    async def aclose(self) -> None:
        """Closes both clients, except given ones."""
        await self._adapter.aclose()

    # --- the framework's methods

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Replaces all messages of a key in one step."""
        self._adapter.run(self._set(key, messages))

    async def aset_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """As `set_messages`."""
        await self._adapter.arun(self._set(key, messages))

    def get_messages(self, key: str) -> list[ChatMessage]:
        """All messages of a key, oldest first."""
        return self._adapter.run(self._get(key))

    async def aget_messages(self, key: str) -> list[ChatMessage]:
        """As `get_messages`."""
        return await self._adapter.aread(self._get(key))

    def add_message(self, key: str, message: ChatMessage) -> None:
        """Appends a message."""
        self._adapter.run(self._add(key, [message]))

    async def async_add_message(self, key: str, message: ChatMessage) -> None:
        """As `add_message`."""
        await self._adapter.arun(self._add(key, [message]))

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Removes all messages of a key and returns them; None if there are none."""
        return self._adapter.run(self._delete_all(key))

    async def adelete_messages(self, key: str) -> list[ChatMessage] | None:
        """As `delete_messages`."""
        return await self._adapter.arun(self._delete_all(key))

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Removes the message at an index and returns it; None if there is none."""
        return self._adapter.run(self._delete(key, idx))

    async def adelete_message(self, key: str, idx: int) -> ChatMessage | None:
        """As `delete_message`."""
        return await self._adapter.arun(self._delete(key, idx))

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Removes the newest message and returns it; None if there is none."""
        return self._adapter.run(self._pop(key))

    async def adelete_last_message(self, key: str) -> ChatMessage | None:
        """As `delete_last_message`."""
        return await self._adapter.arun(self._pop(key))

    def get_keys(self) -> list[str]:
        """The keys that have messages."""
        return self._adapter.run(self._keys())

    async def aget_keys(self) -> list[str]:
        """As `get_keys`."""
        return await self._adapter.aread(self._keys())

    # --- their steps

    def _set(self, key: str, given: Sequence[ChatMessage]) -> Steps[None]:
        said = [_dumped(one) for one in given]
        yield from self._adapter.first_change(key, verbs.say(key, said, after=0), self._link)

    def _get(self, key: str) -> Steps[list[ChatMessage]]:
        return [_loaded(one) for one in (yield from self._all(key))]

    def _all(self, key: str) -> Steps[list[Any]]:
        try:
            found = yield from messages(key)
        except NotFound:
            return []
        return found

    def _add(self, key: str, given: Sequence[ChatMessage]) -> Steps[None]:
        said = [_dumped(one) for one in given]
        yield from self._adapter.first_change(key, verbs.say(key, said), self._link)

    def _delete_all(self, key: str) -> Steps[list[ChatMessage] | None]:
        found: list[Any] = []
        while True:
            popped = yield bound(verbs.pop_many(key, count=PAGE), key)
            if popped is None or not popped["messages"]:
                break
            found = [*popped["messages"], *found]
        return [_loaded(one) for one in found if one["message"] is not None] or None

    def _delete(self, key: str, index: int) -> Steps[ChatMessage | None]:
        while True:
            found = yield from self._all(key)
            if not -len(found) <= index < len(found):
                return None
            removed = yield bound(verbs.forget(key, seq=found[index]["seq"]), key)
            if removed["removed"]:
                return _loaded(found[index])
            # Another caller removed it meanwhile: the index means another message now.

    def _pop(self, key: str) -> Steps[ChatMessage | None]:
        while True:
            popped = yield bound(verbs.pop(key), key)
            if popped is None or popped["message"] is not None:
                return None if popped is None else _loaded(popped)

    def _keys(self) -> Steps[list[str]]:
        records = yield from linked(_LINK, self._name, fields="none")
        return list(dict.fromkeys(one["device"] for one in records if one["messages"]))


def _dumped(message: ChatMessage) -> dict[str, Any]:
    dumped: dict[str, Any] = message.model_dump(mode="json")
    return dumped


def _loaded(found: Any) -> ChatMessage:
    return ChatMessage.model_validate(found["message"])
