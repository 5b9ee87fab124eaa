"""What only coroutines can do wrong: cancellation, several loops, and shared connections."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from conftest import Scripted, eventually

from latchkey import ALL, AsyncClient, LatchkeyError
from latchkey.results import Event
from latchkey.testing import Worker


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_cancelled_request_does_not_shift_the_replies_of_others(
    latchkey_worker: Worker, device: str
) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            await client.open(device, {"n": 0})
            for round_ in range(50):
                asked = [asyncio.create_task(client.info()) for _ in range(5)]
                asked += [asyncio.create_task(client.help()) for _ in range(5)]
                # Their lines are sent in this turn of the loop, or in one of the next.
                for _ in range(round_ % 4):
                    await asyncio.sleep(0)
                for task in asked[::2]:
                    task.cancel()
                record = await client.get(device)
                assert record is not None
                assert record["fields"] == {"n": 0}
                for index, task in enumerate(asked):
                    if index % 2:
                        assert ("protocol" in await task) == (index < 5)
                    elif not task.cancelled():
                        with pytest.raises(asyncio.CancelledError):
                            await task

    run(main)


def test_a_cancelled_request_keeps_the_shared_connection(
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted('OK {"late":1}', 'OK {"version":"x"}')

    async def main() -> None:
        async with AsyncClient(worker.to) as client:
            task = asyncio.create_task(client.info())
            while not worker.lines:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.info() == {"version": "x"}
            assert worker.connections == 1

    run(main)


def test_a_cancelled_wait_closes_its_connection(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(..., "OK")

    async def main() -> None:
        async with AsyncClient(worker.to) as client:
            task = asyncio.create_task(client.events("d", wait=30))
            while not worker.lines:
                await asyncio.sleep(0.001)
            task.cancel()
            while not worker.ended:
                await asyncio.sleep(0.001)
            await client.ping()
            assert worker.connections == 2

    run(main)


def test_requests_that_wait_do_not_delay_others(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            waits = [asyncio.create_task(client.events(device, wait=30)) for _ in range(6)]
            for _ in range(20):
                await client.ping()
            assert not any(task.done() for task in waits)
            await client.lock(device, "a")
            await client.clear(device)  # an event, which all of them wait for
            for page in await asyncio.gather(*waits):
                assert [event["type"] for event in page["events"]] == ["lock.cleared"]
            assert await client.events(device, wait=0.02, after=page["events"][0]["id"])

    run(main)


def test_many_tasks_share_one_connection(worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(worker.to) as client:
            before = (await client.info())["connections"]
            await client.open(device)
            said = await asyncio.gather(*(client.say(device, {"n": n}) for n in range(200)))
            assert sorted(one["seq"] for one in said) == list(range(1, 201))
            assert (await client.info())["connections"] == before

    run(main)


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_the_connections_of_ended_loops_do_not_add_up(worker: Worker, device: str) -> None:
    client = AsyncClient(worker.to)

    async def invocation() -> int:
        await client.events(device, wait=0.01)  # over a connection for requests that wait
        connections: int = (await client.info())["connections"]
        return connections

    for _ in range(12):
        asyncio.run(invocation())
    # Those of the latest loop; the worker may not have seen the end of the one before it.
    eventually(lambda: asyncio.run(invocation()) <= 4)


def test_a_client_serves_several_loops(latchkey_worker: Worker, device: str) -> None:
    client = AsyncClient(latchkey_worker.to)
    failures: list[BaseException] = []

    async def main(n: int) -> None:
        mine = f"{device}-{n}"
        await client.open(mine, {"n": n})
        for _ in range(20):
            record = await client.get(mine)
            assert record is not None
            assert record["fields"] == {"n": n}

    def work(n: int) -> None:
        try:
            asyncio.run(main(n))
        except BaseException as error:
            failures.append(error)

    for n in range(2):  # one after the other: the first loop is closed by then
        work(n)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_a_timed_out_connection_is_not_reused(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(..., 'OK {"version":"x"}')

    async def main() -> None:
        async with AsyncClient(worker.to, reply_timeout=0.5) as client:
            assert await client.info() == {"version": "x"}
            assert worker.connections == 2

    run(main)


def test_a_secret_may_come_from_a_coroutine(scripted: Callable[..., Scripted]) -> None:
    worker = scripted("OK", "OK", "OK", auth=['OK {"name":"n"}'])

    async def secret() -> str:
        await asyncio.sleep(0)
        return "s3cret"

    async def main() -> None:
        async with AsyncClient(worker.to, secret=secret) as client:
            await asyncio.gather(client.ping(), client.ping(), client.ping())

    run(main)
    assert worker.lines == ['AUTH "s3cret"', "PING", "PING", "PING"]


def test_a_rejected_secret_fails_all_tasks_alike(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(auth=["ERR forbidden invalid secret"] * 9)

    async def main() -> None:
        async with AsyncClient(worker.to, secret="wrong") as client:
            asked = [client.ping() for _ in range(3)]
            for error in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(error, LatchkeyError)
                assert error.code == "forbidden"

    run(main)


def test_a_forked_child_runs_a_loop_of_its_own(latchkey_worker: Worker, device: str) -> None:
    client = AsyncClient(latchkey_worker.to)

    async def main() -> None:
        await client.ping()

    async def parent() -> None:
        await client.ping()
        child = os.fork()
        if child == 0:
            try:
                # The parent's loop is marked as running in this thread; a new thread has none.
                thread = threading.Thread(target=lambda: asyncio.run(main()))
                thread.start()
                thread.join(10)
                os._exit(0)
            finally:
                os._exit(1)
        status = eventually(lambda: os.waitpid(child, os.WNOHANG)[0] and (0,))
        assert status
        for _ in range(5):
            await client.ping()
        await client.close()

    run(parent)


def test_closing_the_client_ends_its_iterators(worker: Worker, device: str) -> None:
    async def follow(events: AsyncIterator[Event]) -> None:
        async for event in events:
            assert not event

    async def main() -> None:
        other = AsyncClient(worker.to)
        before = (await other.info())["connections"]
        client = AsyncClient(worker.to)
        groups = client.consume(f"closed {device}", types="session.expiring")
        tasks = [
            asyncio.create_task(follow(client.watch(device))),
            asyncio.create_task(follow(groups)),
        ]
        while (await other.info())["connections"] < before + 2:
            await asyncio.sleep(0.001)
        await client.close()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(error, LatchkeyError)
            assert "closed" in str(error)
        await other.close()

    run(main)


def test_a_closed_client_has_no_connections(worker: Worker) -> None:
    async def main() -> None:
        watcher = AsyncClient(worker.to)
        before = (await watcher.info())["connections"]
        async with AsyncClient(worker.to) as client:
            await client.ping()
            await client.events(ALL, group="closing", wait=0.01)
            assert (await watcher.info())["connections"] > before
        while (await watcher.info())["connections"] > before:
            await asyncio.sleep(0.001)
        await watcher.close()

    run(main)
