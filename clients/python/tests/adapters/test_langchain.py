"""History, byte store and cache for LangChain, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio
from chaos import assert_turns, counted, in_threads, killing, page, run
from conftest import Fleet, eventually
from langchain_core.caches import BaseCache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration
from langchain_core.stores import BaseStore
from langchain_tests.integration_tests import (
    AsyncCacheTestSuite,
    BaseStoreAsyncTests,
    BaseStoreSyncTests,
    SyncCacheTestSuite,
)

from latchkey import AsyncClient, Client, Stale
from latchkey.langchain import LatchkeyByteStore, LatchkeyCache, LatchkeyChatMessageHistory
from latchkey.testing import Worker


@pytest.fixture
def client(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"ü/{request.node.name} {uuid.uuid4()}"


class TestByteStore(BaseStoreSyncTests[bytes]):
    """The public suite."""

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"a", bytes(range(256)), b""

    @pytest.fixture(params=[1, 5])
    def kv_store(
        self, request: pytest.FixtureRequest, latchkey_worker: Worker
    ) -> Generator[BaseStore[str, bytes], None, None]:
        with Client(latchkey_worker.to) as client:
            yield LatchkeyByteStore(str(uuid.uuid4()), client, shards=request.param)


class TestByteStoreAsync(BaseStoreAsyncTests[bytes]):
    """The public suite."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"a", bytes(range(256)), b""

    @pytest_asyncio.fixture
    async def kv_store(
        self, latchkey_worker: Worker
    ) -> AsyncGenerator[BaseStore[str, bytes], None]:
        async with AsyncClient(latchkey_worker.to) as client:
            yield LatchkeyByteStore(str(uuid.uuid4()), async_client=client)


class TestCache(SyncCacheTestSuite):
    """The public suite."""

    @pytest.fixture
    def cache(self, latchkey_worker: Worker) -> Generator[BaseCache, None, None]:
        with Client(latchkey_worker.to) as client:
            yield LatchkeyCache(client, name=str(uuid.uuid4()))


class TestCacheAsync(AsyncCacheTestSuite):
    """The public suite."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def cache(self, latchkey_worker: Worker) -> AsyncGenerator[BaseCache, None]:
        async with AsyncClient(latchkey_worker.to) as client:
            yield LatchkeyCache(async_client=client, name=str(uuid.uuid4()))


MESSAGES: list[Any] = [
    SystemMessage("é\n"),
    HumanMessage([{"type": "text", "text": "x"}], name="ada", id="1"),
    AIMessage(
        "", tool_calls=[{"name": "t", "args": {"a": [None]}, "id": "c"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    ),
    ToolMessage("42", tool_call_id="c", status="error", additional_kwargs={"deep": {}}),
]  # fmt: skip


def test_messages_come_back_as_they_were(client: Client, name: str) -> None:
    history = LatchkeyChatMessageHistory(name, client)
    assert history.messages == [] and history.newest(3) == []
    history.clear()
    history.add_messages([])
    history.add_messages(MESSAGES)
    history.add_user_message("again")
    assert history.messages == [*MESSAGES, HumanMessage("again")]
    assert history.newest(2) == [MESSAGES[3], HumanMessage("again")]
    assert "again" in str(history)
    history.clear()
    assert history.messages == []

    async def main() -> None:
        async with AsyncClient(str(client.options.endpoints.current)) as other:
            history = LatchkeyChatMessageHistory(name, async_client=other)
            await history.aadd_messages(MESSAGES)
            assert await history.aget_messages() == MESSAGES
            assert await history.anewest(1) == MESSAGES[3:]
            await history.aclear()
            assert await history.aget_messages() == []

    run(main)


def test_history_under_a_lock_or_in_a_chat(client: Client, name: str) -> None:
    lock = client.lock(name, "a")
    history = LatchkeyChatMessageHistory(name, client, token=lock.token, user="ada")
    history.add_messages(MESSAGES)
    chat = LatchkeyChatMessageHistory(name, client, chat="@side")
    chat.add_user_message("aside")
    assert len(history.messages) == 4 and len(chat.messages) == 1
    client.seize(name, "b")
    for change in (lambda: history.add_messages(MESSAGES), history.clear):
        with pytest.raises(Stale):
            change()
    assert len(history.messages) == 4
    record = client.get(name)
    assert record is not None and record["links"] == {"user": ["ada"]}


def test_calls_take_one_trip(client: Client, name: str) -> None:
    history, store = LatchkeyChatMessageHistory(name, client), LatchkeyByteStore(name, client)
    cache = LatchkeyCache(client, name=name, shards=1)
    history.add_messages(MESSAGES)
    store.mset([("a", b"")])
    cache.update("p", "l", [])
    for call in (
        lambda: history.add_messages(MESSAGES), lambda: history.messages, history.clear,
        lambda: store.mset([("a", b"1"), ("b", b"2")]), lambda: store.mget(["a", "b", "c"]),
        lambda: [*store.yield_keys()], lambda: store.mdelete(["a"]),
        lambda: cache.lookup("p", "l"), lambda: cache.update("p", "l", []),
    ):  # fmt: skip
        with counted() as trips:
            call()
        assert trips.count == 1


def test_a_store_of_many_and_large_values(client: Client, name: str) -> None:
    store = LatchkeyByteStore(name, client, shards=3)
    pairs = [(f"k/{n:05} ü", bytes([n % 256]) * 1000) for n in range(2500)]
    store.mset(pairs)
    assert store.mget([key for key, _ in pairs]) == [value for _, value in pairs]
    assert sorted(store.yield_keys(prefix="k/")) == [key for key, _ in pairs]
    assert sorted(store.yield_keys(prefix="k/0000")) == [key for key, _ in pairs[:10]]
    store.mdelete([key for key, _ in pairs[:2000]])
    assert len([*store.yield_keys()]) == 500
    brief = LatchkeyByteStore(f"{name} 2", client, ttl=0.05)
    brief.mset([("a", b"1")])
    eventually(lambda: brief.mget(["a"]) == [None])


def test_the_cache_keeps_messages_apart(client: Client, name: str) -> None:
    cache = LatchkeyCache(client, name=name, ttl="1h")
    answer = [ChatGeneration(message=AIMessage("x", id="1"))]
    cache.update("a", "bc", answer)
    assert cache.lookup("a", "bc") == answer
    assert cache.lookup("ab", "c") is None
    other = LatchkeyCache(client, name=f"{name} 2")
    assert other.lookup("a", "bc") is None


def test_a_full_shard_of_the_cache_is_emptied(tmp_path: Any) -> None:
    with Worker(tmp_path, options=["--max-documents", "5"]) as worker, worker.client() as client:
        cache = LatchkeyCache(client, shards=2)
        answers = {f"{n}": [ChatGeneration(message=AIMessage(f"{n}"))] for n in range(30)}
        for prompt, answer in answers.items():
            cache.update(prompt, "", answer)
        found = [one for one in answers if cache.lookup(one, "") is not None]
        assert "29" in found and len(found) <= 10


def test_twenty_writers_lose_and_double_nothing_while_workers_are_killed(
    fleet: Fleet, name: str
) -> None:
    with Client(fleet.to, timeout=20) as client:
        with killing(fleet, client.options, 200) as progress:

            def write(writer: int) -> None:
                history = LatchkeyChatMessageHistory(name, client)
                for n in range(10):
                    history.add_messages([HumanMessage(f"{writer}-{n}-{i}") for i in range(3)])
                    progress.step()

            in_threads(write)
        found = [one.content for one in LatchkeyChatMessageHistory(name, client).messages]
        assert len(found) == len({*found}) == 600
        for at in range(0, 600, 3):
            batch = found[at].rsplit("-", 1)[0]
            assert found[at : at + 3] == [f"{batch}-{i}" for i in range(3)]
        assert len(client.list(name)["sessions"]) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_turns_interleave_nothing(fleet: Fleet, name: str, kind: str) -> None:
    def answer(history: Any, question: str) -> list[Any]:
        return [HumanMessage(question), AIMessage(f"answer to {question}")]

    def blocking() -> None:
        with Client(fleet.to, timeout=20) as client:
            history = LatchkeyChatMessageHistory(name, client)
            with killing(fleet, client.options, 20) as progress:

                def turn(n: int) -> None:
                    with history.turn(wait=60):
                        before = len(history.messages)
                        for message in answer(history, f"q{n}"):
                            history.add_message(message)
                        assert len(history.messages) == before + 2
                    progress.step()

                in_threads(turn)
            assert_turns([one.content for one in history.messages], 20)

    async def awaiting() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            history = LatchkeyChatMessageHistory(name, async_client=client)
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    async with history.aturn(wait=60):
                        for message in answer(history, f"q{n}"):
                            await history.aadd_messages([message])
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            assert_turns([one.content for one in await history.aget_messages()], 20)

    if kind == "sync":
        blocking()
    else:
        run(awaiting)


def test_a_run_that_lost_its_turn_writes_nothing(client: Client, name: str) -> None:
    history = LatchkeyChatMessageHistory(name, client)
    with pytest.raises(Stale), history.turn():
        history.add_user_message("a")
        client.turn(name, policy="interrupt").done()
        history.add_user_message("b")
    assert [one.content for one in history.messages] == ["a"]


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    names = page("frameworks/langchain.md")
    for text in ("hi", "ho"):
        assert names["handler"]({"device": name, "text": text}) == f"You said: {text}"
    history = LatchkeyChatMessageHistory(name, names["client"])
    assert [one.content for one in history.messages] == ["hi", "You said: hi", "ho", "You said: ho"]
    assert names["files"].mget(["report.pdf", "b"]) == [b"%PDF", None]
    names["client"].close()
