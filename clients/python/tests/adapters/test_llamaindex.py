"""The chat store for LlamaIndex, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from chaos import assert_turns, counted, in_threads, killing, page, run
from conftest import Fleet
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.storage.chat_store import SimpleChatStore

from latchkey import AsyncClient, Client, Stale
from latchkey.llamaindex import LatchkeyChatStore
from latchkey.testing import Worker


@pytest.fixture
def client(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"ü/{request.node.name} {uuid.uuid4()}"


def said(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=text) for text in texts]


def contents(messages: Any) -> list[Any]:
    return [one.content for one in messages]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_it_answers_as_the_framework_s_own(latchkey_worker: Worker, name: str, kind: str) -> None:
    """Each call with the same results as the store in memory."""
    own = SimpleChatStore()
    calls: list[tuple[str, Any]] = [
        ("get_messages", ()), ("delete_messages", ()), ("delete_message", (0,)), ("get_keys", None),
        ("set_messages", (said("a", "b", "c", "d"),)), ("get_messages", ()),
        ("add_message", (
            ChatMessage(role="assistant", content="é\n", additional_kwargs={"x": 1}),)),
        ("delete_message", (1,)), ("get_messages", ()), ("delete_message", (9,)),
        ("delete_last_message", ()), ("get_messages", ()), ("delete_message", (-1,)),
        ("get_keys", None), ("set_messages", (said("e"),)), ("get_messages", ()),
        ("delete_messages", ()), ("get_messages", ()), ("get_keys", None),
        ("add_message", (ChatMessage(
            role="user", blocks=[TextBlock(text="t"), ImageBlock(image=b"\0\1")]),)),
        ("get_messages", ()),
    ]  # fmt: skip

    def blocking() -> None:
        with Client(latchkey_worker.to) as client:
            store = LatchkeyChatStore(client, name=name)
            for call, arguments in calls:
                given = () if arguments is None else (name, *arguments)
                assert getattr(store, call)(*given) == getattr(own, call)(*given), call

    async def awaiting() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store = LatchkeyChatStore(async_client=client, name=name)
            for call, arguments in calls:
                given = () if arguments is None else (name, *arguments)
                twin = "async_add_message" if call == "add_message" else f"a{call}"
                assert await getattr(store, twin)(*given) == getattr(own, call)(*given), call

    if kind == "sync":
        blocking()
    else:
        run(awaiting)


def test_a_memory_is_kept(client: Client, name: str) -> None:
    for text in ("a", "b"):
        memory = ChatMemoryBuffer.from_defaults(
            chat_store=LatchkeyChatStore(client), chat_store_key=name, token_limit=100
        )
        memory.put(said(text)[0])
    assert contents(memory.get()) == ["a", "b"]
    assert memory.to_dict()
    memory.reset()
    assert memory.get_all() == []


def test_calls_take_one_trip(client: Client, name: str) -> None:
    store = LatchkeyChatStore(client, name=name)
    store.set_messages(name, said("a", "b"))
    for call in (
        lambda: store.add_message(name, said("c")[0]), lambda: store.get_messages(name),
        lambda: store.delete_last_message(name), lambda: store.set_messages(name, said("d")),
        store.get_keys,
    ):  # fmt: skip
        with counted() as trips:
            call()
        assert trips.count == 1


def test_two_that_remove_by_index_remove_two(client: Client, name: str) -> None:
    store = LatchkeyChatStore(client)
    store.set_messages(name, said(*map(str, range(40))))
    removed = in_threads(lambda _: store.delete_message(name, 0).content)
    assert sorted(map(int, removed)) == [*range(20)]
    assert contents(store.get_messages(name)) == [*map(str, range(20, 40))]


def test_twenty_writers_lose_and_double_nothing_while_workers_are_killed(
    fleet: Fleet, name: str
) -> None:
    with Client(fleet.to, timeout=20) as client:
        store = LatchkeyChatStore(client)
        with killing(fleet, client.options, 200) as progress:

            def write(writer: int) -> None:
                for n in range(10):
                    store.add_message(name, said(f"{writer}-{n}")[0])
                    progress.step()

            in_threads(write)
        found = contents(store.get_messages(name))
        assert sorted(found) == sorted(f"{w}-{n}" for w in range(20) for n in range(10))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_turns_interleave_nothing(fleet: Fleet, name: str, kind: str) -> None:
    def blocking() -> None:
        with Client(fleet.to, timeout=20) as client:
            store = LatchkeyChatStore(client)
            with killing(fleet, client.options, 20) as progress:

                def turn(n: int) -> None:
                    memory = ChatMemoryBuffer.from_defaults(chat_store=store, chat_store_key=name)
                    with store.turn(name, wait=60):
                        memory.put(said(f"q{n}")[0])
                        question = memory.get_all()[-1].content
                        memory.put(said(f"answer to {question}")[0])
                    progress.step()

                in_threads(turn)
            assert_turns(contents(store.get_messages(name)), 20)
            assert store.get_keys() == [name]

    async def awaiting() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            store = LatchkeyChatStore(async_client=client)
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    async with store.aturn(name, wait=60):
                        await store.async_add_message(name, said(f"q{n}")[0])
                        question = (await store.aget_messages(name))[-1].content
                        await store.async_add_message(name, said(f"answer to {question}")[0])
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            assert_turns(contents(await store.aget_messages(name)), 20)

    if kind == "sync":
        blocking()
    else:
        run(awaiting)


def test_a_run_that_lost_its_turn_writes_nothing(client: Client, name: str) -> None:
    store = LatchkeyChatStore(client)
    with pytest.raises(Stale), store.turn(name):
        store.set_messages(name, said("a"))
        client.turn(name, policy="interrupt").done()
        for change in (
            lambda: store.delete_messages(name), lambda: store.delete_message(name, 0),
            lambda: store.delete_last_message(name), lambda: store.add_message(name, said("b")[0]),
        ):  # fmt: skip
            with pytest.raises(Stale):
                change()
        store.set_messages(name, [])
    assert contents(store.get_messages(name)) == ["a"]


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    names = page("frameworks/llamaindex.md")
    for text in ("hi", "ho"):
        assert names["handler"]({"device": name, "text": text})
    messages = names["store"].get_messages(name)
    assert [one.content for one in messages][0::2] == ["hi", "ho"]
    assert len(messages) == 4
    names["store"].close()
