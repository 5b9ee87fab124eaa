"""Turns of adapters that collect: a run takes two round trips, and is said as a whole or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Scripted

import latchkey
from latchkey import Address, AsyncClient, Client, verbs
from latchkey.adapting import Adapter, messages
from latchkey.fake import Fake
from latchkey.testing import Worker

TRANSCRIPT = """
    > TURN d idle=0s abandon=0s life=0s last=20
    < OK {"turn":7,"chat":1,"messages":[{"seq":2,"at":<at>,"message":{"n":2}}],"more":false,<text>}
    > DONE d turn=7 last=yes {"say":[{"n":3},{"n":4}]}
    < OK {"seq":4,"rev":1}
"""


@pytest.fixture
def adapter(latchkey_worker: Worker) -> Iterator[Adapter]:
    with Client(latchkey_worker.to) as client:
        yield Adapter(client)


def said(adapter: Adapter, device: str, *numbers: int, **options: Any) -> Any:
    payload = [{"n": number} for number in numbers]
    return adapter.run(adapter.changed(device, verbs.say(device, payload, **options)))


def read(adapter: Adapter, where: verbs.Where, last: int | None = None) -> list[int]:
    return [one["message"]["n"] for one in adapter.run(messages(where, last=last))]


def stored(adapter: Adapter, device: str) -> list[int]:
    found = adapter.blocking().history(device, last=1000)["messages"]
    return [one["message"]["n"] for one in found]


def test_a_run_takes_two_round_trips(latchkey_fake: Callable[[str], Fake]) -> None:
    with latchkey_fake(TRANSCRIPT).client() as client:
        adapter = Adapter(client)
        with adapter.turn("d", collect=True) as turn:
            assert read(adapter, "d") == [2]
            assert said(adapter, "d", 3) == {"seq": 3, "chat": 1}
            assert read(adapter, Address("d", "current"), last=2) == [2, 3]
            assert said(adapter, "d", 4)["seq"] == 4
            assert [one["seq"] for one in adapter.run(messages("d", last=3))] == [2, 3, 4]
        assert turn.is_over


def test_coroutines_do_the_same(latchkey_fake: Callable[[str], Fake]) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_fake(TRANSCRIPT).to) as client:
            adapter = Adapter(None, client)
            async with adapter.aturn("d", collect=True):
                found = await adapter.aread(messages("d"))
                assert [one["message"]["n"] for one in found] == [2]
                for n in (3, 4):
                    await adapter.arun(adapter.changed("d", verbs.say("d", {"n": n})))

    asyncio.run(main())


def test_what_is_said_is_there_at_the_end_and_as_a_whole(adapter: Adapter, device: str) -> None:
    with adapter.turn(device, collect=True):
        said(adapter, device, 1, 2)
        said(adapter, device, 3)
        assert stored(adapter, device) == []
        assert read(adapter, device) == [1, 2, 3]
        said(adapter, f"{device} other", 9)  # of another device, and said at once
    assert stored(adapter, device) == [1, 2, 3]
    assert stored(adapter, f"{device} other") == [9]
    with pytest.raises(ZeroDivisionError), adapter.turn(device, collect=True):
        said(adapter, device, 4)
        raise ZeroDivisionError
    assert stored(adapter, device) == [1, 2, 3]
    said(adapter, device, 4)
    assert read(adapter, device, last=2) == [3, 4]
    with adapter.turn(device, collect=True), adapter.turn(f"{device} inner"):
        said(adapter, device, 5)
        said(adapter, f"{device} inner", 6)
        assert stored(adapter, f"{device} inner") == [6]
    assert stored(adapter, device) == [1, 2, 3, 4, 5]


def test_another_request_first_has_it_said(adapter: Adapter, device: str) -> None:
    with adapter.turn(device, collect=True):
        said(adapter, device, 1, 2)
        popped = adapter.run(adapter.changed(device, verbs.pop(device)))
        assert popped is not None
        assert popped["message"] == {"n": 2}
        assert stored(adapter, device) == [1]
        said(adapter, device, 3)
        assert read(adapter, device) == [1, 3]
        said(adapter, device, 5)
        first = Address(device, "current", 1)
        assert read(adapter, first) == [1, 3, 5]
        said(adapter, device, 6)
    assert stored(adapter, device) == [1, 3, 5, 6]


def test_what_the_turn_did_not_show_is_read(adapter: Adapter, device: str) -> None:
    said(adapter, device, *range(120))
    with adapter.turn(device, collect=True):
        assert read(adapter, device, last=19) == [*range(101, 120)]
        said(adapter, device, 120)
        assert read(adapter, device, last=3) == [118, 119, 120]
        assert read(adapter, device) == [*range(121)]
        assert read(adapter, device, last=0) == []
        said(adapter, device, 121)
    assert stored(adapter, device) == [*range(122)]


def test_messages_that_join_are_seen(adapter: Adapter, device: str) -> None:
    with adapter.turn(device, collect=True) as turn:
        said(adapter, device, 1)
        adapter.blocking().turn(device, {"n": 2}, policy="join")
        assert not turn.done()
        assert [one["message"]["n"] for one in turn.messages] == [2]
        assert read(adapter, device) == [2, 1]
        said(adapter, device, 3)
        assert turn.done()
    assert stored(adapter, device) == [2, 1, 3]


def test_a_lost_turn_says_nothing(adapter: Adapter, device: str) -> None:
    with pytest.raises(latchkey.TurnLost), adapter.turn(device, collect=True):
        said(adapter, device, 1)
        adapter.blocking().turn(device, policy="interrupt").done()
    assert stored(adapter, device) == []


def test_much_is_said_before_the_end(adapter: Adapter, device: str) -> None:
    with adapter.turn(device, collect=True):
        for n in range(9):
            payload = {"n": n, "text": "x" * 100_000}
            adapter.run(adapter.changed(device, verbs.say(device, payload)))
        assert read(adapter, device) == [*range(9)]
    assert stored(adapter, device) == [*range(9)]


def test_an_unknown_outcome_is_settled_at_the_end(scripted: Callable[..., Scripted]) -> None:
    turn = '{"turn":7,"ttl_ms":60000,"session":"s","chat":1,"messages":[],"more":false}'
    worker = scripted(
        f"OK {turn}",
        *["ERR unknown_outcome no answer"] * 50,
        *('OK {"seq":1,"chat":1}', 'OK {"seq":2,"rev":1}'),
    )
    with Client(worker.to) as client:
        adapter = Adapter(client)
        with adapter.turn("d", collect=True):
            said(adapter, "d", 1)
            patient, client.options = client.options, client.options._replace(timeout_s=0.06)
            with pytest.raises(latchkey.UnknownOutcome):
                adapter.run(adapter.changed("d", verbs.pop("d")))
            client.options = patient
            worker._script[:] = worker._script[-2:]
    assert worker.lines[-1].startswith("DONE d last=yes turn=7 req=")
    assert "{" not in worker.lines[-1], "nothing is left to say"
    assert len({line for line in worker.lines if line.startswith("SAY")}) == 1
