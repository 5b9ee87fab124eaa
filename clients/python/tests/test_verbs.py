"""Every verb through both clients, against a real worker."""

from __future__ import annotations

import json
import time

import pytest
from conftest import Driver

import latchkey
from latchkey import ALL, Address


def test_lock_renew_unlock_and_holder(client: Driver, device: str) -> None:
    assert client.holder(device) is None
    lock = client.lock(device, "agent Ä", ttl=60)
    assert lock.agent == "agent Ä"
    assert not lock.is_renewed
    holder = client.holder(device)
    assert holder["agent"] == "agent Ä"
    assert 0 < holder["ttl_ms"] <= 60_000
    with pytest.raises(latchkey.Held) as held:
        client.lock(device, "other")
    assert held.value.agent == "agent Ä"
    assert 0 < held.value.ttl_ms <= 60_000
    again = client.lock(device, "agent Ä", ttl="2m")
    assert (again.token, again.is_renewed) == (lock.token, True)
    assert client.renew(device, "agent Ä", token=lock.token)["ttl_ms"] == 120_000
    with pytest.raises(latchkey.Stale):
        client.renew(device, "agent Ä", token=5)
    with pytest.raises(latchkey.Held):
        client.unlock(device, "other")
    assert client.unlock(device, "agent Ä", token=lock.token)["held_ms"] >= 0
    with pytest.raises(latchkey.NotFound):
        client.unlock(device, "agent Ä")
    with pytest.raises(latchkey.Stale):
        client.lock(device, "agent Ä", token=lock.token)


def test_handoff_seize_and_clear(client: Driver, device: str) -> None:
    lock = client.lock(device, "a")
    grant = client.handoff(device, "a", "b/c", {"why": "é"}, token=lock.token, ttl=30)
    assert (grant["agent"], grant["ttl_ms"]) == ("b/c", 30_000)
    assert grant["token"] > lock.token
    assert client.holder(device)["note"] == {"why": "é"}
    taken = client.seize(device, "d", ttl=20)
    assert taken["seized_from"] == "b/c"
    assert client.clear(device)["agent"] == "d"
    with pytest.raises(latchkey.NotFound):
        client.clear(device)


def test_open_get_set_and_delete(client: Driver, device: str) -> None:
    assert client.get(device) is None
    record = client.open(
        device,
        {"lang": "en", "ü": [1, {"a": None}]},
        user="ada/1",
        name="first draft",
        thread=f"thread {device}",
        phase="intake",
        step="one two",
        idle=60,
        abandon="1h",
        archive=0,
        life=0,
        keep="3d",
        warn=1.5,
        fenced=False,
    )
    assert record["device"] == device
    assert record["links"] == {"user": ["ada/1"]}
    assert record["fields"] == {"lang": "en", "ü": [1, {"a": None}]}
    assert (record["name"], record["phase"], record["step"]) == ("first draft", "intake", "one two")
    assert record["clocks"]["idle_ms"] == 60_000
    assert record["clocks"]["warn_ms"] == 1500
    where = Address(device, record["session"])
    assert client.get(where) == client.get(device)
    assert client.set(where, {"lang": None, "n": 2}, rev=1, step="x")["rev"] == 2
    assert client.get(where)["fields"] == {"ü": [1, {"a": None}], "n": 2}
    with pytest.raises(latchkey.Stale) as stale:
        client.set(where, {"n": 3}, rev=1)
    assert stale.value.rev == 2
    client.set(where, name="second", phase="p", user="bob")
    assert client.get(where)["links"] == {"user": ["bob"]}
    client.delete(where)
    assert client.get(where) is None
    with pytest.raises(latchkey.NotFound):
        client.set(where, {"a": 1})


def test_touch_pause_resume_close_archive_and_recover(client: Driver, device: str) -> None:
    session = client.open(device)["session"]
    assert client.touch(device)["idle_at"] > 0
    paused = client.pause(device, reason="out for lunch")
    assert (paused["state"], paused["reason"]) == ("paused", "out for lunch")
    with pytest.raises(latchkey.IllegalState):
        client.pause(device)
    assert client.resume(device)["state"] == "active"
    assert client.recover(device, {"new": 1})["how"] == "latest"
    assert client.recover(device, {"new": 1})["ignored"] == ["payload"]
    closed = client.close_session(device, "failed", reason="timeout")
    assert (closed["state"], closed["reason"]) == ("failed", "timeout")
    assert client.archive(Address(device, session))["state"] == "archived"
    revived = client.recover(Address(device, session), archived=True)
    assert revived["state"] == "active"
    assert client.recover(device, hint=session)["how"] == "hint"
    new = client.recover(device, {"a": 1}, user="eve", hint=session)
    assert (new["how"], new["hint"], new["fields"]) == ("new", "other_user", {"a": 1})


def test_links_and_lists(client: Driver, device: str) -> None:
    mission = f"m/{device}"
    session = client.open(device, user="ada")["session"]
    client.link(device, "mission", mission)
    found = client.list(mission=mission)
    assert [record["session"] for record in found["sessions"]] == [session]
    assert found["sessions"][0]["links"] == {"user": ["ada"], "mission": [mission]}
    client.open(device)
    first = client.list(device, limit=1)
    assert len(first["sessions"]) == 1
    second = client.list(device, limit=1, cursor=first["cursor"])
    assert second["sessions"][0]["session"] == session
    assert second["cursor"] is None
    assert client.list(device, state="paused")["sessions"] == []
    assert client.list(ALL, limit=1)["sessions"]
    client.unlink(device, "mission", mission)
    client.unlink(Address(device, session), "mission", mission)
    assert client.list(mission=mission)["sessions"] == []
    with pytest.raises(latchkey.BadRequest):
        client.link(device, "agent", "x")
    with pytest.raises(TypeError):
        client.list()
    with pytest.raises(TypeError):
        client.list(device, user="ada")


def test_shares(client: Driver, device: str) -> None:
    session = Address(device, client.open(device, user="ada")["session"])
    client.share(session, "bob l", until=60)
    client.share(session, "eve", role="write")
    shares = client.get(session)["shares"]
    assert [(share["user"], share["role"]) for share in shares] == [
        ("bob l", "read"),
        ("eve", "write"),
    ]
    assert shares[0]["until"] is not None
    assert shares[1]["until"] is None
    assert client.get(session, as_="bob l")["session"] == session.session
    with pytest.raises(latchkey.Forbidden):
        client.say(session, {"a": 1}, as_="bob l")
    client.say(session, {"a": 1}, as_="eve")
    ticket = client.ticket(session, role="write", ttl=60)
    assert ticket["ticket"].startswith("t~")
    assert ticket["expires_at"] > 0
    with pytest.raises(latchkey.Forbidden):
        client.ticket(session, as_="eve")
    client.unshare(session, "bob l")
    client.unshare(session, "eve", tickets="all")
    assert client.get(session, as_="eve") is None
    with pytest.raises(latchkey.BadRequest):
        client.unshare(session)


def test_chats_and_messages(client: Driver, device: str) -> None:
    client.open(device)
    assert client.say(device, {"role": "user", "text": "hello é"}) == {"seq": 1, "chat": 1}
    assert client.say(Address(device, None, 1), [{"n": 2}, {"n": 3}])["seq"] == 3
    assert client.chat(device, {"model": "large"}, name="re search") == {
        "chat": 2,
        "name": "re search",
    }
    with pytest.raises(latchkey.Conflict):
        client.chat(device, name="re search")
    chats = client.chats(device)
    assert (len(chats["chats"]), chats["current"]) == (2, 2)
    assert client.switch(Address(device, None, 1)) == {"chat": 1}
    named = client.set_chat(Address(device, None, 2), {"model": None, "x": 1}, name="plan")
    assert named == {"chat": 2, "name": "plan"}
    assert client.get_chat(Address(device, None, 2))["config"] == {"x": 1}
    assert client.get_chat(Address(device, None, 7)) is None
    history = client.history(device, last=2)
    assert [m["message"] for m in history["messages"]] == [{"n": 2}, {"n": 3}]
    assert (history["more"], history["first_seq"], history["last_seq"]) == (True, 1, 3)
    after = client.history(device, after=2, limit=5)
    assert [m["seq"] for m in after["messages"]] == [3]
    with pytest.raises(latchkey.Stale) as stale:
        client.history(device, after=9)
    assert stale.value.seq == 3
    assert client.pop(device)["message"] == {"n": 3}
    assert client.forget(device) == {"removed": 2}
    assert client.pop(device) is None
    client.delete(Address(device, None, 2))
    assert client.get_chat(Address(device, None, 2)) is None


def test_an_address_of_the_wrong_kind_is_an_error_before_it_is_sent(client: Driver) -> None:
    with pytest.raises(TypeError, match="get_chat"):
        client.get(Address("d", None, 1))
    with pytest.raises(TypeError, match="set_chat"):
        client.set(Address("d", None, 1), {})


def test_events_and_acknowledgements(client: Driver, device: str) -> None:
    client.lock(device, "a", ttl=60)
    client.handoff(device, "a", "b", {"n": 1})
    client.clear(device)
    page = client.events(device)
    assert [event["type"] for event in page["events"]] == ["lock.handed_off", "lock.cleared"]
    assert page["events"][0]["device"] == device
    assert page["events"][0]["to"] == "b"
    first, last = (event["id"] for event in page["events"])
    assert [e["id"] for e in client.events(device, after=first, limit=5)["events"]] == [last]
    assert client.events(device, after=last, wait="20ms") == {"events": []}
    seen: set[str] = set()
    while not {first, last} <= seen:
        page = client.events(ALL, group="verbs", types=["lock.handed_off", "lock.cleared"], wait=5)
        ids = [event["id"] for event in page["events"]]
        assert client.ack("verbs", *ids) == {"acked": len(ids)}
        seen |= set(ids)


def test_reports_and_backup(client: Driver, device: str) -> None:
    client.lock(device, "reporter 1")
    assert client.stats()["locks"]["by_agent"]["reporter 1"] >= 1
    assert client.report(agent="reporter 1")["agent"] == "reporter 1"
    session = client.open(device, {"big": 12345678901234567890, "exact": 1.50}, user=device)
    client.say(device, {"role": "user", "text": "a"})
    assert client.report(device)["messages"] == 1
    assert client.report(user=device)["sessions"] == 1
    exported = client.export(device)
    assert json.loads(exported)["session"] == session["session"]
    client.delete(device)
    assert client.import_(exported)["session"] == session["session"]
    assert json.loads(client.export(device))["fields"] == json.loads(exported)["fields"]
    with pytest.raises(latchkey.IllegalState):
        client.import_(exported)
    assert client.import_(exported, replace=True)["session"] == session["session"]
    with pytest.raises(ValueError, match="one line"):
        client.import_("{\n}")


def test_an_export_comes_back_byte_for_byte(client: Driver, device: str) -> None:
    now = int(time.time() * 1000)
    other = f"byte-{time.time_ns()}"
    stored = (
        f'{{"format":1,"device":"{other}","session":"01J0000000000000000000000A",'
        '"state":"active","rev":1,"clocks":[0,0,0,0,60000,0],'
        f'"created_at":{now},"active_at":{now},"born_at":{now},"since":{now},'
        f'"thread":"{other}","chat":1,"fields":{{"n":[1,1.50]}},'
        '"chats":[{"seq":0,"messages":[]}]}'
    )
    record = client.import_(stored)
    assert record["device"] == other
    assert '"n":[1,1.50]' in client.export(Address(other, record["session"]))


def test_the_connection(client: Driver) -> None:
    assert client.ping() is None
    assert client.info()["protocol"] == 1
    assert client.help("clear")["verb"] == "CLEAR"
    with pytest.raises(latchkey.BadRequest):
        client.help("GRAB")


def test_a_session_knows_its_address_and_its_token(client: Driver, device: str) -> None:
    lock = client.lock(device, "a")
    session = client.session(device, {"n": 1}, user="ada", fenced=True, token=lock.token)
    assert session.record["how"] == "new"
    assert (session.device, session.token) == (device, lock.token)
    assert session.id == session.get()["session"]
    with pytest.raises(latchkey.Stale):
        client.touch(device)
    session.touch()
    session.set({"n": 2}, step="two")
    session.say({"role": "user"})
    session.chat({"model": 1}, name="b")
    first = session.at(1)
    first.say({"role": "assistant"})
    assert len(first.history()["messages"]) == 2
    first.switch()
    assert session.chats()["current"] == 1
    session.at(2).set_chat({"model": 2})
    assert session.at(2).get_chat()["config"] == {"model": 2}
    assert first.pop()["message"] == {"role": "assistant"}
    assert first.forget() == {"removed": 1}
    session.link("tag", "t 1")
    session.unlink("tag", "t 1")
    session.pause(reason="r")
    session.resume()
    assert session.report()["session"] == session.id
    assert json.loads(session.export())["session"] == session.id
    other = client.attach(device, session.id, token=lock.token)
    assert other.get()["fields"] == {"n": 2}
    assert client.attach(device).get()["session"] == session.id
    session.close("failed")
    session.archive()
    assert session.recover(archived=True)["state"] == "active"
    session.delete()
    assert session.get() is None


def test_large_and_odd_messages_come_back(client: Driver, device: str) -> None:
    client.open(device)
    big = {"text": "é🙂" * 30_000, "lone": "\ud800", "control": "\x00\x7f\x85\u2028\n", "n": 10**30}
    client.say(device, [big, big])
    history = client.history(device)
    assert [m["message"] for m in history["messages"]] == [big, big]
    with pytest.raises(latchkey.BadRequest) as too_large:
        client.say(device, {"text": "x" * 300_000})
    assert too_large.value.code == "too_large"
    with pytest.raises(latchkey.BadRequest):
        client.say(device, {"text": "x" * 1_200_000})
    assert client.ping() is None  # the connection is in step


def test_a_key_of_the_callers_own_is_applied_once(client: Driver, device: str) -> None:
    client.open(device)
    for _ in range(3):
        assert client.say(device, {"n": 1}, req="event/ü 1")["seq"] == 1
    with pytest.raises(latchkey.Conflict):
        client.say(device, {"n": 2}, req="event/ü 1")
    assert client.history(device)["last_seq"] == 1


def test_messages_on_conditions(client: Driver, device: str) -> None:
    client.open(device)
    assert client.say(device, [{"u": 1}, {"u": 2}], id="u")["seq"] == 2
    assert client.say(device, [{"u": 2}, {"u": 3}], id="u")["known"] == 1
    with pytest.raises(latchkey.Stale) as stale:
        client.say(device, {"n": 1}, seq=2)
    assert stale.value.seq == 3
    assert client.say(device, {"role": "user"}, after=1, last=3)["seq"] == 4
    client.amend(device, {"role": "user", "n": 2}, seq=4)
    with pytest.raises(latchkey.NotFound):
        client.amend(device, {}, seq=3)
    page = client.history(device, before=4)
    assert [message["seq"] for message in page["messages"]] == [1]
    page = client.history(device, role="user")
    assert page["messages"][0]["message"] == {"role": "user", "n": 2}
    assert client.forget(device, seq=1)["removed"] == 1
    popped = client.pop_many(device, count=3, last=4)
    assert [message["seq"] for message in popped["messages"]] == [4]
    assert client.pop_many(device, count=3) is None


def test_documents(client: Driver, device: str) -> None:
    client.open(device)
    first = client.put(device, "run 1", {"n": 1.5}, if_="absent")
    assert first["created"]
    with pytest.raises(latchkey.Stale):
        client.put(device, "run 1", {}, if_="absent")
    assert not client.put(device, "run 1", [1, "é"], rev=first["rev"], ttl=60)["created"]
    client.put(device, "x\0y", "YQ==")
    taken = client.take(device, "x\0y", "none", "run 1")["documents"]
    assert [document and document["value"] for document in taken] == ["YQ==", None, [1, "é"]]
    page = client.keys(device, prefix="run", newest=True, limit=1)
    assert [document["key"] for document in page["documents"]] == ["run 1"]
    page = client.keys(device, from_="s", values=True)
    assert [document["value"] for document in page["documents"]] == ["YQ=="]
    assert client.drop(device, "run 1", "none")["removed"] == 1
    assert client.drop(device, prefix="x")["removed"] == 1


def test_changes_in_one_step_and_chats_by_name(client: Driver, device: str) -> None:
    client.open(device, chat="none")
    assert client.apply(device, {"say": {"n": 1}, "put": {"k": "v"}, "set": {"a": 1}})["seq"] == 1
    with pytest.raises(latchkey.Stale):
        client.apply(device, {"say": {"n": 2}}, seq=0)
    side = Address(device, "current", "@side notes")
    assert client.say(side, {"n": 1})["chat"] == 2
    assert client.get_chat(side)["name"] == "side notes"
    client.chat(device, max_messages=1, full="refuse")
    with pytest.raises(latchkey.Quota):
        client.say(device, [{}, {}])
    client.set(device, idle=0, life="8h")
    record = client.get(device)
    assert record["idle_at"] is None
    assert record["clocks"]["life_ms"] == 28_800_000


def test_a_profile(client: Driver, device: str) -> None:
    assert client.profile(user=device)["fields"] == {}
    assert client.profile({"lang": "en", "n": 1}, user=device)["rev"] == 1
    with pytest.raises(latchkey.Stale):
        client.profile({"n": 2}, rev=9, user=device)
    client.profile({"n": None}, rev=1, user=device)
    assert client.profile(user=device) == {"rev": 2, "fields": {"lang": "en"}}


def test_the_held_locks(client: Driver, device: str) -> None:
    client.lock(device, "agent ü")
    (held,) = [one for one in client.locks(agent="agent ü")["locks"] if one["device"] == device]
    assert held["agent"] == "agent ü"
    assert client.locks(agent=device)["locks"] == []


def test_a_copy(client: Driver, device: str) -> None:
    session = client.open(device, {"a": 1})["session"]
    client.say(device, {"n": 1})
    copy = client.copy(Address(device, session), device + "/2")
    assert (copy["device"], copy["fields"], copy["messages"]) == (device + "/2", {"a": 1}, 1)
    assert copy["session"] != session
    with pytest.raises(latchkey.NotFound):
        client.copy(device + "/none", device)


def test_parts_of_a_record_and_of_a_list(client: Driver, device: str) -> None:
    client.open(device, {"a": 1, "b": 2})
    client.say(device, [{"n": 1}, {"n": 2}])
    assert client.get(device, fields="none")["fields"] == {}
    assert client.get(device, fields=["b", "c"])["fields"] == {"b": 2}
    assert [message["seq"] for message in client.get(device, last=1)["recent"]] == [2]
    client.pause(device)
    client.open(device)
    assert len(client.list(device, state=["active", "paused"])["sessions"]) == 2
