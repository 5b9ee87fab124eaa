"""Locks as context managers: renewed, lost, released, and never in the way of the block."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest
from conftest import Scripted, eventually

import latchkey
from latchkey import AsyncClient, Client, LockLost
from latchkey.lease import Lease, Moment
from latchkey.testing import Worker

GRANT = 'OK {"agent":"a","token":7,"ttl_ms":%d,"acquired_at":1,"renewed":false}'


def test_a_lock_is_renewed_in_its_block_and_released_at_the_end(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.lock(device, "a", ttl=0.3) as lock:
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 0.7)
        assert not lock.lost
        holder = latchkey_client.holder(device)
        assert holder is not None
        assert holder["agent"] == "a"
    assert latchkey_client.holder(device) is None
    assert not lock.lost  # it was released


def test_functions_wait_for_a_lock_in_their_order(latchkey_client: Client, device: str) -> None:
    order: list[int] = []

    def work(n: int) -> None:
        with latchkey_client.lock(device, "a", fresh=True, wait=30, ttl=1) as lock:
            assert lock.ttl_s > 0.5
            order.append(n)

    def waiting() -> int:
        holder = latchkey_client.holder(device)
        return -1 if holder is None else holder["waiting"]

    with latchkey_client.lock(device, "a", ttl=5):
        threads = []
        for n in range(3):
            threads.append(threading.Thread(target=work, args=(n,)))
            threads[-1].start()
            eventually(lambda: waiting() == len(threads))
        with pytest.raises(latchkey.Held):
            latchkey_client.lock(device, "a", fresh=True, wait=0.05)
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 0.3)
    for thread in threads:
        thread.join(30)
    assert order == [0, 1, 2]


def test_a_coroutine_waits_for_a_lock(latchkey_worker: Worker, device: str) -> None:
    async def work() -> tuple[int, int]:
        async with AsyncClient(latchkey_worker.to) as client:
            first = await client.lock(device, "a", ttl=0.4)
            async with client.lock(device, "b", ttl=1, wait=10) as lock:
                assert lock.ttl_s > 0.5
                return first.token, lock.token

    first, second = asyncio.run(work())
    assert second > first


@pytest.mark.parametrize("is_async", [False, True])
def test_a_lock_that_cannot_be_renewed_after_a_wait_is_released(
    scripted: Callable[..., Scripted], is_async: bool
) -> None:
    def acquire(to: str) -> None:
        async def work() -> None:
            async with AsyncClient(to) as client:
                await client.lock("d", "a", wait=1, req="r 1")

        if is_async:
            return asyncio.run(work())
        with Client(to) as client:
            client.lock("d", "a", wait=1, req="r 1")
        return None

    refused = "ERR forbidden no"
    for unlocked in ('OK {"held_ms":1}', "NONE"):
        worker = scripted(GRANT % 1, refused, unlocked)
        with pytest.raises(latchkey.Forbidden):
            acquire(worker.to)
        assert [line.split()[0] for line in worker.lines] == ["LOCK", "RENEW", "UNLOCK"]
    worker = scripted(GRANT % 1, refused, refused)
    with pytest.raises(latchkey.UnknownOutcome, match="may be held") as caught:
        acquire(worker.to)
    assert caught.value.req == "r 1"
    worker = scripted(GRANT % 1, "NONE")
    with pytest.raises(LockLost):
        acquire(worker.to)


def test_a_lock_without_a_block_is_not_renewed(latchkey_client: Client, device: str) -> None:
    lock = latchkey_client.lock(device, "a", ttl=0.1)
    assert not lock.lost
    eventually(lambda: lock.lost)
    with pytest.raises(LockLost):
        lock.check()
    with pytest.raises(LockLost):
        lock.release()


def test_a_lock_can_outlive_its_block(latchkey_client: Client, device: str) -> None:
    with latchkey_client.lock(device, "a", ttl=30, release=False) as lock:
        pass
    holder = latchkey_client.holder(device)
    assert holder is not None
    lock.renew(ttl=60)
    assert 30 < lock.ttl_s <= 60
    lock.release()
    assert latchkey_client.holder(device) is None


def test_a_block_learns_that_its_lock_was_seized(latchkey_client: Client, device: str) -> None:
    with pytest.raises(LockLost) as lost:  # noqa: SIM117
        with latchkey_client.lock(device, "a", ttl=0.3) as lock:
            latchkey_client.seize(device, "b", ttl=60)
            eventually(lambda: lock.lost)
    assert isinstance(lost.value.__cause__, latchkey.Held)
    assert "'b'" in str(lost.value)
    holder = latchkey_client.holder(device)
    assert holder is not None
    assert holder["agent"] == "b"


def test_a_seizure_by_the_same_agent_is_noticed_too(latchkey_client: Client, device: str) -> None:
    with pytest.raises(LockLost) as lost, latchkey_client.lock(device, "a", ttl=60):
        latchkey_client.seize(device, "a", ttl=60)
    assert isinstance(lost.value.__cause__, latchkey.Stale)
    assert latchkey_client.holder(device) is not None


def test_the_exception_of_the_block_is_the_one_that_is_raised(
    latchkey_client: Client, device: str
) -> None:
    with pytest.raises(ZeroDivisionError) as raised:  # noqa: SIM117
        with latchkey_client.lock(device, "a", ttl=60):
            latchkey_client.clear(device)
            raise ZeroDivisionError("the block's own")
    assert str(raised.value) == "the block's own"
    notes = getattr(raised.value, "__notes__", ["LockLost"])
    assert "LockLost" in notes[0]
    with pytest.raises(ZeroDivisionError), latchkey_client.lock(device, "a", ttl=60):
        raise ZeroDivisionError
    assert latchkey_client.holder(device) is None  # released all the same


def test_a_lock_that_was_handed_on_is_not_released(latchkey_client: Client, device: str) -> None:
    with latchkey_client.lock(device, "a", ttl=60) as lock:
        grant = lock.handoff("b", {"n": 1})
        assert grant["agent"] == "b"
        assert not lock.lost
    holder = latchkey_client.holder(device)
    assert holder is not None
    assert holder["agent"] == "b"


def test_a_failed_renewal_is_tried_again_until_the_ttl_ends(
    scripted: Callable[..., Scripted],
) -> None:
    down = "ERR unavailable Redis cannot be reached"
    renewed = GRANT % 60_000
    worker = scripted(GRANT % 600, down, None, renewed, 'OK {"held_ms":1}')
    with Client(worker.to) as client, client.lock("d", "a", ttl=0.6) as lock:
        eventually(lambda: lock.ttl_s > 1)
        assert not lock.lost
    verbs = [line.split()[0] for line in worker.lines]
    assert verbs == ["LOCK", "RENEW", "RENEW", "RENEW", "UNLOCK"]
    assert "token=7" in worker.lines[-1]


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_renewal_is_tried_again_when_there_is_no_secret_for_it(
    kind: str, scripted: Callable[..., Scripted]
) -> None:
    # A thread renews over a connection of its own; for coroutines the first renewal loses theirs.
    replies = [None, GRANT % 60_000] if kind == "async" else [GRANT % 60_000]
    worker = scripted(GRANT % 600, *replies, 'OK {"held_ms":1}', auth=["OK {}"] * 9)
    calls = 0

    def secret() -> str:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise ValueError("the identity provider is down")
        return "secret"

    async def block() -> None:
        async with AsyncClient(worker.to, secret=secret) as client, client.lock("d", "a") as lock:
            while lock.ttl_s < 1:
                assert not lock.lost
                await asyncio.sleep(0.005)

    if kind == "async":
        asyncio.run(asyncio.wait_for(block(), 60))
    else:
        with Client(worker.to, secret=secret) as client, client.lock("d", "a") as lock:
            eventually(lambda: lock.ttl_s > 1)
    assert calls >= 4
    assert worker.lines[-1].startswith("UNLOCK")


def test_a_worker_that_answers_no_renewal_ends_the_lock_in_time(
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted(GRANT % 300, *[...] * 20)
    began = time.monotonic()
    with pytest.raises(LockLost), Client(worker.to, reply_timeout=0.1) as client:  # noqa: SIM117
        with client.lock("d", "a", ttl=0.3) as lock:
            eventually(lambda: lock.lost)
            assert 0.25 < time.monotonic() - began < 1.5
    assert "UNLOCK" not in [line.split()[0] for line in worker.lines]


def test_the_end_of_a_block_does_not_wait_for_a_renewal(
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted(GRANT % 3000, ..., 'OK {"held_ms":1}')
    with Client(worker.to, reply_timeout=5) as client, client.lock("d", "a"):
        eventually(lambda: len(worker.lines) == 2)  # a renewal is under way
        ended = time.monotonic()
    assert time.monotonic() - ended < 1
    assert [line.split()[0] for line in worker.lines] == ["LOCK", "RENEW", "UNLOCK"]


def test_a_forked_child_neither_renews_nor_releases(latchkey_client: Client, device: str) -> None:
    with latchkey_client.lock(device, "a", ttl=60) as lock:
        child = os.fork()
        if child == 0:
            try:
                lock.__exit__(None, None, None)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert latchkey_client.holder(device) is not None
    assert latchkey_client.holder(device) is None


def test_locks_of_many_threads(latchkey_worker: Worker, device: str) -> None:
    failures: list[BaseException] = []
    inside = threading.Lock()
    with latchkey_worker.client() as client:

        def work(name: str) -> None:
            try:
                entered = 0
                while entered < 5:
                    try:
                        with client.lock(device, name, ttl=5):
                            assert inside.acquire(blocking=False), "two at once"
                            inside.release()
                            entered += 1
                    except latchkey.Held:
                        client.rest(0.001)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"agent-{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []


def run(coroutine: object) -> None:
    asyncio.run(coroutine)  # type: ignore[arg-type]


def test_the_same_for_coroutines(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            async with client.lock(device, "a", ttl=0.3) as lock:
                await asyncio.sleep(0.5)
                assert not lock.lost
            assert await client.holder(device) is None
            with pytest.raises(LockLost):
                async with client.lock(device, "a", ttl=0.3) as lock:
                    await client.seize(device, "b", ttl=60)
                    while not lock.lost:
                        await asyncio.sleep(0.005)
            await client.clear(device)
            with pytest.raises(ZeroDivisionError):
                async with client.lock(device, "a"):
                    await client.clear(device)
                    raise ZeroDivisionError
            async with client.lock(device, "a", release=False):
                pass
            lock = await client.lock(device, "a")
            assert lock.is_renewed
            await lock.renew(ttl=60)
            await lock.handoff("b")
            holder = await client.holder(device)
            assert holder is not None
            assert holder["agent"] == "b"
            with pytest.raises(latchkey.Held):
                await client.lock(device, "a")
            await client.clear(device)
            lock = await client.lock(device, "a", ttl="1h")
            await lock.release()
            assert await client.holder(device) is None

    run(main())


def test_a_cancelled_block_releases_its_lock(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            entered = asyncio.Event()

            async def work() -> None:
                async with client.lock(device, "a", ttl=60):
                    entered.set()
                    await asyncio.sleep(60)

            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.holder(device) is None

    run(main())


def test_a_lease_goes_by_the_longer_of_two_clocks() -> None:
    lease = Lease(3000, Moment(100.0, 5000.0))
    assert lease.left_s(Moment(101.0, 5001.0)) == 2.0
    # The process was frozen, and its monotonic clock with it.
    assert lease.left_s(Moment(100.5, 5002.5)) == 0.5
    assert lease.is_lost(Moment(100.5, 5003.0))
    assert lease.left_s(Moment(101.0, 4000.0)) == 2.0  # the wall clock was set back
    assert lease.next_s(Moment(100.0, 5000.0)) == 1.0
    lease.renewed(6000, Moment(102.0, 5002.0))
    assert lease.left_s(Moment(102.0, 5002.0)) == 6.0


def test_a_renewal_that_says_nothing_of_the_lock_is_repeated_soon() -> None:
    lease = Lease(30_000, Moment(100.0, 100.0))
    lease.failed(latchkey.Unavailable("no worker"))
    assert lease.next_s(Moment(110.0, 110.0)) == 0.1
    assert not lease.is_lost(Moment(110.0, 110.0))
    lease.failed(latchkey.NotFound("none"))
    assert lease.is_lost(Moment(110.0, 110.0))
