"""The storage for the Bot Framework, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from botbuilder.core import ConversationState, MessageFactory, StoreItem, TurnContext, UserState
from botbuilder.core.adapters import TestAdapter
from botbuilder.testing import StorageBaseTests
from chaos import assert_turns, counted, killing, page, run
from conftest import Fleet

from latchkey import ALL, AsyncClient, Stale
from latchkey.botframework import LatchkeyStorage
from latchkey.testing import Worker

SUITE = [name for name, test in vars(StorageBaseTests).items() if isinstance(test, staticmethod)]

TEAMS = "msteams/conversations/19:a1b2@thread.tacv2;messageid=1612 ü/%"


@pytest.mark.parametrize("test", SUITE)
def test_the_framework_s_suite_passes(latchkey_worker: Worker, test: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            storage = LatchkeyStorage(client, name=str(uuid.uuid4()))
            assert await getattr(StorageBaseTests, test)(storage)

    assert len(SUITE) == 11
    run(main)


def stored(test: Any) -> Any:
    """Runs a test with a storage of its own."""

    def runs(latchkey_worker: Worker) -> None:
        async def main() -> None:
            async with AsyncClient(latchkey_worker.to) as client:
                await test(LatchkeyStorage(client, name=f"ü/{uuid.uuid4()}"))

        run(main)

    return runs


@stored
async def test_an_item_that_was_changed_meanwhile_is_not_overwritten(storage: Any) -> None:
    await storage.write({TEAMS: {"n": 1}, "other": {"n": 1}})
    first, second = [await storage.read([TEAMS, "other"]) for _ in range(2)]
    first[TEAMS]["n"] = 2
    await storage.write({TEAMS: first[TEAMS]})
    first[TEAMS]["n"] = 3
    await storage.write({TEAMS: first[TEAMS]})  # it has its new e_tag
    second[TEAMS]["n"] = second["other"]["n"] = 9
    with pytest.raises(Stale):
        await storage.write(second)
    found = await storage.read([TEAMS, "other", "none"])
    assert {key: item["n"] for key, item in found.items()} == {TEAMS: 3, "other": 9}
    await storage.write({TEAMS: {"n": 4}})
    await storage.write({TEAMS: {"n": 5, "e_tag": "*"}})
    for tag in ("1", "from elsewhere", found[TEAMS]["e_tag"]):
        with pytest.raises(Stale):
            await storage.write({TEAMS: {"n": 6, "e_tag": tag}})
    with pytest.raises(ValueError, match="empty"):
        await storage.write({TEAMS: {"n": 6, "e_tag": ""}})
    assert (await storage.read([TEAMS]))[TEAMS]["n"] == 5


@stored
async def test_a_removed_item_is_not_written_again(storage: Any) -> None:
    for key in ("a", "b"):
        await storage.write({key: {"n": 1}})
        item = (await storage.read([key]))[key]
        await storage.delete([key, "none"])
        if key == "b":
            await storage.awaiting().delete(storage.device(key))
        with pytest.raises(Stale):
            await storage.write({key: item})
        assert await storage.read([key]) == {}
        await storage.write({key: {"n": 2}})


@stored
async def test_objects_come_back_as_they_were(storage: Any) -> None:
    item = StoreItem(n=1, deep={"x": [None, {"é\n": 1.5}]}, e_tag="*")
    nested = {"activity": MessageFactory.text("hi"), "list": [item]}
    await storage.write({"object": item, "dict": nested})
    found = await storage.read(["object", "dict"])
    assert isinstance(found["object"], StoreItem)
    assert (found["object"].n, found["object"].deep) == (1, item.deep)
    assert found["object"].e_tag.isdigit()
    assert found["dict"]["activity"].text == "hi"
    assert item.e_tag == "*"
    found["object"].n = 2
    await storage.write({"object": found["object"]})
    assert (await storage.read(["object"]))["object"].n == 2


@stored
async def test_calls_take_one_trip(storage: Any) -> None:
    items = {"a": {"n": 1}, TEAMS: {"n": 2}}
    await storage.write(items)
    for call in (
        lambda: storage.write(items), lambda: storage.read([*items, "none"]),
    ):  # fmt: skip
        with counted() as trips:
            await call()
        assert trips.count == 1


def test_twenty_writers_with_e_tags_lose_nothing_while_workers_are_killed(fleet: Fleet) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            storage = LatchkeyStorage(client)
            await storage.write({TEAMS: {"writers": []}})
            with killing(fleet, client.options, 60) as progress:

                async def write(writer: int) -> None:
                    for n in range(3):
                        while True:
                            item = (await storage.read([TEAMS]))[TEAMS]
                            item["writers"].append(f"{writer}-{n}")
                            try:
                                await storage.write({TEAMS: item})
                                break
                            except Stale:
                                continue
                        progress.step()

                await asyncio.gather(*(write(n) for n in range(20)))
            writers = (await storage.read([TEAMS]))[TEAMS]["writers"]
            assert sorted(writers) == sorted(f"{w}-{n}" for w in range(20) for n in range(3))

    run(main)


def test_twenty_turns_interleave_nothing_while_workers_are_killed(fleet: Fleet) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            storage = LatchkeyStorage(client)
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    state, user = ConversationState(storage), UserState(storage)
                    said = state.create_property("said")

                    async def bot(context: TurnContext) -> None:
                        key = state.get_storage_key(context)
                        async with storage.aturn(key, wait=60):
                            texts = await said.get(context, list)
                            texts.append(context.activity.text)
                            await state.save_changes(context)
                            texts.append(f"answer to {context.activity.text}")
                            await state.save_changes(context)
                        await user.create_property("seen").get(context, dict)
                        await user.save_changes(context)

                    await TestAdapter(bot).send(f"q{n}")
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            (key,) = [
                one["device"].split(":", 1)[1]
                for one in (await client.list(ALL))["sessions"]
                if "conversations" in one["device"]
            ]
            assert_turns((await storage.read([key]))[key]["said"], 20)

    run(main)


def test_a_run_that_lost_its_turn_writes_nothing(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            storage = LatchkeyStorage(client, name=str(uuid.uuid4()))
            with pytest.raises(Stale):
                async with storage.aturn("c"):
                    await storage.write({"c": {"n": 1}})
                    await client.turn(storage.device("c"), policy="interrupt")
                    await storage.write({"c": {"n": 2}})
            assert (await storage.read(["c"]))["c"]["n"] == 1

    run(main)


def test_the_page_of_the_manual(latchkey_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)

    async def main() -> None:
        names = page("frameworks/bot-framework.md")
        flow = await TestAdapter(names["on_turn"]).send("hi")
        flow = await flow.assert_reply("1 messages so far")
        flow = await flow.send("ho")
        await flow.assert_reply("2 messages so far")
        await names["storage"].aclose()

    run(main)
