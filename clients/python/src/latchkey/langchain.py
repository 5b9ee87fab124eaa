"""LangChain's message histories, byte stores and model caches in Latchkey.

pip install latchkey[langchain]

chain = RunnableWithMessageHistory(runnable, LatchkeyChatMessageHistory)
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.load import dumps, loads
from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langchain_core.stores import ByteStore

from . import verbs
from .adapting import Adapter, Steps, batches, bound, messages, optional, removed
from .client import Client
from .errors import IllegalState, NotFound, Quota
from .names import Address, Duration

if TYPE_CHECKING:
    from .aio import AsyncClient

_PAGE = 1000


class LatchkeyChatMessageHistory(Adapter, BaseChatMessageHistory):
    """Implements `BaseChatMessageHistory`, for coroutines and for threads.

    The session's id is the device, and the messages are those of a chat of its current session.
    """

    def __init__(
        self,
        session_id: str,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        chat: int | str | None = None,
        token: int | None = None,
        turn: int | None = None,
        **opening: Any,
    ) -> None:
        """`chat`: a chat of the session, else the current one. `token` or `turn`: the device's
        lock or its running turn, under which each change happens. `opening`: parameters of
        `Client.open` for a new session, such as `user` and `policy`."""
        Adapter.__init__(self, client, async_client, **opening)
        self.session_id = session_id
        self._where = Address(session_id, None, chat) if chat is not None else Address(session_id)
        self._under: dict[str, Any] = {"token": token, "turn": turn}

    def device(self, of: Any = None) -> str:
        """The conversation's device."""
        return self.session_id if of is None else str(of)

    @property
    def messages(self) -> list[BaseMessage]:
        """All messages, oldest first. Raises LatchkeyError."""
        return self.run(self._messages())

    async def aget_messages(self) -> list[BaseMessage]:
        """As `messages`."""
        return await self.aread(self._messages())

    def newest(self, count: int) -> list[BaseMessage]:
        """The newest messages, oldest first, without reading the others."""
        return self.run(self._messages(count))

    async def anewest(self, count: int) -> list[BaseMessage]:
        """As `newest`."""
        return await self.aread(self._messages(count))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Appends messages in one step. Raises LatchkeyError; Stale if the turn was lost."""
        if messages:
            self.run(self._add(messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`."""
        if messages:
            await self.arun(self._add(messages))

    def clear(self) -> None:
        """Removes all messages."""
        self.run(self._clear())

    async def aclear(self) -> None:
        """As `clear`."""
        await self.arun(self._clear())

    def _messages(self, last: int | None = None) -> Steps[list[BaseMessage]]:
        try:
            found = yield from messages(self._where, last=last)
        except NotFound:
            return []
        return messages_from_dict([one["message"] for one in found])

    def _add(self, added: Sequence[BaseMessage]) -> Steps[None]:
        said = [message_to_dict(one) for one in added]
        yield from self.changed(self.session_id, verbs.say(self._where, said), **self._under)

    def _clear(self) -> Steps[None]:
        try:
            yield bound(verbs.forget(self._where), self.session_id, **self._under)
        except NotFound:
            return  # nothing was ever added


class LatchkeyByteStore(Adapter, ByteStore):
    """Implements `BaseStore[str, bytes]`, for coroutines and for threads.

    The values are documents, spread over `shards` sessions by their keys, each of which has its
    limits; keys have 512 bytes at most.
    """

    def __init__(
        self,
        name: str,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        shards: int = 1,
        ttl: Duration | None = None,
        **opening: Any,
    ) -> None:
        """`name`: stores with another name have nothing in common; each caller of a store needs the
        same number of `shards`. `ttl`: of each value, from its latest write on. `opening`:
        parameters of `Client.open` for new sessions."""
        super().__init__(client, async_client, **opening)
        if shards < 1:
            raise ValueError("shards= is at least 1")
        self.name = name
        self._shards = shards
        self._ttl = ttl

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys, None for one that is not there."""
        return self.run(self._get(keys))

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """As `mget`."""
        return await self.aread(self._get(keys))

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Writes values."""
        self.run(self._set(key_value_pairs))

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """As `mset`."""
        await self.arun(self._set(key_value_pairs))

    def mdelete(self, keys: Sequence[str]) -> None:
        """Removes keys; one that is not there is no error."""
        self.run(self._delete(keys))

    async def amdelete(self, keys: Sequence[str]) -> None:
        """As `mdelete`."""
        await self.arun(self._delete(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys with a prefix; those of a shard in their order."""
        for shard in range(self._shards):
            cursor: str | None = None
            while True:
                found, cursor = self.run(self._keys(shard, prefix, cursor))
                yield from found
                if cursor is None:
                    break

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """As `yield_keys`."""
        for shard in range(self._shards):
            cursor: str | None = None
            while True:
                found, cursor = await self.aread(self._keys(shard, prefix, cursor))
                for key in found:
                    yield key
                if cursor is None:
                    break

    def _device(self, shard: int) -> str:
        return f"langchain-store:{self.name}" + (f":{shard}" if self._shards > 1 else "")

    def _sharded(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """The keys by their devices."""
        found: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            shard = _hash(key) % self._shards if self._shards > 1 else 0
            found.setdefault(self._device(shard), []).append(key)
        return found

    def _get(self, keys: Sequence[str]) -> Steps[list[bytes | None]]:
        asked = [
            (device, some[at : at + _PAGE])
            for device, some in self._sharded(keys).items()
            for at in range(0, len(some), _PAGE)
        ]
        if not asked:
            return []
        pages = yield [optional(verbs.take(device, *some)) for device, some in asked]
        values = {
            document["key"]: base64.b64decode(document["value"])
            for page in pages
            for document in (page["documents"] if page else [])
            if document is not None and isinstance(document["value"], str)
        }
        return [values.get(key) for key in keys]

    def _set(self, pairs: Sequence[tuple[str, bytes]]) -> Steps[None]:
        values = {key: base64.b64encode(value).decode() for key, value in pairs}
        for device, keys in self._sharded([*values]).items():
            if self._ttl is not None:
                for key in keys:
                    put = verbs.put(device, key, values[key], ttl=self._ttl)
                    yield from self.changed(device, put)
                continue
            for batch in batches({key: values[key] for key in keys}):
                yield from self.changed(
                    device,
                    verbs.apply(device, {"put": batch}),
                )

    def _delete(self, keys: Sequence[str]) -> Steps[None]:
        for device, some in self._sharded(keys).items():
            for at in range(0, len(some), _PAGE):
                try:
                    yield bound(verbs.drop(device, *some[at : at + _PAGE]), device)
                except NotFound:
                    break

    def _keys(
        self, shard: int, prefix: str | None, cursor: str | None
    ) -> Steps[tuple[list[str], str | None]]:
        page = yield optional(
            verbs.keys(self._device(shard), prefix=prefix or None, limit=_PAGE, cursor=cursor)
        )
        if page is None:
            return [], None
        return [document["key"] for document in page["documents"]], page["cursor"]


class LatchkeyCache(Adapter, BaseCache):
    """Implements `BaseCache`: the answers of models, for coroutines and for threads."""

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        shards: int = 16,
        ttl: Duration | None = None,
        **opening: Any,
    ) -> None:
        """`name`: caches with another name have nothing in common. The answers are spread over
        `shards` sessions; one that is full is emptied. `ttl`: of each answer. `opening`: parameters
        of `Client.open` for new sessions."""
        super().__init__(client, async_client, **opening)
        self.name = name
        self._shards = shards
        self._ttl = ttl

    def lookup(self, prompt: str, llm_string: str) -> Any:
        """The answer to a prompt, or None."""
        return self.run(self._lookup(prompt, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> Any:
        """As `lookup`."""
        return await self.aread(self._lookup(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """Keeps the answer to a prompt."""
        self.run(self._update(prompt, llm_string, return_val))

    async def aupdate(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """As `update`."""
        await self.arun(self._update(prompt, llm_string, return_val))

    def clear(self, **kwargs: Any) -> None:
        """Removes all answers."""
        self.run(self._clear())

    async def aclear(self, **kwargs: Any) -> None:
        """As `clear`."""
        await self.arun(self._clear())

    def _place(self, prompt: str, llm: str) -> tuple[str, str]:
        """The device and the key of an answer."""
        text = f"{len(prompt)} {prompt}{llm}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return self._device(int(digest[:8], 16) % self._shards), digest

    def _device(self, shard: int) -> str:
        return f"langchain-cache:{self.name}:{shard}"

    def _lookup(self, prompt: str, llm: str) -> Steps[Any]:
        device, key = self._place(prompt, llm)
        page = yield optional(verbs.take(device, key))
        document = page["documents"][0] if page else None
        if document is None or not isinstance(document["value"], list):
            return None
        return [loads(one, allowed_objects="core") for one in document["value"]]

    def _update(self, prompt: str, llm: str, answer: Sequence[Any]) -> Steps[None]:
        device, key = self._place(prompt, llm)
        value = [dumps(one) for one in answer]
        try:
            yield verbs.put(device, key, value, ttl=self._ttl)
            return
        except (NotFound, IllegalState):
            pass
        except Quota:
            yield from removed(device)
        yield verbs.recover(device, **self._opening)
        yield verbs.put(device, key, value, ttl=self._ttl)

    def _clear(self) -> Steps[None]:
        for shard in range(self._shards):
            yield from removed(self._device(shard))


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4], "big")
