"""What the adapters of frameworks share; the frameworks are not needed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import latchkey
from latchkey import AsyncClient, Client, NotFound, Stale, verbs
from latchkey.adapting import (
    Adapter,
    Recent,
    Steps,
    batches,
    bound,
    documents,
    linked,
    messages,
    pack,
    part,
    removed,
    running,
    unpack,
)
from latchkey.testing import Worker


@pytest.fixture
def adapter(latchkey_worker: Worker) -> Any:
    with Client(latchkey_worker.to) as client:
        yield Adapter(client)


def both(adapter: Adapter, steps: Any) -> list[Any]:
    """The results of an operation by each client."""

    async def main() -> Any:
        try:
            return await adapter.arun(steps())
        finally:
            await adapter.awaiting().close()

    return [adapter.run(steps()), asyncio.run(main())]


def test_an_operation_is_the_same_for_both_clients(adapter: Adapter, device: str) -> None:
    def steps() -> Steps[list[Any]]:
        try:
            yield verbs.chats(device)
        except NotFound:
            yield from adapter.changed(device, verbs.say(device, [{"n": 1}, {"n": 2}]))
        found, page = yield [verbs.chats(device), verbs.history(device)]
        return [len(found["chats"]), [one["message"]["n"] for one in page["messages"]]]

    assert both(adapter, steps) == [[1, [1, 2]]] * 2


def test_an_error_that_an_operation_does_not_handle_is_raised(
    adapter: Adapter, device: str
) -> None:
    def steps() -> Steps[None]:
        yield [verbs.ping(), verbs.chats(device), verbs.ping()]

    with pytest.raises(NotFound):
        both(adapter, steps)
    assert adapter.blocking().ping() is None


def test_a_client_that_is_missing_is_made_of_the_other(latchkey_worker: Worker) -> None:
    async def main() -> None:
        adapter = Adapter(async_client=AsyncClient(latchkey_worker.to, timeout=7))
        assert adapter.blocking().options.timeout_s == 7
        await asyncio.to_thread(adapter.blocking().ping)
        await adapter.aclose()
        await adapter.awaiting().ping()  # it was given, so it is not the adapter's to close
        await adapter.awaiting().close()

    asyncio.run(main())


def test_a_session_that_ended_is_recovered_or_made(adapter: Adapter, device: str) -> None:
    client = adapter.blocking()
    said = adapter.run(adapter.changed(device, verbs.say(device, {}), link={"tag": "x"}))
    assert said["seq"] == 1
    record = client.get(device)
    assert record is not None
    assert record["links"] == {"tag": ["x"]}
    assert record["clocks"]["idle_ms"] == record["clocks"]["life_ms"] == 0
    client.set(device, abandon="300ms")
    while (found := client.get(device)) and found["state"] != "abandoned":
        threading.Event().wait(0.005)
    assert adapter.run(adapter.changed(device, verbs.say(device, {})))["seq"] == 2
    adapter.run(removed(device))
    adapter.run(removed(device))
    assert adapter.run(adapter.changed(device, verbs.say(device, {})))["seq"] == 1


def test_changes_in_the_block_of_a_turn_are_under_it(adapter: Adapter, device: str) -> None:
    def write(on: str = device) -> None:
        adapter.run(adapter.changed(on, verbs.say(on, {})))

    with adapter.turn(device) as turn:
        assert running(device) == turn.number
        write()
        with adapter.turn(f"{device} 2") as other:
            assert (running(device), running(f"{device} 2")) == (turn.number, other.number)
        assert running(f"{device} 2") is None
        given = bound(verbs.say(device, {}), device, token=7)
        assert (given.token, given.turn) == (7, None)
        adapter.blocking().turn(device, policy="interrupt").done()
        with pytest.raises(Stale):
            write()
        write(f"{device} 2")
        turn._lease.is_released = True  # it was interrupted, which the block would report
    assert running(device) is None
    write()
    assert len(adapter.run(messages(device))) == 2


def test_tasks_and_threads_of_the_block_are_under_the_turn(
    latchkey_worker: Worker, device: str
) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            adapter = Adapter(async_client=client)

            async def seen() -> int | None:
                await asyncio.sleep(0)
                return running(device)

            outside = asyncio.create_task(seen())
            async with adapter.aturn(device) as turn:
                assert await asyncio.create_task(seen()) == turn.number
                assert await asyncio.to_thread(running, device) == turn.number
            assert await outside is None
            assert running(device) is None

    asyncio.run(main())


def test_pages_are_read_to_their_end(adapter: Adapter, device: str) -> None:
    client = adapter.blocking()
    for at in range(0, 1000, 500):
        said = [{"n": n} for n in range(at, at + 500)]
        adapter.run(adapter.changed(device, verbs.say(device, said)))
    for at in range(0, 1500, 750):
        client.apply(device, {"put": {f"k{n:04}": {"n": n} for n in range(at, at + 750)}})
    found = adapter.run(messages(device))
    assert [one["message"]["n"] for one in found] == [*range(1000)]
    assert [one["message"]["n"] for one in adapter.run(messages(device, last=3))] == [997, 998, 999]
    assert [one["seq"] for one in adapter.run(messages(device, after=998))] == [999, 1000]
    assert adapter.run(messages(device, last=0)) == []
    assert len(adapter.run(documents(device, prefix="k"))) == 1500
    assert adapter.run(documents(f"{device} none")) == []
    ref = part(device)
    for n in range(3):
        client.open(f"{device} {n}", link={"adapting": ref})
    devices = [one["device"] for one in adapter.run(linked("adapting", ref, fields="none"))]
    assert sorted(devices) == [f"{device} {n}" for n in range(3)]


def test_a_session_that_a_turn_made_is_linked_by_the_first_change(
    adapter: Adapter, device: str
) -> None:
    link = {"tag": ["a", "b"]}
    with adapter.blocking().turn(device):
        adapter.run(adapter.first_change(device, verbs.say(device, {}), link))
        adapter.run(adapter.first_change(device, verbs.say(device, {}), link))
    adapter.run(adapter.first_change(f"{device} 2", verbs.say(f"{device} 2", {}), link))
    for on, count in ((device, 2), (f"{device} 2", 1)):
        record = adapter.blocking().get(on)
        assert record is not None
        assert (record["messages"], record["links"]) == (count, link)


def test_names_are_remembered_up_to_a_number() -> None:
    recent = Recent(3)
    for name in "abc":
        recent.add(name)
    assert "a" in recent
    recent.discard("a")
    assert "a" not in recent
    recent.add("d")
    recent.add("e")
    assert "e" in recent
    assert "b" not in recent


def test_what_is_no_parameter_is_refused_at_once(adapter: Adapter) -> None:
    with pytest.raises(TypeError, match="idel"):
        Adapter(idel=5)
    with pytest.raises(TypeError, match="conversation"), adapter.turn():
        pass


KILLED = """
import sys, threading
from latchkey import Client, verbs
from latchkey.adapting import Adapter
adapter = Adapter(Client(sys.argv[1]))
with adapter.turn(sys.argv[2], ttl="300ms"):
    adapter.run(adapter.changed(sys.argv[2], verbs.say(sys.argv[2], [{"by": "killed"}])))
    print("half", flush=True)
    threading.Event().wait()
"""


def test_a_process_that_is_killed_in_its_turn_holds_up_no_other(
    adapter: Adapter, latchkey_worker: Worker, device: str
) -> None:
    source = str(Path(latchkey.__file__).parents[1])
    command = [sys.executable, "-c", KILLED, latchkey_worker.to, device]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": source})
    assert killed.stdout is not None
    with killed, killed.stdout:
        assert killed.stdout.readline() == b"half\n"
        killed.kill()
        with adapter.turn(device, wait=10):
            for part in ("a", "b"):
                adapter.run(adapter.changed(device, verbs.say(device, {"by": part})))
    found = adapter.run(messages(device))
    assert [one["message"]["by"] for one in found] == ["killed", "a", "b"]


def test_a_chat_that_refuses_is_made_once(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            adapter = Adapter(async_client=client)
            await asyncio.gather(
                *(adapter.arun(adapter.chat(device, "log", {"tag": "x"})) for _ in range(5))
            )
            found = await client.chats(device)
            assert [one["name"] for one in found["chats"]] == [None, "log"]
            assert found["current"] == 1
            record = await client.get(device)
            assert record is not None
            assert record["links"] == {"tag": ["x"]}

    asyncio.run(main())


@pytest.mark.parametrize("data", [b"", b"x" * 5000, os.urandom(5000), b"\0\xff"])
def test_bytes_are_packed(data: bytes) -> None:
    packed = pack(data)
    assert unpack(packed) == data
    assert sum(map(len, packed)) <= len(data) * 4 / 3 + 10


def test_batches_fit_a_request() -> None:
    put = {f"{n:04}": "x" * 1000 for n in range(2500)}
    found = [*batches(put)]
    assert {key: value for batch in found for key, value in batch.items()} == put
    assert len(found) > 3
    assert max(map(len, found)) <= 1000
    assert max(sum(map(len, batch.values())) for batch in found) <= 700_000
    assert [*batches({})] == []
