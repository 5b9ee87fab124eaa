"""The store and the cache for LangGraph, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
from chaos import counted, in_threads, killing, run
from conftest import Fleet, eventually
from langgraph.cache.memory import InMemoryCache
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from latchkey import AsyncClient, Client
from latchkey.langgraph import LatchkeyCache, LatchkeyStore
from latchkey.testing import Worker


@pytest.fixture
def client(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield client


@pytest.fixture
def store(client: Client) -> LatchkeyStore:
    return LatchkeyStore(client, name=f"ü/{uuid.uuid4()}")


@pytest.fixture
def cache(client: Client) -> LatchkeyCache:
    return LatchkeyCache(client, name=f"ü/{uuid.uuid4()}")


class Reference(InMemoryStore):
    """The framework's own store, without the namespaces that have no items (any more): the ones
    that are kept in a database do not show them."""

    def _handle_list_namespaces(self, op: ListNamespacesOp) -> Any:
        for space in [space for space, items in self._data.items() if not items]:
            del self._data[space]
        return super()._handle_list_namespaces(op)


def plain(result: Any) -> Any:
    """A result without its times, in no order."""
    if isinstance(result, list):
        return sorted((plain(one) for one in result), key=str)
    return (result.namespace, result.key, result.value) if hasattr(result, "key") else result


NAMESPACES = [("a",), ("a", "b"), ("a", "b", "ü/1 %"), ("c", "b"), ("a-b",)]

READS = [
    *(GetOp(space, "k1") for space in NAMESPACES),
    GetOp(("none",), "k"),
    SearchOp((), limit=100),
    SearchOp(("a",), limit=100),
    SearchOp(("a", "b", "ü/1 %"), limit=100),
    SearchOp(("none",)),
    SearchOp((), filter={"n": 1}, limit=100),
    SearchOp((), filter={"n": {"$gte": 1, "$lt": 3}}, limit=100),
    SearchOp((), filter={"n": {"$ne": 2}, "deep": {"x": [1, {"y": 2}]}}, limit=100),
    SearchOp((), filter={"n": {"$eq": 0}, "deep": {"x": [1]}}, limit=100),
    ListNamespacesOp(),
    ListNamespacesOp(max_depth=1),
    ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("a",)),)),
    ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("*", "b")),)),
    ListNamespacesOp(match_conditions=(MatchCondition("suffix", ("b",)),)),
    ListNamespacesOp(match_conditions=(MatchCondition("suffix", ("b", "*")),)),
    ListNamespacesOp(limit=2, offset=1),
]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_store_answers_as_the_framework_s_own(
    store: LatchkeyStore, latchkey_worker: Worker, kind: str
) -> None:
    own = Reference()
    writes = [
        PutOp(space, f"k{n}", {"n": n, "deep": {"x": [1, {"y": 2}]}, "é": None})
        for space in NAMESPACES
        for n in range(4)
    ]
    later = [PutOp(("c", "b"), f"k{n}", None) for n in range(4)]
    later += [PutOp(("a",), "k1", {"n": 9}), PutOp(("x",), "k", None), PutOp(("a",), "gone", None)]
    batches = [READS, writes, READS, [*later, *READS], READS]
    if kind == "sync":
        for batch in batches:
            assert [*map(plain, store.batch(batch))] == [*map(plain, own.batch(batch))]
        return

    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            other = LatchkeyStore(async_client=client, name=store.name)
            for batch in batches:
                found = await other.abatch(batch)
                assert [*map(plain, found)] == [*map(plain, own.batch(batch))]

    run(main)


def test_pages_limits_and_offsets(store: LatchkeyStore) -> None:
    for space in (("a", "1"), ("a", "2")):
        store.batch([PutOp(space, f"{n:03}", {"n": n}) for n in range(150)])
    keys = [(one.namespace[1], one.key) for one in store.search(("a",), limit=250, offset=100)]
    expected = [(space, f"{n:03}") for space in "12" for n in range(150)]
    assert keys == expected[100:]
    assert store.search(("a",), limit=0) == []
    even = store.search(("a",), filter={"n": {"$gt": 147}}, limit=3, offset=1)
    assert [(one.namespace[1], one.key) for one in even] == [
        ("1", "149"), ("2", "148"), ("2", "149"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="operator"):
        store.search(("a",), filter={"n": {"$in": [1]}})


def test_times_and_ttl(store: LatchkeyStore) -> None:
    store.put(("a",), "k", {"n": 1})
    first = store.get(("a",), "k")
    eventually(lambda: time.time() > first.updated_at.timestamp() + 0.002)
    store.put(("a",), "k", {"n": 2})
    second = store.get(("a",), "k")
    assert second.created_at == first.created_at == first.updated_at
    assert second.updated_at > first.updated_at
    store.put(("a",), "k", {"n": 3}, ttl=0.02)  # minutes
    third = store.get(("a",), "k")
    assert third.created_at == first.created_at
    refreshed = store.get(("a",), "k", refresh_ttl=True)
    assert refreshed == third  # it was not written, but its TTL starts again
    store.put(("a",), "brief", {}, ttl=0.001)
    eventually(lambda: store.get(("a",), "brief", refresh_ttl=False) is None)
    assert store.get(("a",), "k", refresh_ttl=False) is not None


def test_a_read_and_a_write_take_few_trips(store: LatchkeyStore) -> None:
    store.put(("a",), "k", {})
    with counted() as trips:
        store.get(("a",), "k")
    assert trips.count == 1
    with counted() as trips:
        store.put(("a",), "k", {})
    assert trips.count == 2  # it keeps the time of its creation


def test_twenty_writers_lose_nothing_while_workers_are_killed(fleet: Fleet) -> None:
    with Client(fleet.to, timeout=20) as client:
        store = LatchkeyStore(client, name="n")
        with killing(fleet, client.options, 200) as progress:

            def write(writer: int) -> None:
                for n in range(10):
                    store.put(("all", f"{writer % 4}"), f"{writer}-{n}", {"n": n})
                    progress.step()

            in_threads(write)
        assert len(store.search(("all",), limit=1000)) == 200


def test_the_cache_answers_as_the_framework_s_own(
    cache: LatchkeyCache, latchkey_worker: Worker
) -> None:
    own: Any = InMemoryCache()
    pairs = {
        (("a",), "k"): ({"n": 1, "é": [b"\0"]}, None),
        (("a", "b"), "k"): ("x", 100),
        (("a:b",), "k"): ("y", 100),
        (("a",), "long" * 300): (None, None),
    }
    keys = [*pairs, (("a",), "none"), (("none",), "k")]
    for one in (cache, own):
        one.set(pairs)
    assert cache.get(keys) == own.get(keys)
    assert cache.get([]) == {}
    for one in (cache, own):
        one.clear([("a",), ("none",)])
    assert cache.get(keys) == own.get(keys)

    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            other = LatchkeyCache(async_client=client, name=cache.name)
            await other.aset(pairs)
            assert len(await other.aget(keys)) == len(pairs)
            with counted() as trips:
                await other.aget(keys)
            assert trips.count == 1
            await other.aclear()
            assert await other.aget(keys) == {}
            await other.aset({(("a",), "k"): (1, 1)})
            while await other.aget([(("a",), "k")]):
                await asyncio.sleep(0.01)

    run(main)


def test_a_full_namespace_of_the_cache_is_emptied(tmp_path: Any) -> None:
    with Worker(tmp_path, options=["--max-documents", "10"]) as worker, worker.client() as client:
        cache = LatchkeyCache(client)
        for n in range(25):
            cache.set({(("a",), f"{n}"): (n, None)})
        found = cache.get([(("a",), f"{n}") for n in range(25)])
        assert found[("a",), "24"] == 24
        assert 1 <= len(found) <= 10
