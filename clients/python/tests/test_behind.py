"""Changes that are sent in the background: in order, once, bounded, and with no error lost."""

from __future__ import annotations

import asyncio
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Fleet, Scripted, eventually

import latchkey
from latchkey import AsyncClient, Client, QueueFull, verbs
from latchkey.journal import Journal
from latchkey.lease import Moment
from latchkey.outbox import Draft, Queue
from latchkey.request import RETRIED_S
from latchkey.testing import Worker

SAID = 'OK {"seq":1,"chat":1}'


def test_changes_are_sent_in_order_while_the_caller_goes_on(
    latchkey_client: Client, device: str
) -> None:
    latchkey_client.open(device)
    with latchkey_client.write_behind() as behind:
        for n in range(100):
            behind.say(device, {"n": n})
        behind.set(device, {"done": True})
        behind.link(device, "tag", "t")
        behind.touch(device)
    messages = latchkey_client.history(device, last=1000)["messages"]
    assert [m["message"]["n"] for m in messages] == list(range(100))
    record = latchkey_client.get(device)
    assert record is not None
    assert record["fields"] == {"done": True}
    assert record["links"] == {"tag": ["t"]}


def test_changes_wait_for_a_worker_and_are_applied_once(fleet: Fleet, device: str) -> None:
    with Client(fleet.to, timeout=3, reply_timeout=1) as client:
        client.open(device)
        behind = client.write_behind()
        for round_ in range(3):
            for worker in fleet.workers:
                worker.kill()
            for n in range(5):
                behind.say(device, {"n": round_ * 5 + n})
            with pytest.raises(latchkey.Unavailable, match="5 changes"):
                behind.flush(0.1)
            for worker in fleet.workers:
                worker.restart()
            behind.flush(10)
        behind.close()
        messages = client.history(device, last=100)["messages"]
        assert [m["message"]["n"] for m in messages] == list(range(15))


def test_the_queue_is_bounded(scripted: Callable[..., Scripted]) -> None:
    worker = scripted(*[...] * 9)
    with Client(worker.to, timeout=0.3, reply_timeout=0.2) as client:
        behind = client.write_behind(count_max=3)
        for _ in range(3):
            behind.touch("d")
        with pytest.raises(QueueFull, match="3 of 3"):
            behind.touch("d")
        assert behind.count == 3
        with pytest.raises(latchkey.Unavailable):
            behind.close(0.05)
        with pytest.raises(latchkey.LatchkeyError, match="closed"):
            behind.touch("d")
        small = client.write_behind(bytes_max=200)
        small.say("d", {"n": 1})
        with pytest.raises(QueueFull, match="bytes"):
            small.say("d", {"text": "x" * 200})
        with pytest.raises(latchkey.Unavailable):
            small.close(0)


def test_the_error_of_a_refused_change_is_raised_by_the_next_call(
    scripted: Callable[..., Scripted],
) -> None:
    refused = "ERR illegal_state SAY: the session is completed"
    worker = scripted(refused, SAID, 'STALE {"rev":3}', SAID)
    with Client(worker.to) as client:
        behind = client.write_behind()
        behind.say("d", {"n": 1})
        eventually(lambda: not behind.count)
        with pytest.raises(latchkey.IllegalState):
            behind.say("d", {"n": 2})
        behind.say("d", {"n": 3})  # the call that raised did not take its change
        behind.flush()
        behind.say("d", {"n": 4})
        with pytest.raises(latchkey.Stale):
            behind.close()
    assert [line.rpartition(" ")[2] for line in worker.lines] == ['{"n":1}', '{"n":3}', '{"n":4}']


def test_or_it_is_given_to_a_function(scripted: Callable[..., Scripted]) -> None:
    worker = scripted("NONE", SAID)
    errors: list[latchkey.LatchkeyError] = []
    with Client(worker.to) as client, client.write_behind(on_error=errors.append) as behind:
        behind.say("d", {"n": 1})
        behind.say("d", {"n": 2})
    assert [type(error) for error in errors] == [latchkey.NotFound]


class Both:
    """A queue of either client, whose methods block."""

    def __init__(self, kind: str, to: str, path: Path | None = None, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_async = kind == "async"
        secret = options.pop("secret", None)
        made = (AsyncClient if self._is_async else Client)(to, secret=secret)
        self._client: Any = made
        self.queue: Any = self._result(lambda: made.write_behind(path, **options))

    def _result(self, call: Callable[[], Any]) -> Any:
        async def main() -> Any:
            found = call()
            return await found if asyncio.iscoroutine(found) else found

        return self._loop.run_until_complete(main()) if self._is_async else call()

    def say(self, number: int) -> None:
        self._result(lambda: self.queue.say("d", {"n": number}))

    def flush(self) -> None:
        self._result(lambda: self.queue.flush())

    def close(self) -> None:
        self._result(lambda: self.queue.close())

    def end(self) -> None:
        self._result(lambda: self._client.close())
        self._loop.close()


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_an_error_of_the_caller_s_functions_does_not_end_the_sending(
    kind: str, scripted: Callable[..., Scripted]
) -> None:
    worker = scripted("NONE", SAID, auth=["OK {}"])
    secrets: Any = iter([None, None, "secret"])
    both = Both(kind, worker.to, secret=lambda: next(secrets) or 1 // 0, on_error=lambda _: 1 // 0)
    both.say(1)  # two attempts have no secret; then it is refused, and on_error raises
    with pytest.raises(latchkey.NotFound) as refused:
        for _ in range(99):
            both.flush()
    assert "ZeroDivisionError" in getattr(refused.value, "__notes__", ["ZeroDivisionError"])[0]
    both.say(2)
    both.flush()
    assert [line.rpartition(" ")[2] for line in worker.lines[1:]] == ['{"n":1}', '{"n":2}']
    both.close()
    both.end()


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_file_that_cannot_be_written_any_more_is_an_error_of_each_call(
    kind: str, scripted: Callable[..., Scripted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scripted(SAID)
    both = Both(kind, worker.to, tmp_path / "changes")
    append = Journal._append

    def full(self: Journal, record: list[Any]) -> None:
        if record[0] == "try":
            raise OSError(28, "No space left on device")
        append(self, record)

    monkeypatch.setattr(Journal, "_append", full)
    both.say(1)
    for _ in range(2):
        with pytest.raises(latchkey.LatchkeyError, match="No space left"):
            both.flush()
    with pytest.raises(latchkey.LatchkeyError, match="No space left"):
        both.say(2)
    with pytest.raises(latchkey.LatchkeyError, match="No space left"):
        both.close()
    both.end()
    assert worker.lines == []
    kept = Journal(tmp_path / "changes", 9, 999, sync=False)
    assert [line.rpartition(" ")[2] for line in says(kept)] == ['{"n":1}']
    kept.close()


def test_the_exception_of_the_block_is_the_one_that_is_raised(
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted("NONE")
    with Client(worker.to) as client, pytest.raises(ZeroDivisionError) as raised:  # noqa: SIM117
        with client.write_behind() as behind:
            behind.touch("d")
            raise ZeroDivisionError
    assert "NotFound" in getattr(raised.value, "__notes__", ["NotFound"])[0]


def test_a_forked_child_sends_nothing(latchkey_client: Client, device: str) -> None:
    latchkey_client.open(device)
    with latchkey_client.write_behind() as behind:
        behind.say(device, {"n": 1})
        child = os.fork()
        if child == 0:
            try:
                try:
                    behind.say(device, {"n": 2})
                except latchkey.LatchkeyError:
                    behind.close()
                    os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert latchkey_client.history(device)["last_seq"] == 1


def test_fields_are_saved_together_when_they_pause(latchkey_client: Client, device: str) -> None:
    lock = latchkey_client.lock(device, "a")
    session = latchkey_client.session(device, {"old": 1}, fenced=True, token=lock.token)
    with session.autosave(quiet=0.05) as draft:
        for n in range(20):
            draft.set({"n": n, "old": None})
        assert not draft.is_saved
        eventually(lambda: draft.is_saved)
        record = session.get()
        assert record is not None
        assert record["fields"] == {"n": 19}
        assert record["rev"] == 2
        draft.set({"last": True})
        with pytest.raises(ValueError, match="JSON"):
            draft.set({"n": math.nan})
    record = session.get()
    assert record is not None
    assert record["fields"] == {"n": 19, "last": True}
    with pytest.raises(latchkey.Stale), session.autosave() as draft:
        latchkey_client.seize(device, "b")
        draft.set({"n": 0})


def test_the_same_for_coroutines(latchkey_worker: Worker, fleet: Fleet, device: str) -> None:
    async def main() -> None:
        async with AsyncClient(fleet.to, timeout=3, reply_timeout=1) as client:
            session = await client.session(device)
            async with client.write_behind() as behind:
                for n in range(20):
                    behind.say(device, {"n": n})
                assert behind.count == 20
                await behind.flush()
                for worker in fleet.workers:
                    worker.kill()
                behind.say(device, {"n": 20})
                with pytest.raises(latchkey.Unavailable):
                    await behind.flush(0.1)
                for worker in fleet.workers:
                    worker.restart()
                await behind.flush(10)
            history = await client.history(device, last=100)
            assert [m["message"]["n"] for m in history["messages"]] == list(range(21))
            async with session.autosave(quiet=0.05, longest=1) as draft:
                draft.set({"a": 1})
                draft.set({"b": 2})
                while not draft.is_saved:
                    await asyncio.sleep(0.005)
                draft.set({"a": None})
            record = await session.get()
            assert record is not None
            assert (record["fields"], record["rev"]) == ({"b": 2}, 3)
            await client.delete(device)
            behind = client.write_behind(count_max=1)
            behind.touch(device)
            with pytest.raises(QueueFull):
                behind.touch(device)
            with pytest.raises(latchkey.NotFound):
                await behind.close()
            with pytest.raises(latchkey.LatchkeyError, match="closed"):
                behind.touch(device)
            errors: list[Any] = []
            async with client.write_behind(on_error=errors.append) as other:
                other.touch(device)
            assert [type(error) for error in errors] == [latchkey.NotFound]

    asyncio.run(asyncio.wait_for(main(), 60))


# The parts without a thread.


def test_a_draft_is_due_when_it_paused_or_has_waited_for_long() -> None:
    draft = Draft(lambda members: verbs.set("d", members, req="r"), 2, 5)
    assert draft.wait_s(100.0) == math.inf
    assert draft.next(100.0, is_closing=True) is None
    draft.change({"a": 1}, 100.0)
    assert draft.wait_s(100.0) == 2.0
    draft.change({"a": 2, "b": 1}, 101.0)
    assert draft.wait_s(101.0) == 2.0
    for now in (102.5, 104.0):
        draft.change({"b": now}, now)
    assert draft.next(104.9, is_closing=False) is None
    assert draft.wait_s(104.9) == pytest.approx(0.1)  # since the first change
    request = draft.next(105.0, is_closing=False)
    assert request is not None
    assert request.payload == '{"a":2,"b":104.0}'
    draft.change({"c": 1}, 105.1)
    assert draft.next(200.0, is_closing=True) is request  # it may have been applied: the same again
    assert draft.count == 2
    draft.settle()
    following = draft.next(200.0, is_closing=False)
    assert following is not None
    assert following.payload == '{"c":1}'
    draft.settle()
    assert draft.count == 0


def test_a_change_is_not_repeated_for_longer_than_its_key_is_kept() -> None:
    queue = Queue(9, 999)
    queue.put(verbs.touch("d"))
    assert not queue.is_too_late(Moment(0, 0))
    queue.attempt(Moment(100, 7000))
    queue.attempt(Moment(500, 7400))
    assert not queue.is_too_late(Moment(100 + RETRIED_S, 7000 + RETRIED_S))
    assert queue.is_too_late(Moment(100.1 + RETRIED_S, 7000))
    assert queue.is_too_late(Moment(101, 7000.1 + RETRIED_S)), "a monotonic clock may have stopped"
    queue.settle()
    assert not queue.is_too_late(Moment(1e9, 1e9))


def says(queue: Queue) -> list[str]:
    found = []
    while (request := queue.next(0, is_closing=False)) is not None:
        found.append(request.line().decode("utf-8", "surrogatepass").rstrip("\n"))
        queue.settle()
    return found


def test_a_queue_in_a_file_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "changes"
    first = Journal(path, 9, 9999, sync=True)
    wanted = [
        verbs.say("gerät 1", {"text": "ü\u2028\ud800"}, req="r 1"),
        verbs.touch("d", req="2"),
        verbs.set("d", {"a": None}, turn=7, req="3"),
    ]
    lines = [request.line().decode().rstrip("\n") for request in wanted]
    for request in wanted:
        first.put(request)
    first.attempt(Moment.now())
    first.settle()
    first.attempt(Moment.now())
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(latchkey.LatchkeyError, match="in use by another process"):
        Journal(path, 9, 9999, sync=False)
    first.close()
    with path.open("ab") as file:
        file.write(b'["put","TOUCH",["d"')  # the process died here
    second = Journal(path, 9, 9999, sync=False)
    assert second.count == 2
    assert not second.is_too_late(Moment.now())
    assert second.is_too_late(Moment(0, time.time() + RETRIED_S + 1))
    with pytest.raises(QueueFull):
        for _ in range(9):
            second.put(verbs.touch("x", req="4"))
    second.close()
    third = Journal(path, 1, 1, sync=False)  # what is there stays, whatever the bounds are
    assert says(third) == [*lines[1:], *["TOUCH x req=4"] * 7]
    assert path.stat().st_size == 0
    third.close()


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "changes"
    queue = Journal(path, 99, 1 << 20, sync=False)
    queue.put(verbs.touch("d"))
    for n in range(300):
        queue.put(verbs.say("d", {"n": n, "text": "x" * 1000}))
        queue.attempt(Moment.now())
        queue.settle()
        assert path.stat().st_size < 80_000
    queue.close()
    again = Journal(path, 99, 1 << 20, sync=False)
    assert [line[:5] for line in says(again)] == ["SAY d"]
    again.close()


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    for text in ("hello\n", '["put",1]\n', "[]\n", '{"a":1}\n', '["done"]\n'):
        path.write_text(text)
        with pytest.raises(latchkey.LatchkeyError, match=r"no queue of changes \(line 1\)"):
            Journal(path, 9, 999, sync=False)
        assert path.read_text() == text


def test_a_full_disk_takes_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Journal(tmp_path / "changes", 9, 999, sync=False)
    queue.put(verbs.touch("d", req="1"))
    write = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(file, data[:8])

    monkeypatch.setattr("os.write", full)
    with pytest.raises(QueueFull, match="No space left"):
        queue.put(verbs.touch("d", req="2"))
    monkeypatch.undo()
    queue.put(verbs.touch("d", req="3"))
    queue.close()
    again = Journal(tmp_path / "changes", 9, 999, sync=False)
    assert says(again) == ["TOUCH d req=1", "TOUCH d req=3"]
    again.close()


KILLED = """
import os, signal, sys, latchkey
client = latchkey.Client(sys.argv[1], timeout=0.2, reply_timeout=0.2)
behind = client.write_behind(sys.argv[2])
for n in range(20):
    behind.say(sys.argv[3], {"n": n})
print("queued", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_what_a_killed_process_has_left_is_sent_once(
    kind: str, worker: Worker, device: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "changes")
    with worker.client() as client:
        client.open(device)
        for _ in range(3):  # killed at different points of its queue
            code = [sys.executable, "-c", KILLED, worker.to, path, device]
            source = str(Path(latchkey.__file__).parents[1])
            made = subprocess.run(code, env={"PYTHONPATH": source}, capture_output=True, text=True)
            assert made.stdout == "queued\n", made.stderr
        if kind == "blocking":
            with client.write_behind(path) as behind:
                behind.touch(device)
        else:
            asyncio.run(drained(worker.to, path))
        messages = client.history(device, last=1000)["messages"]
        assert [m["message"]["n"] for m in messages] == [*range(20)] * 3
    assert os.path.getsize(path) == 0


async def drained(to: str, path: str) -> None:
    async with AsyncClient(to) as client, client.write_behind(path) as behind:
        await behind.flush()


def test_a_change_whose_key_may_have_expired_is_reported_and_not_sent(
    scripted: Callable[..., Scripted], tmp_path: Path
) -> None:
    path = tmp_path / "changes"
    journal = Journal(path, 9, 999, sync=False)
    journal.put(verbs.touch("d", req="old"))
    journal.put(verbs.touch("d", req="new"))
    journal.attempt(Moment.now())
    journal.close()
    long_ago = f'["try",{time.time() - RETRIED_S - 9}]'
    path.write_text(re.sub(r'\["try",[^]]*\]', long_ago, path.read_text()))
    worker = scripted('OK {"idle_at":null}')
    errors: list[latchkey.LatchkeyError] = []
    with Client(worker.to) as client, client.write_behind(path, on_error=errors.append):
        eventually(lambda: worker.lines)
    assert worker.lines == ["TOUCH d req=new"]
    assert isinstance(errors[0], latchkey.UnknownOutcome)
    assert errors[0].req == "old"


def test_a_call_is_not_repeated_after_its_process_was_frozen_for_long(
    scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = scripted(None, "OK {}")
    with Client(worker.to) as client:
        wall = time.time
        # The wall clock jumps once the line has been sent.
        monkeypatch.setattr("time.time", lambda: wall() + (RETRIED_S + 1) * bool(worker.lines))
        with pytest.raises(latchkey.UnknownOutcome):
            client.touch("d", req="r")
    assert worker.lines == ["TOUCH d req=r"]


def test_many_threads_may_add_changes(latchkey_client: Client, device: str) -> None:
    latchkey_client.open(device)
    with latchkey_client.write_behind(count_max=1000) as behind:
        threads = [
            threading.Thread(target=lambda n=n: behind.say(device, [{"n": n}] * 3))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert latchkey_client.history(device, last=0)["last_seq"] == 60
