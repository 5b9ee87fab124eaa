"""A session without a worker beside a real one: the same calls have the same results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Driver

import latchkey


def converse(session: Driver) -> list[Any]:
    """The results of many calls, without what differs between any two sessions."""
    results: list[Any] = [
        session.history(),
        session.pop(),
        session.set({"a": None, "b": {"c": [1.5, "é"]}}, name="first draft", step="two"),
        session.say({"n": 1}),
        session.say([{"n": 2}, {"n": 3}]),
        session.at(1).history(last=2),
        session.history(limit=2),
        session.history(last=0),
        session.history(after=1),
        session.history(after=0, limit=2),
        session.pop(),
        session.say({"n": 4}),
        session.history(last=1),
        session.forget(),
        session.history(),
        session.get(),
        session.get(fields=["b", "none such"]),
        session.get(fields="none"),
    ]
    return [plain(result) for result in results]


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        differing = ("session", "thread", "stateless", "how", "clocks")
        return {
            name: plain(member)
            for name, member in value.items()
            if name not in differing and not name.endswith("_at") and name != "at"
        }
    return [plain(member) for member in value] if isinstance(value, list) else value


def test_it_answers_as_a_worker_does(client: Driver, device: str) -> None:
    real = client.session(device, {"a": 1}, idle=0, abandon=0, life=0)
    local = client.stateless(device, {"a": 1})
    assert converse(local) == converse(real)
    assert set(local.get()) - {"how", "stateless"} == set(real.get())
    assert local.touch()["stateless"] is True
    assert client.get(device)["messages"] == 0  # nothing of it went to the worker


def test_it_is_marked_and_has_no_more_than_it_can_answer(drive: Callable[..., Driver]) -> None:
    client = drive("127.0.0.1:1", timeout=0.1)
    try:
        session = client.session("d")
    except latchkey.Unavailable:
        session = client.stateless("d", {"lang": "en"})
    assert session.is_stateless
    assert not client.attach("d").is_stateless
    assert session.record["how"] == "stateless"
    assert session.say({"n": 1}) == {"seq": 1, "chat": 1, "stateless": True}
    for call in (
        session.close,
        session.pause,
        session.chats,
        session.export,
        session.autosave,
        lambda: session.at(2),
        lambda: session.link("tag", "t"),
        lambda: session.say({"n": 2}, seq=1),
        lambda: session.history(role="user"),
        lambda: session.pop_many(count=2),
        lambda: session.forget(after=1),
        lambda: session.get(last=5),
        lambda: session.set({"n": 1}, rev=7),
        lambda: session.set({"n": 1}, idle=60),
    ):
        with pytest.raises(latchkey.Unavailable, match="stateless"):
            call()
