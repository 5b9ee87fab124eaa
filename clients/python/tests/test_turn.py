"""Turns as context managers: renewed, interrupted, joined, ended in one step."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Driver, Fleet, Scripted, eventually

import latchkey
from latchkey import AsyncClient, Client, TurnLost
from latchkey.testing import Worker

USER = {"role": "user", "text": "move my visit"}
BEGUN = (
    'OK {"turn":7,"ttl_ms":%d,"session":"01J0000000000000000000000A","how":"new","chat":1,"seq":1,'
    '"messages":[],"more":false,"fields":{},"phase":null,"step":null,"waited_ms":0}'
)


def texts(client: Client, device: str) -> list[str]:
    return [m["message"]["text"] for m in client.history(device, last=100)["messages"]]


def test_a_turn_says_its_answer_when_it_ends(latchkey_client: Client, device: str) -> None:
    with latchkey_client.turn(device, USER, agent="a b", user="ada", req="event/1") as turn:
        assert [m["message"] for m in turn.messages] == [USER]
        assert turn.token is not None
        assert (turn.begun["how"], turn.begun["seq"]) == ("new", 1)
        with pytest.raises(latchkey.Busy) as busy:
            latchkey_client.turn(device, {"text": "hello?"})
        assert busy.value.agent == "a b"
        assert 0 < busy.value.ttl_ms <= 60_000
        with pytest.raises(latchkey.Held):
            latchkey_client.turn(device, agent="c")
        turn.say({"text": "to"})
        turn.say([{"text": "when"}, {"text": "?"}])
        turn.set({"slot": None, "n": 1}, phase="asking")
        turn.set({"n": 2}, step="two")
        assert texts(latchkey_client, device) == ["move my visit"]  # all of it comes at the end
        assert not turn.is_over
    assert turn.is_over
    assert not turn.lost
    assert texts(latchkey_client, device) == ["move my visit", "to", "when", "?"]
    record = latchkey_client.get(device)
    assert record is not None
    assert (record["fields"], record["phase"], record["step"]) == ({"n": 2}, "asking", "two")
    assert record["links"] == {"user": ["ada"]}
    with pytest.raises(latchkey.LatchkeyError, match="is_over"):
        turn.say({"text": "too late"})


def test_a_turn_is_renewed_and_its_session_is_changed_at_once(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.turn(device, USER, ttl=1) as turn:
        turn.session.say({"text": "one moment"})
        turn.session.set({"a": 1})
        assert texts(latchkey_client, device) == ["move my visit", "one moment"]
        began = turn._lease._asked
        eventually(lambda: turn._lease._asked.since(began) > 0.5)
        assert not turn.lost
    with pytest.raises(latchkey.Stale):
        turn.session.say({"text": "too late"})


def test_an_interrupted_turn_is_lost(latchkey_client: Client, device: str) -> None:
    with pytest.raises(TurnLost) as lost, latchkey_client.turn(device, USER, ttl=0.3) as turn:
        with latchkey_client.turn(device, {"text": "no, Monday"}, policy="rollback") as other:
            with pytest.raises(latchkey.Stale) as stale:
                turn.session.say({"text": "Friday"})
            assert stale.value.interrupted
            eventually(lambda: turn.lost)
            with pytest.raises(TurnLost):
                turn.check()
            other.say({"text": "Monday it is"})
        turn.say({"text": "Friday it is"})
    assert isinstance(lost.value.__cause__, latchkey.Stale)
    assert texts(latchkey_client, device) == ["no, Monday", "Monday it is"]


def test_a_function_waits_for_its_turn(latchkey_client: Client, device: str) -> None:
    order: list[int] = []
    begun: list[float] = []

    def work(n: int) -> None:
        with latchkey_client.turn(device, {"text": f"{n}?"}, wait=30, ttl=1) as turn:
            begun.append(turn.begun["waited_ms"])
            assert not turn.lost
            order.append(n)
            turn.say({"text": f"{n}!"})

    with latchkey_client.turn(device, {"text": "first?"}, ttl=5) as turn:
        threads = []
        for n in range(3):
            threads.append(threading.Thread(target=work, args=(n,)))
            threads[-1].start()
            eventually(lambda: latchkey_client.stats()["turns"]["waiting"] == len(threads))
        with pytest.raises(latchkey.Busy):
            latchkey_client.turn(device, wait=0.05)
        turn.say({"text": "first!"})
    for thread in threads:
        thread.join(30)
    assert order == [0, 1, 2]
    assert all(waited > 0 for waited in begun)
    said = texts(latchkey_client, device)
    assert said == ["first?", "first!", "0?", "0!", "1?", "1!", "2?", "2!"]


def test_a_burst_of_messages_is_one_turn(latchkey_client: Client, device: str) -> None:
    shown: list[list[str]] = []

    def work() -> None:
        with latchkey_client.turn(device, {"text": "0"}, policy="join", settle=0.5, ttl=1) as turn:
            assert not turn.lost
            shown.append([message["message"]["text"] for message in turn.messages])

    latchkey_client.open(device)
    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: texts(latchkey_client, device) == ["0"])
    joined = latchkey_client.turn(device, {"text": "1"}, policy="join", settle=0.5)
    assert joined.is_joined
    thread.join(10)
    assert shown == [["0", "1"]]


def test_a_wait_goes_on_at_another_worker(fleet: Fleet, device: str) -> None:
    with Client(fleet.to) as client, Client(fleet.to) as other:
        first = other.turn(device, {"text": "first?"}, ttl=30)
        answers: list[int] = []

        def work() -> None:
            with client.turn(device, {"text": "second?"}, wait=20) as turn:
                answers.append(turn.number)

        thread = threading.Thread(target=work)
        thread.start()
        eventually(lambda: other.stats()["turns"]["waiting"] == 1)
        serving = fleet.serving(client)
        serving.drain()
        serving.stop()
        eventually(lambda: other.stats()["turns"]["waiting"] == 1)
        first.done()
        thread.join(10)
        assert len(answers) == 1
        assert texts(other, device) == ["first?", "second?"]


def test_a_wait_that_was_cut_short_goes_on(scripted: Callable[..., Scripted]) -> None:
    busy = 'BUSY {"agent":null,"ttl_ms":1500,"ahead":0}'
    worker = scripted(busy, busy, BEGUN % 60_000)
    with Client(worker.to) as client:
        client.turn("d", USER, wait=5)
    waits = [line.split("wait=")[1].split()[0] for line in worker.lines]
    assert waits[0] == "5s"
    assert all(4000 < int(wait[:-2]) < 5000 for wait in waits[1:])
    assert len({line.split("req=")[1] for line in worker.lines}) == 1


def test_joined_messages_are_answered_in_the_same_turn(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.turn(device, {"text": "one"}) as turn:
        with latchkey_client.turn(device, {"text": "two"}, policy="join") as joined:
            assert joined.is_joined
            assert joined.number == turn.number
            with pytest.raises(latchkey.LatchkeyError, match="is_over"):
                joined.say({"text": "x"})
        turn.say({"text": "answer to one"})
        assert not turn.done()
        assert [m["message"] for m in turn.messages] == [{"text": "two"}]
        turn.say({"text": "answer to two"})
        assert turn.done()
    assert texts(latchkey_client, device) == ["one", "two", "answer to one", "answer to two"]
    with latchkey_client.turn(device, {"text": "three"}) as turn:
        latchkey_client.turn(device, {"text": "four"}, policy="join")
    assert turn.joined == 1  # left without an answer


def test_an_exception_of_the_block_says_nothing_and_is_raised(
    latchkey_client: Client, device: str
) -> None:
    with pytest.raises(ZeroDivisionError), latchkey_client.turn(device, USER) as turn:
        turn.say({"text": "half an answer"})
        raise ZeroDivisionError
    assert texts(latchkey_client, device) == ["move my visit"]
    with pytest.raises(ZeroDivisionError), latchkey_client.turn(device, USER, req="e2") as turn:
        turn.on_error = "abandon"
        raise ZeroDivisionError
    with pytest.raises(latchkey.Busy):
        latchkey_client.turn(device, {"text": "next"})
    with latchkey_client.turn(device, USER, req="e2") as again:  # the event is delivered again
        assert again.number == turn.number
        again.say({"text": "an answer"})
    assert texts(latchkey_client, device) == ["move my visit", "move my visit", "an answer"]


def test_an_event_that_was_handled_is_not_handled_again(
    latchkey_client: Client, device: str
) -> None:
    def handle() -> bool:
        with latchkey_client.turn(device, USER, req="e1") as turn:
            if turn.is_over:
                return False
            turn.say({"text": "answer"})
        return True

    assert [handle(), handle(), handle()] == [True, False, False]
    assert texts(latchkey_client, device) == ["move my visit", "answer"]


def test_a_number_that_was_not_said_does_not_end_the_turn(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.turn(device, USER) as turn:
        turn.say({"text": "answer"})
        with pytest.raises(latchkey.Stale) as stale:
            turn.done(seen=9)
        assert stale.value.seq == 1
        assert not turn.lost
    assert texts(latchkey_client, device) == ["move my visit", "answer"]


def test_an_end_that_is_refused_raises_and_the_turn_goes_on(
    latchkey_client: Client, device: str
) -> None:
    turn = latchkey_client.turn(device, USER)
    turn.say([{"text": "x" * 200_000}, {"text": "y" * 300_000}])
    with pytest.raises(latchkey.BadRequest):
        turn.done()
    assert not turn.is_over
    with pytest.raises(latchkey.Busy):
        latchkey_client.turn(device, USER)
    assert latchkey_client.done(device, turn=turn.number)["seq"] == 1


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_block_whose_end_is_refused_leaves_no_turn_behind(
    kind: str, latchkey_client: Client, device: str
) -> None:
    too_much = {"text": "x" * 500_000}

    async def block() -> None:
        client = AsyncClient(str(latchkey_client.options.endpoints.current))
        async with client, client.turn(device, USER, ttl=60) as turn:
            turn.say(too_much)

    with pytest.raises(latchkey.BadRequest):
        if kind == "async":
            asyncio.run(block())
        else:
            with latchkey_client.turn(device, USER, ttl=60) as turn:
                turn.say(too_much)
    with latchkey_client.turn(device, {"text": "next"}) as turn:
        assert [m["message"] for m in turn.messages] == [USER, {"text": "next"}]
    with pytest.raises(latchkey.BadRequest), latchkey_client.turn(device, req="e1") as turn:
        turn.on_error = "abandon"
        turn.say(too_much)
    with latchkey_client.turn(device, req="e1") as again:  # the event is delivered again
        assert again.number == turn.number


def test_what_json_cannot_express_is_refused_where_it_is_said(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.turn(device, USER) as turn:
        with pytest.raises(TypeError):
            turn.say({"text": object()})
        turn.say({"text": "answer"})
    assert texts(latchkey_client, device) == ["move my visit", "answer"]


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_the_block_s_exception_is_raised_whatever_fails_behind_it(
    kind: str, scripted: Callable[..., Scripted]
) -> None:
    worker = scripted(BEGUN % 60_000, None, auth=["OK {}"] * 9)
    secrets = iter(["a"])  # the second call raises

    async def block() -> None:
        client = AsyncClient(worker.to, secret=lambda: next(secrets, None) or 1 // 0)  # type: ignore[arg-type, return-value]
        async with client, client.turn("d", USER):
            raise LookupError("the block's own")

    with pytest.raises(LookupError) as raised:
        if kind == "async":
            asyncio.run(block())
        else:
            secret: Any = lambda: next(secrets, None) or 1 // 0  # noqa: E731
            with Client(worker.to, secret=secret) as client, client.turn("d", USER):
                raise LookupError("the block's own")
    assert "ZeroDivisionError" in getattr(raised.value, "__notes__", ["ZeroDivisionError"])[0]


def test_pieces_of_an_answer_are_in_the_draft_until_the_turn_ends(
    latchkey_client: Client, device: str
) -> None:
    with latchkey_client.turn(device, USER) as turn:
        turn.part({"d": "Hel"})
        turn.part({"d": "lo"})
        seen = latchkey_client.history(device)
        assert seen["draft"] == [{"d": "Hel"}, {"d": "lo"}]
        assert seen["draft_turn"] == turn.number
        turn.say({"text": "Hello"})
    assert "draft" not in latchkey_client.history(device)
    with pytest.raises(latchkey.Stale):
        latchkey_client.part(device, {"d": "!"}, turn=turn.number)


def test_a_lost_reply_to_the_end_is_asked_for_again(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(BEGUN % 60_000, None, 'OK {"seq":2,"rev":1}')
    with Client(worker.to) as client, client.turn("d", USER) as turn:
        turn.say({"text": "a"})
    assert worker.lines[1] == worker.lines[2]
    assert worker.lines[1].startswith("DONE d last=yes turn=7 req=")
    assert worker.lines[1].endswith(' {"say":[{"text":"a"}]}')


def test_a_turn_goes_on_when_its_worker_is_killed(fleet: Fleet, device: str) -> None:
    with Client(fleet.to) as client:
        with client.turn(device, USER, ttl=5) as turn:
            for worker in fleet.workers:
                worker.kill()
                worker.restart()
            turn.say({"text": "answer"})
        assert texts(client, device) == ["move my visit", "answer"]


def test_a_forked_child_does_not_end_the_turn(latchkey_client: Client, device: str) -> None:
    with latchkey_client.turn(device, USER) as turn:
        child = os.fork()
        if child == 0:
            try:
                turn.__exit__(None, None, None)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        turn.say({"text": "the parent's"})
    assert texts(latchkey_client, device)[-1] == "the parent's"


def test_twenty_functions_answer_one_after_the_other(latchkey_worker: Worker, device: str) -> None:
    failures: list[BaseException] = []
    with latchkey_worker.client(timeout=30) as client:

        def work(n: int) -> None:
            try:
                while True:
                    try:
                        with client.turn(device, {"text": f"{n}?"}) as turn:
                            turn.say({"text": f"{n}!"})
                        return
                    except latchkey.Busy:
                        client.rest(0.002)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        said = texts(client, device)
    assert len(said) == 40
    for question, answer in zip(said[::2], said[1::2], strict=True):
        assert question[:-1] == answer[:-1]


def test_the_verbs_themselves(client: Driver, device: str) -> None:
    turn = client.turn(
        device, [USER, USER], policy="interrupt", ttl=30, last=1, name="n", thread=f"t {device}",
        phase="p", step="s", idle=0, abandon=0, archive=0, life=0, keep=60, warn=0, fenced=True,
        agent="a",
    )  # fmt: skip
    number = turn.subject.number
    assert len(turn.subject.messages) == 1
    session = client.attach(device, turn=number)
    session.say({"text": "answer"})
    session.chat({"model": 1})
    session.at(1).switch()
    assert client.touch(device, turn=number)["ttl_ms"] == 30_000
    ended = client.done(
        device, {"say": {"text": "x"}, "set": {"a": 1}}, turn=number, phase="q", step="t", seen=2
    )
    assert ended["rev"] == client.get(device)["rev"]
    with pytest.raises(latchkey.Stale):
        client.done(device, turn=number, last=True)


def test_the_same_for_coroutines(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            async with client.turn(device, USER, ttl=0.3) as turn:
                await turn.session.say({"text": "one moment"})
                await asyncio.sleep(0.5)
                assert not turn.lost
                turn.say({"text": "to when?"})
                turn.set(phase="asking")
            assert (await client.history(device))["last_seq"] == 3
            with pytest.raises(TurnLost):
                async with client.turn(device, USER) as turn:
                    other = await client.turn(device, USER, policy="interrupt")
                    turn.say({"text": "late"})
            assert await other.done()
            with pytest.raises(ZeroDivisionError):
                async with client.turn(device, USER):
                    raise ZeroDivisionError
            async with client.turn(device, {"text": "one"}) as turn:
                joined = await client.turn(device, {"text": "two"}, policy="join")
                assert joined.is_joined
                turn.say({"text": "1"})
                assert not await turn.done()
                turn.say({"text": "2"})
            with pytest.raises(latchkey.Stale):
                await turn.session.touch()
            history = await client.history(device, last=2)
            assert [m["message"]["text"] for m in history["messages"]] == ["1", "2"]

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_cancelled_block_ends_its_turn(latchkey_worker: Worker, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(latchkey_worker.to) as client:
            entered = asyncio.Event()

            async def work() -> None:
                async with client.turn(device, USER):
                    entered.set()
                    await asyncio.sleep(60)

            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with client.turn(device, USER):
                pass

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("kind", ["turn", "lock"])
def test_what_has_ended_is_freed_without_the_collector_of_garbage(
    kind: str, latchkey_worker: Worker, device: str
) -> None:
    # A pass of the collector stops all callers of a process with a large framework for long.
    def begin(client: Any) -> Any:
        return client.turn(device) if kind == "turn" else client.lock(device, "a")

    def blocking() -> list[weakref.ref[Any]]:
        with latchkey_worker.client() as client:
            with begin(client) as held:
                pass
            return [weakref.ref(held)]

    async def coroutines() -> list[weakref.ref[Any]]:
        async with AsyncClient(latchkey_worker.to) as client:
            async with begin(client) as held:
                pass
            return [weakref.ref(held)]

    gc.collect()
    gc.disable()
    try:
        found = blocking() + asyncio.run(coroutines())
        assert [one() for one in found] == [None, None]
    finally:
        gc.enable()
