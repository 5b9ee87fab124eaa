"""The multi-user agent's AgentSessionManager, called as its callers called it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime

import pytest

from latchkey import Client, Unavailable
from latchkey.compat.agent_sessions import AgentSessionManager
from latchkey.testing import Worker

MEMBERS = {"title", "thread_id", "created_at", "updated_at", "is_active"}


@pytest.fixture
def client(latchkey_worker: Worker) -> Iterator[Client]:
    with latchkey_worker.client() as made:
        yield made


@pytest.fixture
def session_manager(client: Client, device: str) -> Iterator[AgentSessionManager]:
    with AgentSessionManager(client, name=device) as made:
        yield made


def test_a_session_is_made_found_changed_and_ended(
    session_manager: AgentSessionManager, device: str
) -> None:
    user = device
    with pytest.raises(ValueError, match="has no session"):
        session_manager.get_current_user_session(user_id=user)
    assert not session_manager.has_session(user_id=user)
    session = session_manager.get_or_create_user_session(user_id=user, title="First")
    assert set(session) == MEMBERS
    assert session["title"] == "First" and session["is_active"] is True
    assert session["thread_id"].startswith(f"{user}_")
    assert datetime.fromisoformat(session["created_at"]).tzinfo is not None
    again = session_manager.get_or_create_user_session(user_id=user, title="Second")
    assert again == session
    assert session_manager.has_session(user_id=user)
    updated = session_manager.update_session(user_id=user, updates={"title": "Third", "n": 1})
    assert (updated["title"], updated["n"]) == ("Third", 1)
    assert session_manager.get_current_user_session(user)["title"] == "Third"
    assert updated["thread_id"] == session["thread_id"]
    session_manager.deactivate_session(user_id=user)
    assert not session_manager.has_session(user_id=user)
    assert session_manager.get_session_count() == 0
    fresh = session_manager.get_or_create_user_session(user_id=user)
    assert fresh["thread_id"] != session["thread_id"]


def test_a_new_session_is_the_current_one_and_each_has_a_thread(
    session_manager: AgentSessionManager, device: str
) -> None:
    first = session_manager.create_user_session(user_id=device, title="One")
    second = session_manager.create_user_session(user_id=device, title="Two")
    assert first["thread_id"] != second["thread_id"]
    assert session_manager.get_current_user_session(device)["title"] == "Two"
    shown = session_manager.list_active_sessions()
    assert [(one["user_id"], one["title"]) for one in shown] == [(device, "Two"), (device, "One")]
    session_manager.deactivate_session(device)
    assert session_manager.get_current_user_session(device)["title"] == "One"


def test_users_are_apart(session_manager: AgentSessionManager, device: str) -> None:
    for n in range(3):
        session_manager.get_or_create_user_session(f"{device}/{n}", title=str(n))
    assert session_manager.get_session_count() == 3
    assert len(session_manager.list_active_sessions()) == 3
    session_manager.update_session(f"{device}/0", {"title": "changed"})
    assert session_manager.get_current_user_session(f"{device}/1")["title"] == "1"


def test_two_processes_that_ask_at_once_get_one_session(client: Client, device: str) -> None:
    found: list[str] = []

    def ask() -> None:
        with AgentSessionManager(client) as manager:
            found.append(manager.get_or_create_user_session(device)["thread_id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_another_processs_change_is_seen_through_the_memory_cache(
    session_manager: AgentSessionManager, client: Client, device: str
) -> None:
    session_manager.get_or_create_user_session(device, title="old")
    session_manager.get_current_user_session(device)
    with AgentSessionManager(client) as other:
        other.update_session(device, {"title": "new"})
        other.deactivate_session(device)
    session_manager.clear_memory_cache()
    assert session_manager.get_session_count() == 0
    assert not session_manager.has_session(device)


@pytest.mark.parametrize("name", ["thread_id", "created_at", "updated_at"])
def test_what_the_manager_sets_is_not_updated(
    session_manager: AgentSessionManager, device: str, name: str
) -> None:
    session_manager.create_user_session(device)
    with pytest.raises(ValueError, match=name):
        session_manager.update_session(device, {name: "x"})


def test_a_member_that_is_none_is_removed_and_is_active_false_ends_it(
    session_manager: AgentSessionManager, device: str
) -> None:
    session_manager.create_user_session(device)
    session_manager.update_session(device, {"plan": "free"})
    assert "plan" not in session_manager.update_session(device, {"plan": None})
    ended = session_manager.update_session(device, {"is_active": False})
    assert ended["is_active"] is False
    assert not session_manager.has_session(device)


def test_without_a_worker_sessions_are_in_memory_and_marked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Client("127.0.0.1:1", timeout=0.05) as away:
        manager = AgentSessionManager(away)
        session = manager.get_or_create_user_session("u", title="T")
        assert session["stateless"] is True and set(session) == MEMBERS | {"stateless"}
        assert "in memory only" in caplog.text
        assert manager.update_session("u", {"title": "U"})["title"] == "U"
        assert manager.get_current_user_session("u")["title"] == "U"
        assert [one["user_id"] for one in manager.list_active_sessions()] == ["u"]
        assert manager.get_session_count() == 1
        manager.deactivate_session("u")
        with pytest.raises(Unavailable):
            manager.get_current_user_session("u")
        strict = AgentSessionManager(away, memory_fallback=False)
        with pytest.raises(Unavailable):
            strict.get_or_create_user_session("u")
        with pytest.raises(Unavailable):
            strict.list_active_sessions()


def test_sessions_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latchkey.compat.agent_sessions.CACHED_MAX", 2)
    with Client("127.0.0.1:1", timeout=0.01) as away, AgentSessionManager(away) as manager:
        for user in ("a", "b", "a"):
            assert manager.get_or_create_user_session(user)["stateless"]
        with pytest.raises(Unavailable):
            manager.get_or_create_user_session("c")
        assert manager.get_session_count() == 2


def test_a_session_in_memory_gives_way_to_a_stored_one(worker: Worker, device: str) -> None:
    with worker.client(timeout=0.3, reply_timeout=0.2) as client:
        manager = AgentSessionManager(client)
        worker.kill()
        assert manager.get_or_create_user_session(device).get("stateless")
        worker.restart()
        assert not manager.get_or_create_user_session(device).get("stateless")
        assert manager.get_session_count() == 1
        manager.close()


def test_an_agent_talks_to_each_user_in_a_thread_of_its_own(
    client: Client, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    threads: dict[str, list[str]] = {}

    class Agent:
        """The graph of an agent, whose checkpoints are kept by thread."""

        def invoke(self, state: dict[str, list[str]], config: dict[str, dict[str, str]]) -> int:
            said = threads.setdefault(config["configurable"]["thread_id"], [])
            said += state["messages"]
            return len(said)

    def main(user_id: str) -> int:
        with AgentSessionManager(client, name=device) as session_manager:
            user_session = session_manager.get_or_create_user_session(
                user_id=user_id, title="My First Chat"
            )
            thread = {"configurable": {"thread_id": user_session["thread_id"]}}
            count = Agent().invoke({"messages": ["Hello"]}, thread)
            session_manager.update_session(user_id=user_id, updates={"title": f"{count} messages"})
            print(session_manager.get_current_user_session(user_id)["title"])
            print(len(session_manager.list_active_sessions()))
            return count

    first, second = f"{device} 1", f"{device} 2"
    assert [main(first), main(first), main(second)] == [1, 2, 1]
    assert capsys.readouterr().out.split("\n") == [
        "1 messages", "1", "2 messages", "1", "1 messages", "2", "",
    ]  # fmt: skip
    assert sorted(len(said) for said in threads.values()) == [1, 2]
