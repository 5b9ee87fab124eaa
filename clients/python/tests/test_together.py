"""Several requests that are sent together: in order, in one round trip, and each once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Driver, Fleet, Scripted, eventually

import latchkey
from latchkey import verbs

GET, TOUCH = verbs.get("d"), verbs.touch("d", req="r")


def test_they_are_sent_in_one_write_and_answered_in_order(
    client: Driver, device: str, drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    requests = [verbs.recover(device), *(verbs.say(device, {"n": n}) for n in range(300))]
    results = client.ask_all(requests)
    assert [said["seq"] for said in results[1:]] == list(range(1, 301))
    assert client.ask_all([]) == []
    # Both lines come before the first of them is answered.
    held = scripted("OK {}\nOK {}", "", auth=["OK"])
    assert drive(held.to, secret="s").ask_all([verbs.ping(), verbs.ping()]) == [None, None]
    eventually(lambda: held.lines == ['AUTH "s"', "PING", "PING"])


def test_the_first_error_is_raised_when_all_replies_are_there(client: Driver, device: str) -> None:
    with pytest.raises(latchkey.NotFound):
        client.ask_all([verbs.pause(device), verbs.open(device), verbs.say(device, {"n": 1})])
    assert client.history(device)["last_seq"] == 1


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        # The first has its reply: only the rest is sent again.
        (["OK {}", None, 'OK {"rev":1}'], [GET, TOUCH, TOUCH]),
        # The worker sheds the first: the second is sent behind it once more.
        (["ERR overloaded later", "OK {}", "OK {}", "OK {}"], [GET, TOUCH, GET, TOUCH]),
    ],
)
def test_what_has_no_definite_reply_is_sent_again(
    script: list[str | None],
    lines: list[latchkey.request.Request[object]],
    drive: Callable[..., Driver],
    scripted: Callable[..., Scripted],
) -> None:
    worker = scripted(*script)
    assert len(drive(worker.to).ask_all([GET, TOUCH])) == 2
    assert worker.lines == [request.line().decode().rstrip("\n") for request in lines]


def test_each_is_applied_once_when_workers_are_killed(
    fleet: Fleet, drive: Callable[..., Driver], device: str
) -> None:
    client = drive(fleet.to)
    said = 0
    for _ in range(4):
        serving = fleet.serving(client.subject)
        serving.kill()
        requests = [verbs.recover(device), verbs.say(device, [{"n": said}, {"n": said + 1}])]
        said += 2
        assert client.ask_all(requests)[1]["seq"] == said
        serving.restart()
    messages = client.history(device)["messages"]
    assert [message["message"]["n"] for message in messages] == list(range(said))


def test_the_error_is_that_of_the_request_that_is_left(
    drive: Callable[..., Driver], scripted: Callable[..., Scripted]
) -> None:
    worker = scripted("OK {}", *[...] * 50)
    client = drive(worker.to, timeout=0.4, reply_timeout=0.2)
    with pytest.raises(latchkey.UnknownOutcome) as unknown:
        client.ask_all([GET, TOUCH])
    assert unknown.value.req == "r"
    assert "TOUCH" in str(unknown.value)
