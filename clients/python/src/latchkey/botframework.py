"""The Bot Framework's storage in Latchkey.

    pip install latchkey[botframework]

    conversation_state = ConversationState(LatchkeyStorage())

A key is a device of its own, and its item is a document whose revision is the item's `e_tag`.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botbuilder.core import Storage
from jsonpickle.pickler import Pickler
from jsonpickle.unpickler import Unpickler

from . import verbs
from .adapting import Adapter, Steps, bound, optional
from .client import Client
from .errors import IllegalState, NotFound, Stale

if TYPE_CHECKING:
    from .aio import AsyncClient

_KEY = "item"


class LatchkeyStorage(Adapter, Storage):
    """Implements `Storage`.

    Items are stored as the framework's own storages do it, by jsonpickle. An item that was read is
    written only if it is still the one that was read; with the `e_tag` `*`, or None, in any case.
    """

    def __init__(
        self,
        async_client: AsyncClient | None = None,
        *,
        name: str = "bot",
        client: Client | None = None,
        **opening: Any,
    ) -> None:
        """`name`: storages with another name have nothing in common. `client` is for `turn`, which
        blocks. `opening`: parameters of `Client.open` for new keys, such as `idle` and `policy`."""
        super().__init__(client, async_client, **opening)
        self.name = name

    def device(self, of: Any) -> str:
        """The device of a key."""
        return f"{self.name}:{of}"

    async def read(self, keys: Iterable[str]) -> dict[str, Any]:
        """The items of the keys that are there, each with its `e_tag`. Raises LatchkeyError."""
        if keys is None:
            raise ValueError("Keys are required when reading")
        return await self.aread(self._read([*dict.fromkeys(keys)]))

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Writes items. An item that has an `e_tag` other than `*` gets its new one.

        Raises Stale, when all others are written, if one was changed since it was read; ValueError
        if an `e_tag` is empty."""
        if changes is None:
            raise ValueError("Changes are required when writing")
        if changes:
            await self.arun(self._write(changes))

    async def delete(self, keys: Iterable[str]) -> None:
        """Removes items; a key that is not there is no error."""
        await self.arun(self._delete([*dict.fromkeys(keys)]))

    def _read(self, keys: list[str]) -> Steps[dict[str, Any]]:
        if not keys:
            return {}
        pages = yield [optional(verbs.take(self.device(key), _KEY)) for key in keys]
        found: dict[str, Any] = {}
        for key, page in zip(keys, pages, strict=True):
            document = page["documents"][0] if page else None
            if document is not None and isinstance(document["value"], dict):
                item = Unpickler().restore(document["value"]["item"])
                _tag(item, str(document["rev"]))
                found[key] = item
        return found

    def _write(self, changes: Mapping[str, Any]) -> Steps[None]:
        tags = {key: _tag_of(item) for key, item in changes.items()}
        for key, tag in tags.items():
            if tag == "":
                raise ValueError(f"{key}: the e_tag is empty: give * to overwrite the item")
        revs = {key: None if tag in (None, "*") else _rev(tag) for key, tag in tags.items()}
        requests = [
            bound(self._put(key, item, revs[key]), self.device(key))
            for key, item in changes.items()
        ]
        conflict: Stale | None = None
        try:
            results: list[Any] = yield requests
        except (NotFound, IllegalState, Stale):
            # One of them needs a session, or was changed: each for itself. What was written already
            # has kept its reply under its key.
            results = []
            for (key, item), request in zip(changes.items(), requests, strict=True):
                try:
                    results.append((yield from self._one(key, item, revs[key], request)))
                except Stale as error:
                    conflict = conflict or error
                    results.append(None)
        for (key, item), result in zip(changes.items(), results, strict=True):
            if result is not None and revs[key] is not None:
                _tag(item, str(result["rev"]))
        if conflict is not None:
            raise conflict

    def _one(self, key: str, item: Any, rev: int | None, request: Any) -> Steps[Any]:
        if rev is None:
            return (yield from self.changed(self.device(key), request))
        try:
            return (yield request)
        except NotFound as error:
            raise Stale(f"{key}: the item was removed since it was read", "STALE") from error

    def _put(self, key: str, item: Any, rev: int | None) -> Any:
        flat = Pickler().flatten(item)
        if isinstance(flat, dict):
            flat = {name: value for name, value in flat.items() if name != "e_tag"}
        return verbs.put(self.device(key), _KEY, {"item": flat}, rev=rev)

    def _delete(self, keys: list[str]) -> Steps[None]:
        for key in keys:
            try:
                yield bound(verbs.drop(self.device(key), _KEY), self.device(key))
            except NotFound:
                continue


def _tag_of(item: Any) -> Any:
    return item.get("e_tag") if isinstance(item, dict) else getattr(item, "e_tag", None)


def _rev(tag: Any) -> int:
    """The revision of an `e_tag`: 2^53 - 1, which no item has, for one of another storage."""
    return int(tag) if isinstance(tag, str) and tag.isascii() and tag.isdigit() else 2**53 - 1


def _tag(item: Any, tag: str) -> None:
    if isinstance(item, dict):
        item["e_tag"] = tag
    elif hasattr(item, "__dict__"):
        item.e_tag = tag
