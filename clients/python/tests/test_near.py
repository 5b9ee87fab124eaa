"""The near cache: what it answers from memory, and that it is never stale beyond its bounds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Driver, Fleet, Partition, Redis, Scripted, eventually

import latchkey
from latchkey import Address, Client, verbs
from latchkey.cached import DEVICES_MAX, Cached
from latchkey.lease import Moment
from latchkey.reply import Reply
from latchkey.request import Request
from latchkey.testing import Worker

ACTIVITY = ("active_at", "updated_at", "idle_at", "abandon_at", "life_at", "keep_until")
"""Times that TOUCH moves, which is no change."""


def near(client: Driver, **options: Any) -> Driver:
    return Driver(client.subject.near(**options), client._loop)


def shown(client: Any, device: str) -> dict[str, Any]:
    """What GET and HISTORY show."""
    record = client.get(device)
    if record is not None:
        record = {name: value for name, value in record.items() if name not in ACTIVITY}
    try:
        history = client.history(device)
    except latchkey.NotFound:
        history = None
    return {"record": record, "history": history}


def test_what_has_not_changed_is_answered_from_memory(client: Driver, device: str) -> None:
    client.open(device)
    client.say(device, {"n": 1})
    cache = near(client, fresh=30)
    before = shown(client, device)
    for _ in range(3):
        assert shown(cache, device) == before
    assert (cache.subject.hits, cache.subject.misses) == (4, 2)
    # A result is the caller's own.
    cache.get(device)["fields"]["mine"] = True
    cache.history(device)["messages"].clear()
    assert shown(cache, device) == before
    # Another option is another request.
    assert cache.history(device, last=0)["messages"] == []
    assert cache.subject.misses == 3
    assert cache.get("none of that name " + device) is None
    cache.close()
    hits = cache.subject.hits
    assert shown(cache, device) == before
    assert cache.subject.hits == hits


def is_shown(client: Any, device: str, expected: dict[str, Any]) -> bool:
    return shown(client, device) == expected


def changes(client: Client, device: str) -> list[Callable[[], Any]]:
    """One change after the other, of each kind that GET or HISTORY shows."""
    where = Address(device, "current")
    turn: list[Any] = []
    return [
        lambda: client.set(device, {"lang": "de"}, phase="intake", name="n"),
        lambda: client.say(device, [{"n": 1}, {"n": 2}, {"n": 3}]),
        lambda: client.amend(device, {"n": 9}, seq=2),
        lambda: client.pop(device),
        lambda: client.forget(device, seq=1),
        lambda: client.link(device, "user", "ada"),
        lambda: client.unlink(device, "user", "ada"),
        lambda: client.chat(device, {"model": "large"}, name="research"),
        lambda: client.switch(Address(device, "current", 1)),
        lambda: client.set_chat(Address(device, "current", 1), {"a": 1}),
        lambda: client.apply(device, {"say": [{"n": 4}], "set": {"x": 1}}),
        lambda: turn.append(client.turn(device, {"n": 5})),
        lambda: turn[0].part({"text": "so"}),
        lambda: (turn[0].say({"n": 6}), turn[0].done()),
        lambda: client.pause(where),
        lambda: client.resume(where),
        lambda: client.delete(Address(device, "current", 2)),
        lambda: client.close_session(where, "completed"),
        lambda: client.open(device, {"second": True}),
        lambda: client.copy(device, device),
        lambda: client.delete(where),
    ]


def test_each_change_of_another_caller_is_seen(
    client: Driver, latchkey_worker: Worker, device: str
) -> None:
    with latchkey_worker.client() as other:
        other.open(device)
        cache = near(client, fresh=30)
        for number, change in enumerate(changes(other, device)):
            eventually(lambda: shown(cache, device) == shown(cache, device))
            hits = cache.subject.hits
            shown(cache, device)
            assert cache.subject.hits == hits + 2, "both are in memory before the change"
            change()
            truth = shown(other, device)
            eventually(partial(is_shown, cache, device, truth))
            assert number < 99
        cache.close()


def test_a_device_is_one_in_whatever_case_its_id_is_given(
    drive: Callable[..., Driver], tmp_path: Path
) -> None:
    upper = "ABCDEFAB-1111-4111-8111-ABCDEFABCDEF"
    options = ["--threads", "1", "--device-ids", "uuid"]
    with Worker(tmp_path / "worker", options=options) as worker, worker.client() as other:
        other.open(upper, {"n": 1})
        cache = near(drive(worker.to), fresh=30)
        eventually(lambda: cache.get(upper) and cache.subject.hits)
        other.set(upper, {"n": 2})  # the event has the id in small letters
        eventually(lambda: cache.get(upper)["fields"] == {"n": 2})
        eventually(lambda: cache.get(upper) and cache.get(upper.lower()) and cache.subject.hits > 2)
        cache.set(upper.lower(), {"n": 3})
        assert cache.get(upper)["fields"] == {"n": 3}
        cache.close()


def test_each_change_of_ones_own_is_seen_at_once(client: Driver, device: str) -> None:
    client.open(device)
    cache = near(client, fresh=30)
    for n in range(1, 30):
        cache.say(device, {"n": n})
        assert cache.history(device)["last_seq"] == n
        cache.set(device, {"n": n})
        assert cache.get(device)["fields"]["n"] == n
        cache.ask_all([verbs.set(device, {"m": n})])
        assert cache.get(device)["fields"] == {"n": n, "m": n}
    session = cache.attach(device)
    session.set({"n": 0})
    assert session.get()["fields"]["n"] == 0
    exported = cache.export(device)
    cache.import_(exported, replace=True)
    assert cache.get(device)["fields"]["n"] == 0
    cache.close()


def has_rev(cache: Driver, rev: int) -> bool:
    return bool(cache.get("d")["rev"] == rev)


def has_lines(worker: Scripted, count: int) -> bool:
    return len(worker.lines) >= count


def test_changes_that_may_be_lost_empty_it(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    for ending in ('EVENT {"type":"changes.lost"}', 'EVENT {"type":"events.lost"}', None):
        worker = scripted(
            # WATCH, HOLDER and GET; the last two on connections of their own.
            *("OK", 'OK {"rev":1}', 'OK {"rev":1}'),
            *("OK", 'OK {"rev":2}', 'OK {"rev":2}'),
        )
        client = drive(worker.to)
        cache = near(client, fresh=30)
        assert cache.get("d")["rev"] == 1
        assert cache.get("d")["rev"] == 1
        assert cache.subject.hits == 1
        subscription = worker._open[0]
        if ending is None:
            subscription.shutdown(2)
        else:
            subscription.sendall(ending.encode() + b"\n")
        assert cache.get("d")["rev"] in (1, 2)
        eventually(partial(has_rev, cache, 2))
        # The connections have threads of their own, so the last line may come later.
        eventually(partial(has_lines, worker, 6))
        sent = [line.split(" ")[0] for line in worker.lines]
        assert (sent[0], sorted(sent)) == ("WATCH", ["GET"] * 2 + ["HOLDER"] * 2 + ["WATCH"] * 2)
        cache.close()


def test_nothing_is_stale_for_longer_than_it_says_while_workers_fail(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to, reply_timeout=0.4)
    cache = near(client, fresh=0.5)
    written: list[tuple[float, int]] = [(0.0, 0)]
    is_over = threading.Event()

    def write() -> None:
        with Client(fleet.to, timeout=20, reply_timeout=0.4) as other:
            for n in range(1, 100_000):
                other.set(device, {"n": n})
                written.append((time.monotonic(), n))
                if is_over.wait(0.005):
                    return

    def attack() -> None:
        for worker in fleet.workers:
            fleet.redis.command("CLIENT KILL TYPE pubsub")
            is_over.wait(0.2)
            worker.freeze()
            is_over.wait(1.2)
            worker.thaw()
            worker.kill()
            worker.restart()
        is_over.set()

    client.open(device, {"n": 0})
    threads = [threading.Thread(target=write), threading.Thread(target=attack)]
    for thread in threads:
        thread.start()
    reads, at = 0, 0
    while not is_over.is_set():
        asked = time.monotonic()
        try:
            seen = cache.get(device)["fields"]["n"]
        except latchkey.Unavailable:
            continue
        reads += 1
        # What was written before this, by the bound and a margin for a loaded machine.
        while at + 1 < len(written) and written[at + 1][0] < asked - 0.5 - 0.3:
            at += 1
        assert seen >= written[at][1], f"{time.monotonic() - asked} s for this read"
    for thread in threads:
        thread.join()
    assert cache.subject.hits > 20
    eventually(lambda: cache.get(device)["fields"]["n"] == written[-1][1], 0.5)
    cache.close()


def test_a_worker_that_cannot_reach_redis_is_not_believed(
    drive: Callable[..., Driver], tmp_path: Path, device: str
) -> None:
    redis = Redis(tmp_path / "redis")
    relay = Partition(redis.path)
    with (
        Worker(tmp_path / "cut", redis=f"redis://{relay.to}", options=["--threads", "1"]) as cut,
        Worker(tmp_path / "whole", redis=redis.url, options=["--threads", "1"]) as whole,
        whole.client() as other,
    ):
        other.open(device, {"n": 1})
        client = drive([cut.to, whole.to], timeout=5, reply_timeout=0.5)
        while str(client.subject.options.endpoints.current) != cut.to:
            client.subject.options.endpoints.failed(client.subject.options.endpoints.current)
        cache = near(client, fresh=0.5)
        for _ in range(3):
            assert cache.get(device)["fields"] == {"n": 1}
        assert cache.subject.hits >= 1
        relay.cut()
        other.set(device, {"n": 2})
        deadline = time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > deadline)
        assert cache.get(device)["fields"] == {"n": 2}
        relay.heal()
        cache.close()
    relay.close()
    redis.stop()


def test_many_devices_take_bounded_memory_and_stay_right(client: Driver, device: str) -> None:
    cache = near(client, fresh=30, bytes_max=40_000)
    for n in range(DEVICES_MAX + 30):
        assert cache.get(f"{device} {n}") is None
    client.open(device)
    client.say(device, [{"n": n, "text": "x" * 600} for n in range(100)])
    for _ in range(2):
        for n in range(1, 100):
            page = cache.history(device, after=n, limit=1)
            assert page["messages"][0]["seq"] == n + 1
    assert cache.subject._cached._bytes <= 40_000
    assert len(cache.subject._cached._devices) < DEVICES_MAX
    large = cache.history(device, last=100)
    assert cache.history(device, last=100) == large, "more than all that is kept"
    cache.close()


def test_a_forked_child_begins_anew(latchkey_worker: Worker, device: str) -> None:
    with latchkey_worker.client() as client, client.near(fresh=30) as cache:
        client.open(device, {"n": 1})
        for _ in range(3):
            cache.get(device)
        hits = cache.hits
        child = os.fork()
        if child == 0:
            cache.get(device)
            is_right = cache.hits == hits and cache.get(device)["fields"] == {"n": 1}  # type: ignore[index]
            os._exit(0 if is_right else 1)
        assert os.waitpid(child, 0)[1] == 0
        client.set(device, {"n": 2})
        eventually(lambda: cache.get(device)["fields"] == {"n": 2})  # type: ignore[index]
        assert cache.hits >= hits


def test_several_threads_share_it(latchkey_worker: Worker, device: str) -> None:
    with latchkey_worker.client() as client, client.near(fresh=30) as cache:
        client.open(device)
        seen: list[list[int]] = []

        def read() -> None:
            numbers: list[int] = []
            while not numbers or numbers[-1] < 50:
                numbers.append(cache.history(device)["last_seq"] or 0)
            seen.append(numbers)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for n in range(50):
            client.say(device, {"n": n})
        for thread in threads:
            thread.join()
        assert all(numbers == sorted(numbers) for numbers in seen)
        for _ in range(3):
            cache.history(device)
        assert cache.hits > 0


# The state alone.

GET: Request[Any] = verbs.get("d")


def cached(**options: float) -> Cached:
    made = Cached(options.get("fresh_s", 30), options.get("longest_s", 60), 999)
    made.opened()
    made.follow("d")
    made.received(b"OK")
    return made


def test_a_reply_is_kept_only_if_nothing_changed_while_it_was_asked_for() -> None:
    state = cached()
    for line, is_kept in [
        (None, True),
        (b'EVENT {"type":"chat.said","device":"d"}', False),
        (b'EVENT {"type":"chat.said","device":"other"}', True),
    ]:
        state.changed_by(verbs.touch("d"))
        _, asked = state.find(GET)
        if line is not None:
            state.received(line)
        state.keep(asked, Reply("OK", "{}"))
        assert (state.find(GET)[0] is not None) == is_kept
    first, second = state.find(verbs.history("d"))[1], state.find(verbs.history("d"))[1]
    state.keep(first, Reply("OK", '{"last_seq":5}'))
    state.keep(second, Reply("OK", '{"last_seq":4}'))
    assert state.find(verbs.history("d"))[0] is None, "which of them is newer is not known"
    state.keep(state.find(GET)[1], Reply("OK", "{}"))
    state.changed_by(verbs.renew("d", "a", token=1))
    assert state.find(GET)[0] is not None
    state.keep(state.find(verbs.get("e"))[1], Reply("OK", "{}"))
    assert state.find(verbs.get("e"))[0] is None, "a device that is not followed"
    state.keep(state.find(verbs.history("d"))[1], Reply("ERR", "quota x"))
    assert state.find(verbs.history("d"))[0] is None
    assert not state.keeps(verbs.history("d", after=1, wait=1))


@pytest.mark.parametrize("limits", [{"fresh_s": 10.0}, {"longest_s": 10.0}])
def test_it_ends_with_the_proof_and_with_its_own_time(
    limits: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Moment.now()
    monkeypatch.setattr(Moment, "now", staticmethod(lambda: now))
    state = cached(**limits)
    state.keep(state.find(GET)[1], Reply("OK", "{}"))
    now = Moment(now.monotonic, now.wall + 10)  # the process was frozen
    assert state.find(GET)[0] is not None
    now = Moment(now.monotonic, now.wall + 0.1)
    assert state.find(GET)[0] is None
    if "fresh_s" in limits:
        assert state.probe("d") == b"HOLDER d\n"
        assert not state.is_silent(0.0)
        state.received(b"NONE")
    assert state.probe("d") == b"", "it has been proved"
    assert (state.find(GET)[0] is not None) == ("fresh_s" in limits)


def test_what_a_worker_refuses_to_show_is_not_followed() -> None:
    state = Cached(30, 60, 999)
    state.follow("d")
    state.received(b"ERR forbidden no")
    assert state.find(GET)[1].changes is None
    for line in (b"ERR unavailable x", b"OK", b'EVENT {"type":"worker.draining","worker":"w"}'):
        state.closed()
        state.probe("d") if line.startswith(b"ERR") else None
        with pytest.raises(ConnectionError):
            state.received(line)
