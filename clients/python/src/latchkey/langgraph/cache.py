"""LangGraph's cache of tasks' results as documents: each namespace is a session of its own."""

# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.cache.base import BaseCache

from .. import verbs
from ..adapting import Adapter, Steps, linked, optional, part, removed
from ..client import Client
from ..errors import IllegalState, NotFound, Quota
from ..request import Request
from .values import packed, path, unpacked

if TYPE_CHECKING:
    from ..aio import AsyncClient

Namespace = tuple[str, ...]
FullKey = tuple[Namespace, str]

_LINK = "langgraph-cache"
_KEY_BYTES = 400
_KEYS = 1000


class LatchkeyCache(Adapter, BaseCache):
    """Implements `BaseCache`, for coroutines and for threads."""

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        serde: Any = None,
        **opening: Any,
    ) -> None:
        """`name`: caches with another name have nothing in common. `serde`: a serializer of
        LangGraph's. `opening`: parameters of `Client.open` for the sessions of new namespaces."""
        opening["link"] = {**(opening.get("link") or {}), _LINK: name}
        Adapter.__init__(self, client, async_client, **opening)
        BaseCache.__init__(self, serde=serde)
        self.name = name

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """The values of the keys that are there. Raises LatchkeyError."""
        return self.run(self._get(keys))

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """As `get`."""
        return await self.aread(self._get(keys))

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Writes values, each with its TTL in seconds; a full namespace is emptied before."""
        self.run(self._set(pairs))

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """As `set`."""
        await self.arun(self._set(pairs))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Removes the values of exactly these namespaces, or all."""
        self.run(self._clear(namespaces))

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """As `clear`."""
        await self.arun(self._clear(namespaces))

    def _get(self, keys: Sequence[FullKey]) -> Steps[dict[FullKey, Any]]:
        spaces: dict[Namespace, dict[str, FullKey]] = {}
        for space, key in keys:
            spaces.setdefault(tuple(space), {})[_key(key)] = (space, key)
        asked = [
            (own, [*own][at : at + _KEYS], space)
            for space, own in spaces.items()
            for at in range(0, len(own), _KEYS)
        ]
        if not asked:
            return {}
        pages = yield [optional(verbs.take(self._device(s), *some)) for _, some, s in asked]
        return {
            own[document["key"]]: self.serde.loads_typed(unpacked(document["value"]))
            for (own, _, _), page in zip(asked, pages, strict=True)
            for document in (page["documents"] if page else [])
            if document is not None and isinstance(document["value"], list)
        }

    def _set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> Steps[None]:
        spaces: dict[Namespace, dict[str, tuple[list[str], int | None]]] = {}
        for (space, key), (value, ttl) in pairs.items():
            stored = packed(*self.serde.dumps_typed(value))
            spaces.setdefault(tuple(space), {})[_key(key)] = stored, ttl
        for space, own in spaces.items():
            device = self._device(space)
            try:
                yield _puts(device, own)
                continue
            except (NotFound, IllegalState):
                pass
            except Quota:
                yield from removed(device)
            yield verbs.recover(device, **self._opening)
            yield _puts(device, own)

    def _clear(self, namespaces: Sequence[Namespace] | None) -> Steps[None]:
        if namespaces is None:
            records = yield from linked(_LINK, self.name, fields="none")
            devices = [record["device"] for record in records]
        else:
            devices = [self._device(tuple(space)) for space in namespaces]
        for device in dict.fromkeys(devices):
            yield from removed(device)

    def _device(self, space: Namespace) -> str:
        return f"langgraph-cache:{part(self.name)}/{path(space)}"


def _puts(device: str, own: Mapping[str, tuple[list[str], int | None]]) -> list[Request[Any]]:
    return [verbs.put(device, key, value, ttl=ttl) for key, (value, ttl) in own.items()]


def _key(key: str) -> str:
    """The key of a document: a long one is hashed."""
    data = key.encode("utf-8", "surrogatepass")
    if 0 < len(data) <= _KEY_BYTES and not key.startswith("#"):
        return key
    return "#" + hashlib.sha256(data).hexdigest()
