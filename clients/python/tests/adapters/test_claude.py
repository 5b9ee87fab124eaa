"""The session store for the Claude Agent SDK, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from chaos import counted, killing, page, run
from claude_agent_sdk import (
    fold_session_summary,
    get_session_messages_from_store,
    list_sessions_from_store,
)
from claude_agent_sdk.testing import run_session_store_conformance
from conftest import Fleet

from latchkey import AsyncClient, Quota, Stale, UnknownOutcome
from latchkey.claude import LatchkeySessionStore
from latchkey.testing import Worker


def key(**more: Any) -> Any:
    return {"project_key": "/a/ü:b", "session_id": str(uuid.uuid4()), **more}


def entries(*names: Any, **more: Any) -> list[Any]:
    return [{"type": "user", "uuid": f"{name}", **more} for name in names]


def uuids(loaded: list[Any] | None) -> list[str]:
    return [one["uuid"] for one in loaded or []]


def test_the_conformance_suite_passes(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            await run_session_store_conformance(
                lambda: LatchkeySessionStore(client, name=str(uuid.uuid4()))
            )

    run(main)


def test_an_entry_that_comes_again_is_there_once(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client), key()
            await store.append(where, entries("a", "b"))
            await store.append(where, entries("b", "c"))
            other = LatchkeySessionStore(client)
            await other.append(where, [*entries("a"), {"type": "mode"}, {"type": "mode"}])
            assert [one.get("uuid") for one in await store.load(where)] == [
                "a", "b", "c", None, None,
            ]  # fmt: skip

    run(main)


def test_a_failed_call_that_is_repeated_doubles_nothing(latchkey_worker: Worker) -> None:
    """Entries without `uuid`, whose first call ended without a known outcome."""

    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client), key()
            await store.append(where, entries("a"))
            ask, is_lost = client.ask, True

            async def lossy(request: Any) -> Any:
                nonlocal is_lost
                result = await ask(request)
                if is_lost and request.verb == "SAY":
                    is_lost = False
                    raise UnknownOutcome("lost", "", {"req": request.req})
                return result

            client.ask = lossy  # type: ignore[method-assign]
            titles = [{"type": "title", "title": "x"}]
            with pytest.raises(UnknownOutcome):
                await store.append(where, titles)
            await store.append(where, titles)
            assert len(await store.load(where)) == 2
            await store.append(where, titles)  # another one
            assert len(await store.load(where)) == 3

    run(main)


def test_calls_take_one_trip(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client), key()
            sub = {**where, "subpath": "subagents/agent-1"}
            for at in (where, sub):
                await store.append(at, entries("a"))
                with counted() as trips:
                    await store.append(at, entries("b", "c"))
                assert trips.count == 1
                with counted() as trips:
                    assert uuids(await store.load(at)) == ["a", "b", "c"]
                assert trips.count == 1
            await store.list_session_summaries(where["project_key"])

    run(main)


def test_many_sub_agents_have_room(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client), key()
            await store.append(where, entries("a"))
            names = [f"subagents/agent-{n}/ü" for n in range(60)]
            await asyncio.gather(
                *(store.append({**where, "subpath": name}, entries("s")) for name in names)
            )
            assert await store.list_subkeys(where) == sorted(names)
            await store.delete(where)
            assert await store.list_subkeys(where) == []
            assert await store.load({**where, "subpath": names[0]}) is None

    run(main)


def test_a_long_transcript_has_several_chats(tmp_path: Any) -> None:
    """Two processes append to it by turns; the chats are full before there are others."""

    async def main(to: str) -> None:
        async with AsyncClient(to) as client:
            stores, where = [LatchkeySessionStore(client, name="n") for _ in range(2)], key()
            names = [f"{n}-{i}" for n in range(12) for i in range(n % 4 + 1)]
            for n in range(12):
                batch = entries(
                    *(name for name in names if name.startswith(f"{n}-")),
                    customTitle=f"{n}",
                    timestamp="2026-01-01T00:00:00Z",
                )
                await stores[n % 2].append(where, batch)
                await stores[n % 3 % 2].append(where, batch)  # as the framework repeats it
                if n % 4 == 0:
                    await stores[0].list_session_summaries(where["project_key"])
            assert len(names) == 30
            found = await stores[0].load(where)
            assert uuids(found) == names
            (summary,) = await stores[1].list_session_summaries(where["project_key"])
            assert summary["data"] == fold_session_summary(None, where, found)["data"]
            chats = (await client.chats(stores[0].device(where)))["chats"]
            assert [one["messages"] for one in chats] == [0, 10, 10, 10]
            other = LatchkeySessionStore(client, name="n")
            with pytest.raises(Quota, match="chats"):
                await other.append(where, entries("x", "y"))
            assert uuids(await other.load(where)) == names

            # Twenty writers at once, each of whom meets full chats.
            where = key()

            async def write(writer: int) -> None:
                store = LatchkeySessionStore(client, name="n")
                await store.append(where, entries(f"{writer}-0"))

            await asyncio.gather(*(write(n) for n in range(20)))
            assert sorted(uuids(await other.load(where))) == sorted(f"{n}-0" for n in range(20))

    with Worker(tmp_path, options=["--max-messages", "10", "--max-chats", "4"]) as worker:
        run(lambda: main(worker.to))


def test_summaries_are_those_of_all_entries(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store = LatchkeySessionStore(client, name=str(uuid.uuid4()))
            where = key(project_key="p")
            said: list[Any] = []

            async def write(n: int) -> None:
                batch = entries(f"{n}", customTitle=f"title {n}", timestamp="2026-01-01T00:00:00Z")
                await store.append(where, batch)
                await store.list_session_summaries("p")

            await asyncio.gather(*(write(n) for n in range(20)))
            said = await store.load(where)
            (summary,) = await store.list_session_summaries("p")
            (listed,) = await store.list_sessions("p")
            assert summary["data"] == fold_session_summary(None, where, said)["data"]
            assert summary["mtime"] == listed["mtime"]
            with counted() as trips:
                assert await store.list_session_summaries("p") == [summary]
            assert trips.count == 1

    run(main)


def test_the_framework_reads_what_it_wrote(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client, name=str(uuid.uuid4())), key()
            parent = None
            batch = []
            for n in range(4):
                role = "user" if n % 2 == 0 else "assistant"
                message = {"role": role, "content": f"text {n}"}
                batch.append(
                    {
                        "type": role,
                        "uuid": str(uuid.UUID(int=n)),
                        "parentUuid": parent,
                        "sessionId": where["session_id"],
                        "timestamp": "2026-01-01T00:00:00.000Z",
                        "message": message,
                    }
                )
                parent = batch[-1]["uuid"]
            # The framework derives a project's key from the folder.
            from claude_agent_sdk import project_key_for_directory

            where["project_key"] = project_key_for_directory("/tmp")
            await store.append(where, batch)
            found = await get_session_messages_from_store(
                store, where["session_id"], directory="/tmp"
            )
            assert [one.message["content"] for one in found] == [f"text {n}" for n in range(4)]
            (listed,) = await list_sessions_from_store(store, directory="/tmp")
            assert listed.session_id == where["session_id"]

    run(main)


def test_twenty_writers_lose_and_double_nothing_while_workers_are_killed(fleet: Fleet) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            stores, where = [LatchkeySessionStore(client) for _ in range(4)], key()
            with killing(fleet, client.options, 200) as progress:

                async def write(writer: int) -> None:
                    for n in range(10):
                        batch = entries(*(f"{writer}-{n}-{i}" for i in range(3)))
                        await stores[writer % 4].append(where, batch)
                        progress.step()

                await asyncio.gather(*(write(n) for n in range(20)))
            found = uuids(await stores[0].load(where))
            assert len(found) == len({*found}) == 600
            for at in range(0, 600, 3):
                name = found[at].rsplit("-", 1)[0]
                assert found[at : at + 3] == [f"{name}-{i}" for i in range(3)]
            for writer in range(20):  # each one's batches are in its order
                own = [int(one.split("-")[1]) for one in found if one.startswith(f"{writer}-")]
                assert own == sorted(own)

    run(main)


def test_twenty_turns_do_not_interleave(fleet: Fleet) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            store, where = LatchkeySessionStore(client), key()
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    async with store.aturn(where, wait=60):
                        before = await store.load(where) or []
                        for part in range(3):
                            await store.append(where, entries(f"{n}-{part}", seen=len(before)))
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            found = await store.load(where)
            assert [one["seen"] for one in found] == [at // 3 * 3 for at in range(60)]
            assert len({*uuids(found)}) == 60
            (listed,) = await store.list_sessions(where["project_key"])
            assert listed["session_id"] == where["session_id"]

    run(main)


def test_a_run_that_lost_its_turn_writes_nothing(latchkey_worker: Worker) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            store, where = LatchkeySessionStore(client), key()
            sub = {**where, "subpath": "subagents/a"}
            with pytest.raises(Stale):
                async with store.aturn(where):
                    await store.append(where, entries("a"))
                    await store.append(sub, entries("a"))
                    await client.turn(store.device(where), policy="interrupt")
                    with pytest.raises(Stale):
                        await store.append(sub, entries("b"))
                    await store.append(where, entries("b"))
            assert uuids(await store.load(where)) == uuids(await store.load(sub)) == ["a"]

    run(main)


def test_the_page_of_the_manual(latchkey_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)

    async def main() -> None:
        names = page("frameworks/claude-agent-sdk.md")
        seen: list[Any] = []

        async def query(*, prompt: str, options: Any) -> Any:
            """Stands for the framework's, which starts a program."""
            where = {"project_key": "p", "session_id": options.resume or "s"}
            await options.session_store.append(where, entries(prompt))
            seen.append(await options.session_store.load(where))
            yield prompt

        names["query"] = query
        session = str(uuid.uuid4())
        await names["handler"]({"session": session, "text": "hi"})
        await names["handler"]({"session": session, "text": "ho"})
        assert uuids(seen[-1]) == ["hi", "ho"]
        await names["store"].aclose()

    run(main)
