"""LangGraph's long-term memory as documents: each namespace is a session of its own.

A session is linked to all prefixes of its namespace, so that a search looks at those alone whose
namespaces begin as it asks.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)

from .. import verbs
from ..adapting import Adapter, Steps, batches, linked, optional, part
from ..client import Client
from ..errors import NotFound, Stale
from .values import parts, path

if TYPE_CHECKING:
    from ..aio import AsyncClient

Namespace = tuple[str, ...]

_LINK = "langgraph-store"
_PAGE = 100
_ABREAST = 100


class LatchkeyStore(Adapter, BaseStore):
    """Implements `BaseStore`, for coroutines and for threads. Semantic search is not supported:
    a `query` is not looked at."""

    supports_ttl = True

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        ttl: Any = None,
        **opening: Any,
    ) -> None:
        """`name`: stores with another name have nothing in common. `ttl`: a `TTLConfig`, times in
        minutes. `opening`: parameters of `Client.open` for the sessions of new namespaces."""
        super().__init__(client, async_client, **opening)
        self.name = name
        self.ttl_config = ttl

    def batch(self, ops: Iterable[Any]) -> list[Any]:
        """The results of operations; reads come before writes. Raises LatchkeyError."""
        return self.run(self._batch([*ops]))

    async def abatch(self, ops: Iterable[Any]) -> list[Any]:
        """As `batch`."""
        return await self.arun(self._batch([*ops]))

    def _batch(self, ops: Sequence[Any]) -> Steps[list[Any]]:
        results: list[Any] = [None] * len(ops)
        gets = {at: op for at, op in enumerate(ops) if isinstance(op, GetOp)}
        found = yield from self._taken([(op.namespace, op.key) for op in gets.values()])
        refreshed: dict[tuple[Namespace, str], Any] = {}
        for at, op in gets.items():
            document = found.get((op.namespace, op.key))
            if document is not None:
                results[at] = Item(**_members(op.namespace, document))
                if op.refresh_ttl:
                    refreshed[op.namespace, op.key] = document
        puts: dict[tuple[Namespace, str], PutOp] = {}
        for at, op in enumerate(ops):
            if isinstance(op, SearchOp):
                results[at] = yield from self._search(op, refreshed)
            elif isinstance(op, ListNamespacesOp):
                results[at] = yield from self._namespaces(op)
            elif isinstance(op, PutOp):
                puts[op.namespace, op.key] = op
            elif not isinstance(op, GetOp):
                raise ValueError(f"{type(op).__name__} is no operation of a store")
        yield from self._refresh(refreshed)
        yield from self._put(puts)
        return results

    # --- reading

    def _taken(self, keys: Sequence[tuple[Namespace, str]]) -> Steps[dict[Any, Any]]:
        """The documents of some keys that are there, by namespace and key."""
        wanted: dict[Namespace, list[str]] = {}
        for space, key in dict.fromkeys(keys):
            wanted.setdefault(space, []).append(key)
        parts_of = [
            (space, names[at : at + 1000])
            for space, names in wanted.items()
            for at in range(0, len(names), 1000)
        ]
        if not parts_of:
            return {}
        pages = yield [optional(verbs.take(self._device(space), *ks)) for space, ks in parts_of]
        return {
            (space, document["key"]): document
            for (space, _), page in zip(parts_of, pages, strict=True)
            for document in (page["documents"] if page else [])
            if document is not None and isinstance(document["value"], dict)
        }

    def _search(self, op: SearchOp, refreshed: dict[Any, Any]) -> Steps[list[Any]]:
        found: list[Any] = []
        left = op.offset
        for space in (yield from self._under(op.namespace_prefix)):
            cursor: str | None = None
            while len(found) < op.limit:
                page = yield optional(
                    verbs.keys(self._device(space), values=True, limit=_PAGE, cursor=cursor)
                )
                for document in page["documents"] if page else []:
                    if not _passes(document, op.filter):
                        continue
                    if left > 0:
                        left -= 1
                    elif len(found) < op.limit:
                        found.append(SearchItem(**_members(space, document)))
                        if op.refresh_ttl:
                            refreshed[space, document["key"]] = document
                cursor = page["cursor"] if page else None
                if cursor is None:
                    break
        return found

    def _under(self, prefix: Namespace) -> Steps[list[Namespace]]:
        """The namespaces that begin with a prefix, in their order; empty ones too."""
        records = yield from linked(_LINK, self._ref(prefix), fields="none")
        root = len(self._device(()))
        return sorted({parts(record["device"][root:]) for record in records})

    def _namespaces(self, op: ListNamespacesOp) -> Steps[list[Namespace]]:
        conditions = op.match_conditions or ()
        found = [
            space
            for space in (yield from self._under(_begin(conditions)))
            if all(_matches(condition, space) for condition in conditions)
        ]
        used: list[Namespace] = []
        for at in range(0, len(found), _ABREAST):
            some = found[at : at + _ABREAST]
            pages = yield [optional(verbs.keys(self._device(space), limit=1)) for space in some]
            used += [s for s, page in zip(some, pages, strict=True) if page and page["documents"]]
        shown = sorted({space[: op.max_depth] for space in used})
        return shown[op.offset : op.offset + op.limit]

    # --- writing

    def _put(self, puts: dict[tuple[Namespace, str], PutOp]) -> Steps[None]:
        if not puts:
            return
        before = yield from self._taken(list(puts))
        spaces: dict[Namespace, list[PutOp]] = {}
        for (space, _), op in puts.items():
            spaces.setdefault(space, []).append(op)
        for space, ops in spaces.items():
            device = self._device(space)
            dropped = [op.key for op in ops if op.value is None and (space, op.key) in before]
            stored = {
                op.key: _stored(op, before.get((space, op.key)))
                for op in ops
                if op.value is not None
            }
            timed = {op.key: op.ttl for op in ops if op.value is not None and op.ttl is not None}
            for batch in batches({k: v for k, v in stored.items() if k not in timed}):
                yield from self._changed(space, verbs.apply(device, {"put": batch}))
            for key, ttl in timed.items():
                yield from self._changed(
                    space,
                    verbs.put(device, key, stored[key], ttl=ttl * 60),
                )
            for at in range(0, len(dropped), 1000):
                yield verbs.drop(device, *dropped[at : at + 1000])

    def _changed(self, space: Namespace, request: Any) -> Steps[Any]:
        given = self._opening.get("link") or {}
        refs = [self._ref(space[:depth]) for depth in range(len(space) + 1)]
        return (yield from self.changed(self._device(space), request, link={**given, _LINK: refs}))

    def _refresh(self, documents: dict[tuple[Namespace, str], Any]) -> Steps[None]:
        """Starts the TTL of documents that have one again, unless they were written meanwhile."""
        for (space, key), document in documents.items():
            value = document["value"]
            if value.get("ttl") is None:
                continue
            value = {**value, "updated": value.get("updated") or document["at"]}
            put = verbs.put(
                self._device(space), key, value, ttl=value["ttl"] * 60, rev=document["rev"]
            )
            try:
                yield put
            except (Stale, NotFound):
                continue  # another value has its own TTL

    def _device(self, space: Namespace) -> str:
        return f"langgraph-store:{part(self.name)}/{path(space)}"

    def _ref(self, space: Namespace) -> str:
        return f"{part(self.name)}/{path(space)}"


def _stored(op: PutOp, before: Any) -> dict[str, Any]:
    """The value of a document. `created` is missing in its first version, whose time it has."""
    stored: dict[str, Any] = {"value": dict(op.value or {})}
    if before is not None:
        stored["created"] = before["value"].get("created") or before["at"]
    if op.ttl is not None:
        stored["ttl"] = op.ttl
    return stored


def _members(space: Namespace, document: Any) -> dict[str, Any]:
    """The members of an item."""
    value = document["value"]
    return {
        "namespace": space,
        "key": document["key"],
        "value": value["value"],
        "created_at": _time(value.get("created") or document["at"]),
        "updated_at": _time(value.get("updated") or document["at"]),
    }


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, timezone.utc)


def _begin(conditions: Sequence[MatchCondition]) -> Namespace:
    """The longest beginning that all namespaces have which fulfil the conditions."""
    longest: Namespace = ()
    for condition in conditions:
        if condition.match_type == "prefix":
            names = tuple(condition.path)
            fixed = names[: names.index("*")] if "*" in names else names
            longest = max(longest, fixed, key=len)
    return longest


def _matches(condition: MatchCondition, space: Namespace) -> bool:
    names = tuple(condition.path)
    if len(names) > len(space):
        return False
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"{condition.match_type!r} is no kind of condition: prefix or suffix")
    is_prefix = condition.match_type == "prefix"
    compared = space[: len(names)] if is_prefix else space[len(space) - len(names) :]
    return all(name in ("*", own) for name, own in zip(names, compared, strict=True))


def _passes(document: Any, filter: dict[str, Any] | None) -> bool:
    """True if a document is an item that passes a filter."""
    value = document.get("value")
    if not isinstance(value, dict) or not isinstance(value.get("value"), dict):
        return False
    return all(_equals(value["value"].get(key), wanted) for key, wanted in (filter or {}).items())


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda own, wanted: bool(own == wanted),
    "$ne": lambda own, wanted: bool(own != wanted),
    "$gt": lambda own, wanted: own is not None and float(own) > float(wanted),
    "$gte": lambda own, wanted: own is not None and float(own) >= float(wanted),
    "$lt": lambda own, wanted: own is not None and float(own) < float(wanted),
    "$lte": lambda own, wanted: own is not None and float(own) <= float(wanted),
}


def _equals(own: Any, wanted: Any) -> bool:
    """A member held against a part of a filter: operators, an object's members, or a value."""
    if isinstance(wanted, dict):
        if any(name.startswith("$") for name in wanted):
            for name in wanted:
                if name not in _OPERATORS:
                    raise ValueError(f"{name} is no operator: {', '.join(_OPERATORS)}")
            return all(_OPERATORS[name](own, value) for name, value in wanted.items())
        return isinstance(own, dict) and all(_equals(own.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(own, (list, tuple))
            and len(own) == len(wanted)
            and all(_equals(a, b) for a, b in zip(own, wanted, strict=True))
        )
    return bool(own == wanted)
