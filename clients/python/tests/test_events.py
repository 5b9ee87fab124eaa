"""Subscriptions and consumers: they reconnect, resume, and neither lose nor repeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Driver, Fleet, Scripted, eventually

import latchkey
from latchkey import ALL
from latchkey.feed import LOST, Draining, Feed
from latchkey.results import Event
from latchkey.testing import Worker
from latchkey.waiting import Backoff, Idle, Unacknowledged


def clear(client: latchkey.Client, device: str, count: int = 1) -> None:
    """Makes an event each time."""
    for _ in range(count):
        client.lock(device, "a")
        client.clear(device)


def later(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def watched(worker: Worker, count: int) -> Callable[[], bool]:
    """True once so many more connections than before are there."""
    client = worker.client()
    before: int = client.info()["connections"]
    return lambda: bool(client.info()["connections"] >= before + count)


def test_a_subscription_gets_the_events_of_its_device(
    drive: Callable[..., Driver], worker: Worker, device: str
) -> None:
    client, other = drive(worker.to), worker.client()
    clear(other, device)
    past = other.events(device)["events"][0]["id"]
    found: list[Event] = []

    def act() -> None:
        while len(found) < 5:
            clear(other, f"{device} other")
            clear(other, device)

    acting = later(act)
    events = client.subject.watch(device, types="lock.cleared", idle=10)
    while len(found) < 5:
        found += client.collect(events, 1)
    acting.join()
    client.end(events)
    log = [event["id"] for event in other.events(device, limit=1000)["events"]]
    begin = log.index(found[0]["id"])
    assert [event["id"] for event in found] == log[begin : begin + 5]
    assert past not in [event["id"] for event in found]
    assert {event["device"] for event in found} == {device}
    other.close()


def test_a_subscription_begins_after_an_event(
    client: Driver, latchkey_client: latchkey.Client, device: str
) -> None:
    clear(latchkey_client, device, 4)
    first = latchkey_client.events(device, limit=1)["events"][0]["id"]
    events = client.subject.watch(device, after=first, idle=0.2)
    assert len(client.collect(events, 9)) == 3  # then it was idle


def test_a_subscription_to_all_devices(
    drive: Callable[..., Driver], worker: Worker, device: str
) -> None:
    client, other = drive(worker.to), worker.client()

    def act() -> None:
        while not found:
            clear(other, device)

    found: list[Event] = []
    acting = later(act)
    events = client.subject.watch(types=["lock.cleared"], idle=10)
    while not any(event["device"] == device for event in found):
        found += client.collect(events, 1)
    acting.join()
    client.end(events)
    other.close()


def test_a_subscription_goes_on_over_killed_and_drained_workers(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    other = latchkey.Client(fleet.to)
    clear(other, device)
    start = other.events(device)["events"][-1]["id"]
    events = client.subject.watch(device, types="lock.cleared", after=start, idle=15)
    found: list[Event] = []
    for number in range(4):
        clear(other, device, 2)
        found += client.collect(events, 2)
        serving = fleet.serving(client.subject)
        if number % 2:
            serving.drain()
        else:
            serving.kill()
        clear(other, device, 2)  # while the subscription has no connection, or may have none
        found += client.collect(events, 2)
        serving.stop()
        serving.restart()
    client.end(events)
    log = other.events(device, after=start, limit=100)["events"]
    assert [event["id"] for event in found] == [event["id"] for event in log]
    other.close()


def test_a_subscription_to_all_goes_on_after_its_last_event(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    other = latchkey.Client(fleet.to)
    found: list[Event] = []
    stop = threading.Event()

    def act() -> None:
        while not stop.wait(0.02):
            clear(other, device)

    acting = later(act)
    events = client.subject.watch(types="lock.cleared", idle=15)
    found += client.collect(events, 1)
    fleet.serving(client.subject).kill()
    stop.wait(0.3)
    stop.set()
    acting.join()
    log = [event["id"] for event in other.events(device, limit=1000)["events"]]
    while found[-1]["id"] != log[-1]:
        found += client.collect(events, 1)
    client.end(events)
    mine = [event["id"] for event in found if event["device"] == device]
    # A worker resumes from some seconds before the last event, so events from before the first one
    # may come; none comes twice.
    missed = log[log.index(found[0]["id"]) :]
    assert [id for id in mine if id in missed] == missed
    assert len(set(mine)) == len(mine)
    assert LOST not in [event["type"] for event in found]
    other.close()


def test_an_idle_subscription_ends_and_asks_whether_the_worker_lives(
    client: Driver, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latchkey.following.PING_S", 0.02)
    monkeypatch.setattr("latchkey.aio.following.PING_S", 0.02)
    began = time.monotonic()
    assert client.collect(client.subject.watch(device, idle=0.3), 1) == []
    assert 0.29 < time.monotonic() - began < 2


def test_a_silent_worker_is_left(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted], monkeypatch: Any
) -> None:
    monkeypatch.setattr("latchkey.following.PING_S", 0.02)
    monkeypatch.setattr("latchkey.aio.following.PING_S", 0.02)
    event = 'EVENT {"id":"1","type":"lock.cleared","device":"d%2F1","at":1}'
    page = 'OK {"events":[]}'
    worker = scripted("OK", page, ..., "OK", f"{event}\n{page}")
    client = drive(worker.to, reply_timeout=0.7)
    events = client.subject.watch("d/1", idle=10)
    (found,) = client.collect(events, 1)
    client.end(events)
    assert found["device"] == "d/1"
    assert worker.lines == ["WATCH d%2F1", "EVENTS d%2F1 limit=1000", "PING",
                            "WATCH d%2F1", "EVENTS d%2F1 limit=1000"]  # fmt: skip


def test_a_subscription_that_is_refused_is_an_error(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    worker = scripted("ERR forbidden no", auth=[])
    client = drive(worker.to)
    with pytest.raises(latchkey.Forbidden):
        client.collect(client.subject.watch("d"), 1)
    with pytest.raises(latchkey.BadRequest):
        client.collect(drive(scripted("ERR bad_request types=").to).subject.watch("d"), 1)


def test_without_a_worker_an_idle_limit_is_an_error(drive: Callable[..., Driver]) -> None:
    client = drive("127.0.0.1:1", timeout=0.1)
    with pytest.raises(latchkey.Unavailable):
        client.collect(client.subject.watch("d", idle=0.2), 1)
    with pytest.raises(latchkey.Unavailable):
        client.collect(client.subject.consume("g", idle=0.2), 1)


def test_a_consumer_acknowledges_what_was_handled(
    client: Driver, latchkey_client: latchkey.Client, device: str, request: Any
) -> None:
    group = f"group {device}"
    client.collect(client.subject.consume(group, types="lock.handed_off", idle=0), 999)
    for to in "bcd":
        latchkey_client.seize(device, "a")
        latchkey_client.handoff(device, "a", to)
    events = client.subject.consume(group, types="lock.handed_off", limit=2, idle=5)
    found = client.collect(events, 2)
    client.end(events)  # at the second: it is not acknowledged
    assert [event["to"] for event in found] == ["b", "c"]
    assert latchkey_client.ack(group, found[0]["id"]) == {"acked": 0}
    assert latchkey_client.ack(group, found[1]["id"]) == {"acked": 1}
    rest = client.collect(client.subject.consume(group, types="lock.handed_off", idle=0), 9)
    assert [event["to"] for event in rest] == ["d"]
    assert latchkey_client.ack(group, rest[0]["id"]) == {"acked": 0}


def test_a_consumer_may_acknowledge_by_itself(
    client: Driver, latchkey_client: latchkey.Client, device: str
) -> None:
    group = f"own {device}"
    latchkey_client.open(device)
    found: list[Event] = []
    events = client.subject.consume(group, types="session.opened", idle=0, limit=1000, ack=False)
    found = client.collect(events, 100_000)
    assert device in {event["device"] for event in found}
    ids = [event["id"] for event in found]
    assert latchkey_client.ack(group, *ids) == {"acked": len(ids)}


def test_a_consumer_learns_that_its_group_has_lost_events(
    scripted: Callable[..., Scripted], drive: Callable[..., Driver]
) -> None:
    cleared = '{"id":"0a3-1-0","type":"lock.cleared","device":"d","at":1}'
    worker = scripted(
        f'OK {{"events":[{cleared}],"lost":true}}',
        'OK {"acked":1}',
        'OK {"events":[],"lost":true}',
    )
    client = drive(worker.to)
    found = client.collect(client.subject.consume("g", idle=0), 9)
    assert [event["type"] for event in found] == [LOST, "lock.cleared", LOST]
    assert [line for line in worker.lines if line.startswith("ACK")] == ["ACK g 0a3-1-0"]


def test_a_corrupt_log_has_no_events(
    scripted: Callable[..., Scripted], drive: Callable[..., Driver]
) -> None:
    worker = scripted('OK {"events":null,"damaged":["events"]}')
    assert drive(worker.to).events("d") == {"events": [], "damaged": ["events"]}


def test_consumers_lose_nothing_when_workers_are_killed(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    other = latchkey.Client(fleet.to)
    seen: list[Event] = []
    events = client.subject.consume("g", types="lock.cleared", idle=10, limit=3)
    for _ in range(3):
        clear(other, device, 5)
        seen += client.collect(events, 4)
        serving = fleet.serving(client.subject)
        serving.kill()
        clear(other, device, 5)
        seen += client.collect(events, 4)
        serving.restart()
    made = {event["id"] for event in other.events(device, limit=100)["events"]}
    while made - {event["id"] for event in seen}:
        more = client.collect(events, 1)
        assert more, "an event was lost"
        seen += more
    client.end(events)
    other.close()


def test_closing_the_client_ends_its_iterators(worker: Worker, device: str) -> None:
    client = worker.client()
    ready = watched(worker, 2)
    errors: list[latchkey.LatchkeyError] = []

    def follow(events: Any) -> None:
        try:
            list(events)
        except latchkey.LatchkeyError as error:
            errors.append(error)

    threads = [
        later(lambda: follow(client.watch(device))),
        later(lambda: follow(client.consume(f"closed {device}", types="session.expiring"))),
    ]
    eventually(ready)
    client.close()
    for thread in threads:
        thread.join(5)
    assert [str(error).endswith("closed") for error in errors] == [True, True]


# The parts without a socket.


def event(number: int, kind: str = "lock.cleared") -> str:
    return f'{{"id":"{number}","type":"{kind}","device":"d","at":1}}'


def ids(events: list[Event]) -> list[str]:
    return [one["id"] or one["type"] for one in events]


def test_a_feed_gives_each_event_once_however_it_comes() -> None:
    feed = Feed("d", None, "3")
    assert feed.opened() == b"WATCH d\n"
    assert feed.received(b"OK") == (b"EVENTS d after=3 limit=1000\n", [])
    assert feed.received(f"EVENT {event(5)}".encode()) == (b"", [])
    sent, given = feed.received(f'OK {{"events":[{event(4)},{event(5)}]}}'.encode())
    assert (sent, ids(given)) == (b"EVENTS d after=5 limit=1000\n", ["4", "5"])
    assert not feed.is_live
    assert feed.received(f"EVENT {event(6)}".encode()) == (b"", [])
    sent, given = feed.received(b'OK {"events":[]}')
    assert (sent, ids(given)) == (b"", ["6"])
    assert feed.is_live
    assert ids(feed.received(f"EVENT {event(7)}".encode())[1]) == ["7"]
    feed.opened()
    assert feed.received(b"OK")[0] == b"EVENTS d after=7 limit=1000\n"


def test_a_feed_selects_types_in_the_log_too() -> None:
    feed = Feed("d", ["lock.seized"], "1")
    assert feed.opened() == b"WATCH d types=lock.seized\n"
    feed.received(b"OK")
    page = f'OK {{"events":[{event(2)},{event(3, "lock.seized")}]}}'
    assert ids(feed.received(page.encode())[1]) == ["3"]


def test_a_feed_says_where_events_may_be_missing() -> None:
    feed = Feed("d", None, "9")
    feed.opened()
    feed.received(b"OK")
    assert ids(feed.received(b'STALE {"id":"4"}')[1]) == [LOST]
    feed.opened()
    assert feed.received(b"OK")[0] == b"EVENTS d after=4 limit=1000\n"
    lost = f'OK {{"events":[{event(6)}],"lost":true}}'
    assert ids(feed.received(lost.encode())[1]) == [LOST, "6"]
    every = Feed(ALL, None, None)
    every.opened()
    assert every.received(b"OK") == (b"", [])
    every.opened()
    assert ids(every.received(b"OK")[1]) == [LOST]
    assert ids(every.received(f"EVENT {event(7)}".encode())[1]) == ["7"]
    assert every.opened() == b"WATCH * after=7\n"
    assert every.received(b"OK") == (b"", [])
    assert ids(every.received(f"EVENT {event(7)}".encode())[1]) == []
    assert ids(every.received(f"EVENT {event(8)}".encode())[1]) == ["8"]
    every.opened()
    assert ids(every.received(b'OK {"lost":true}')[1]) == [LOST]
    for _ in range(2):
        assert ids(every.received(b'EVENT {"type":"events.lost"}')[1]) == [LOST]


def test_a_feed_of_changes_gives_them_without_an_id_and_says_what_is_lost() -> None:
    feed = Feed("d", None, "3", changes=True)
    assert feed.opened() == b"WATCH d changes=yes\n"
    feed.received(b"OK")
    change = b'EVENT {"type":"chat.said","device":"d","at":1,"session":"S","chat":1,"seq":1}'
    assert feed.received(change) == (b"", [])
    assert ids(feed.received(b'OK {"events":[]}')[1]) == ["chat.said"]
    assert ids(feed.received(change)[1]) == ["chat.said"]
    lost = feed.received(b'EVENT {"type":"changes.lost"}')[1]
    assert lost == [{"id": "", "type": "changes.lost", "device": "d", "at": 0}]
    feed.opened()
    assert ids(feed.received(b"OK")[1]) == ["changes.lost"]


def test_a_feed_ends_with_its_worker() -> None:
    feed = Feed("d", None, None)
    feed.opened()
    with pytest.raises(Draining):
        feed.received(b'EVENT {"type":"worker.draining","worker":"w"}')


@pytest.mark.parametrize(
    ("reason", "first", "again"),
    [
        ("auth_required", '{"type":"watch.ended","reason":"auth_required"}', None),
        ("forbidden", '{"type":"watch.ended","device":"d","reason":"forbidden"}', None),
        ("forbidden", '{"type":"worker.draining","worker":"w"}', "ERR forbidden no"),
        ("none", '{"type":"worker.draining","worker":"w"}', "NONE"),
    ],
)
def test_a_subscription_whose_rights_have_ended_says_so_last(
    drive: Callable[..., Driver],
    scripted: Callable[..., Scripted],
    reason: str,
    first: str,
    again: str | None,
) -> None:
    event = 'EVENT {"id":"1","type":"lock.cleared","device":"d","at":1}'
    worker = scripted("OK", f'OK {{"events":[]}}\n{event}\nEVENT {first}', again)
    client = drive(worker.to)
    events = client.collect(client.subject.watch("d", types="lock.cleared", idle=10), 9)
    assert [event["type"] for event in events] == ["lock.cleared", "watch.ended"]
    last = events[-1]
    assert (last["id"], last["device"], last["at"]) == ("", "d", 0)
    assert last["reason"] == reason


def test_a_new_token_goes_on_with_a_subscription(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    event = 'EVENT {"id":"1","type":"lock.cleared","device":"d","at":1}'
    page = 'OK {"events":[]}'
    ended = 'EVENT {"type":"watch.ended","reason":"auth_required"}'
    granted = 'OK {"name":"p"}'
    worker = scripted("OK", f"{page}\n{ended}", "OK", f"{page}\n{event}\n{ended}",
                      auth=[granted, granted, "ERR forbidden x", "ERR forbidden x"])  # fmt: skip
    client = drive(worker.to, secret=lambda: "token")
    events = client.collect(client.subject.watch("d", idle=10), 9)
    assert [event["type"] for event in events] == ["lock.cleared", "watch.ended"]
    assert events[-1]["reason"] == "forbidden"


def test_the_pauses_of_reconnecting() -> None:
    backoff = Backoff(can_refresh=True)
    pauses = [backoff.failed(OSError("x"), 9, 1.0) for _ in range(8)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    backoff.reset()
    assert backoff.failed(OSError("x"), 9, 0.0) == 0.025
    backoff.failed(latchkey.Forbidden("x"), 9, 1.0)
    with pytest.raises(latchkey.Forbidden):
        backoff.failed(latchkey.Forbidden("x"), 9, 1.0)
    with pytest.raises(latchkey.Unavailable):
        backoff.failed(OSError("x"), 0, 1.0)


def test_idle_time_counts_from_the_last_event() -> None:
    idle = Idle(5, 100.0)
    assert idle.left_s(103.0) == 2.0
    idle.received(104.0)
    assert idle.left_s(110.0) == -1.0
    assert Idle(None, 0.0).left_s(1e9) == float("inf")


def test_what_could_not_be_acknowledged_is_kept_within_a_bound() -> None:
    kept = Unacknowledged()
    for n in range(1005):
        last = kept.with_id(str(n))
    assert len(last) == 1000
    assert last[-1] == "1004"
    kept.clear()
    assert kept.with_id("x") == ["x"]
