"""The session for the OpenAI Agents SDK, with the real framework and a real worker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, Runner, SessionSettings, set_tracing_disabled
from agents.memory import Session
from agents.memory.openai_responses_compaction_session import OpenAIResponsesCompactionSession
from agents.testing import ScriptedModel
from chaos import assert_turns, counted, killing, page, run
from conftest import Fleet
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from latchkey import AsyncClient, Client, IllegalState, Stale
from latchkey.openai import LatchkeySession
from latchkey.testing import Worker

set_tracing_disabled(True)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"user/{request.node.name} ü"


def said(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(
        id="1", content=[content], role="assistant", status="completed", type="message"
    )


def batch(writer: int, size: int = 3) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"{writer}/{n}"} for n in range(size)]


def assert_whole_batches(items: list[Any], size: int = 3) -> set[str]:
    """Each batch is there once, and its items stand together; returns the writers."""
    writers = []
    for index in range(0, len(items), size):
        (writer,) = {item["content"].split("/")[0] for item in items[index : index + size]}
        assert [item["content"] for item in items[index : index + size]] == [
            f"{writer}/{n}" for n in range(size)
        ]
        writers.append(writer)
    assert len(set(writers)) == len(writers)
    return set(writers)


def test_two_runs_are_one_conversation(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            assert isinstance(session, Session)
            model = ScriptedModel()
            agent = Agent(name="test", model=model)
            for question, answer in (("Who are you?", "An agent."), ("Still?", "Still.")):
                model.enqueue([said(answer)])
                result = await Runner.run(agent, question, session=session)
                assert result.final_output == answer
            contents = [item["content"] for item in await session.get_items()]
            assert contents[0] == "Who are you?"
            assert contents[1][0]["text"] == "An agent."
            assert len(contents) == 4
            assert len(model.last_call.input) == 3  # the second run got the first one's items

    run(main)


def test_a_run_in_another_thread_has_its_own_loop(latchkey_worker: Worker, name: str) -> None:
    session = LatchkeySession(name, AsyncClient(latchkey_worker.to))
    model = ScriptedModel()

    def work() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        model.enqueue([said("yes")])
        Runner.run_sync(Agent(name="test", model=model), "again?", session=session)

    async def main() -> None:
        await session.add_items(batch(0))
        await asyncio.to_thread(work)
        assert len(await session.get_items()) == 5

    run(main)


def test_items_limits_and_removal(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client, session_settings={"limit": 2})
            assert await session.get_items() == []
            assert await session.pop_item() is None
            await session.clear_session()
            await session.add_items([])
            odd = {"role": "user", "content": "é🙂\ud800\n", "n": 1.5, "list": [None, {}]}
            await session.add_items([*batch(0), odd])
            assert await session.get_items() == [batch(0)[2], odd]
            assert await session.get_items(1) == [odd]
            assert await session.get_items(0) == []
            assert len(await session.get_items(5000)) == 4
            other = LatchkeySession(name, client, session_settings=SessionSettings(limit=1))
            assert await other.get_items() == [odd]
            assert await session.pop_item() == odd
            await session.clear_session()
            assert await session.get_items(9) == []
            assert await session.pop_item() is None
            await session.close()
            for call in (session.get_items(), session.add_items([]), session.pop_item()):
                with pytest.raises(RuntimeError, match="closed"):
                    await call
            await client.ping()  # it is not the session's to close

    run(main)


def test_many_items_are_read_in_pages(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            padding = "x" * 9000
            for n in range(0, 1000, 100):
                items = [{"role": "user", "content": padding, "n": n + i} for i in range(100)]
                await session.add_items(items)
            assert [item["n"] for item in await session.get_items()] == list(range(1000))

    run(main)


def test_calls_take_one_trip(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            await session.add_items(batch(0))
            for call in (
                session.add_items(batch(1)), session.get_items(), session.get_items(2),
                session.pop_item(), session._atomic_replace_items(batch(2)),
                session.clear_session(),
            ):  # fmt: skip
                with counted() as trips:
                    await call
                assert trips.count == 1

    run(main)


def test_a_compaction_is_one_step(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)

            async def read() -> None:
                while len(items := await session.get_items()) != 2:
                    assert items in ([], batch(0, 9))

            reading = asyncio.create_task(read())
            await session.add_items(batch(0, 9))
            compacting = OpenAIResponsesCompactionSession(name, session)
            await compacting._replace_underlying_session_items(
                output_items=batch(1, 2), previous_items=batch(0, 9)
            )
            await reading
            assert await session.get_items() == batch(1, 2)

    run(main)


def test_the_newest_items_are_replaced_unless_some_were_added(
    latchkey_worker: Worker, name: str
) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            empty = await session._get_compaction_snapshot(5)
            assert (empty.items, empty.complete) == ([], True)
            assert not await empty.replace_suffix(0, batch(9))
            await session.add_items(batch(0, 6))
            part = await session._get_compaction_snapshot(4)
            whole = await session._get_compaction_snapshot(6)
            assert (part.items, part.complete) == (batch(0, 6)[2:], False)
            assert (whole.items, whole.complete) == (batch(0, 6), True)
            assert await part.replace_suffix(2, batch(1, 1))
            assert await session.get_items() == [*batch(0, 4), *batch(1, 1)]
            assert not await whole.replace_suffix(0, batch(9))
            later = await session._get_compaction_snapshot(
                2, prune_prefix=lambda item: item in batch(0, 2)
            )
            assert await later.replace_suffix(1, batch(2, 1))
            assert await session.get_items() == [*batch(0, 4)[2:], *batch(2, 1)]
            await session.add_items(batch(3))
            assert not await later.replace_suffix(0, batch(9))

    run(main)


def test_twenty_turns_interleave_nothing_while_workers_are_killed(fleet: Fleet, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            with killing(fleet, client.options, 20) as progress:

                async def turn(n: int) -> None:
                    session, model = LatchkeySession(name, client), ScriptedModel()
                    model.enqueue([said(f"answer to q{n}")])
                    async with session.aturn(wait=60):
                        await Runner.run(Agent(name="test", model=model), f"q{n}", session=session)
                    progress.step()

                await asyncio.gather(*(turn(n) for n in range(20)))
            items = await LatchkeySession(name, client).get_items()
            assert_turns(
                [
                    one["content"] if isinstance(one["content"], str) else one["content"][0]["text"]
                    for one in items
                ],
                20,
            )

    run(main)


def test_a_run_that_lost_its_turn_writes_nothing(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            with pytest.raises(Stale):
                async with session.aturn():
                    await session.add_items(batch(0))
                    await client.turn(name, policy="interrupt")
                    await session.add_items(batch(1))
            assert await session.get_items() == batch(0)

    run(main)


def test_twenty_writers_lose_and_mix_nothing(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        clients = [AsyncClient(latchkey_worker.to) for _ in range(5)]
        sessions = [LatchkeySession(name, clients[n % 5]) for n in range(20)]
        # The first of them make the session, all at once.
        await asyncio.gather(*(s.add_items(batch(n)) for n, s in enumerate(sessions)))
        writers = assert_whole_batches(await sessions[0].get_items())
        assert len(writers) == 20
        assert len((await clients[0].list(name))["sessions"]) == 1
        for client in clients:
            await client.close()

    run(main)


def test_killed_workers_lose_and_double_nothing(fleet: Fleet, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=20) as client:
            session = LatchkeySession(name, client)
            done = 0

            async def write(writer: int) -> None:
                nonlocal done
                for n in range(10):
                    await session.add_items(batch(writer * 100 + n))
                    done += 1

            async def attack() -> None:
                while done < 180:
                    serving = next(
                        w for w in fleet.workers if w.to == str(client.options.endpoints.current)
                    )
                    before = done
                    await asyncio.to_thread(serving.kill)
                    await asyncio.to_thread(serving.restart)
                    while done < min(before + 20, 200):
                        await asyncio.sleep(0.001)

            await asyncio.gather(*(write(n) for n in range(20)), attack())
            assert len(assert_whole_batches(await session.get_items())) == 200

    run(main)


def test_a_cancelled_write_is_there_as_a_whole_when_the_cancellation_is_raised(
    latchkey_worker: Worker, name: str
) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client)
            for n in range(20):
                task = asyncio.create_task(session.add_items(batch(n)))
                for _ in range(n % 4):
                    await asyncio.sleep(0)
                task.cancel()
                task.cancel()
                await asyncio.wait((task,))
                count = len(await session.get_items())
                await client.ping()
                assert len(await session.get_items()) == count
            assert_whole_batches(await session.get_items())

    run(main)


def test_an_abandoned_conversation_is_recovered(
    latchkey_worker: Worker, latchkey_client: Client, name: str
) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            session = LatchkeySession(name, client, user="ada", abandon=0.05)
            await session.add_items(batch(0))
            while (record := await client.get(name)) and record["state"] == "active":
                await asyncio.sleep(0.005)
            with pytest.raises(IllegalState):
                await client.touch(name)
            await session.add_items(batch(1))
            assert len(await session.get_items()) == 6
            assert record is not None
            assert record["links"] == {"user": ["ada"]}

    run(main)


def test_a_lost_lock_keeps_the_conversation(latchkey_worker: Worker, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            lock = await client.lock(name, "a")
            session = LatchkeySession(name, client, token=lock.token)
            await session.add_items(batch(0))
            await client.seize(name, "b")
            for change in (
                session.add_items(batch(1)),
                session.pop_item(),
                session.clear_session(),
            ):
                with pytest.raises(Stale):
                    await change
            assert len(await session.get_items()) == 3

    run(main)


def test_a_session_may_have_a_client_of_its_own(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)

    async def main() -> None:
        session = LatchkeySession(name)
        await session.add_items(batch(0))
        assert len(await session.get_items()) == 3
        await session.close()

    run(main)


def test_the_page_of_the_manual(
    latchkey_worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    names = page("frameworks/openai-agents.md")

    async def main() -> None:
        model = ScriptedModel()
        for function in ("handler", "with_a_lock"):
            model.enqueue([said(function)])
            event = {"device": name, "model": model, "text": "?"}
            assert await names[function](event) == function
        assert len(await LatchkeySession(name, names["client"]).get_items()) == 4
        assert (await names["client"].holder(name))["agent"] == "scheduling"
        await names["client"].close()

    run(main)
