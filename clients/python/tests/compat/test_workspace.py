"""The workspace's UserSessionService and its routes, called as their callers called them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from conftest import eventually

from latchkey import Client, IllegalState, NotFound, Quota
from latchkey.compat.workspace import UserSessionService, UserSessionStatus
from latchkey.compat.workspace_routes import BODY_BYTES_MAX, SessionRoutes
from latchkey.testing import Worker


@pytest.fixture
def client(latchkey_worker: Worker) -> Iterator[Client]:
    with latchkey_worker.client() as made:
        yield made


@pytest.fixture
def service(client: Client, device: str) -> UserSessionService:
    return UserSessionService(client, name=device)


_users = iter(range(1000, 2000))


@pytest.fixture
def user() -> int:
    """A user's number that no other test has."""
    return next(_users)


def test_a_session_is_made_found_and_completed(service: UserSessionService, user: int) -> None:
    assert service.get_active_session(user) is None
    made = service.create_user_session(user, name="Plan", session_metadata={"view": "start"})
    assert made.status is UserSessionStatus.ACTIVE
    assert (made.user_id, made.name, made.mission_id) == (user, "Plan", None)
    assert made.session_metadata == {"view": "start"} and made.chat_messages == []
    assert len(made.id) <= 36 and made.chat_id == f"{made.id}.1"
    service.add_messages(made.id, [{"role": "user", "text": "Hi"}, {"role": "ai", "text": "Yes"}])
    service.link_mission_to_session(made.id, "m-1")
    active = service.get_active_session(user)
    assert active is not None and active.id == made.id
    assert active.mission_id == "m-1"
    assert [one["text"] for one in active.chat_messages or []] == ["Hi", "Yes"]
    assert active.last_activity_at >= made.last_activity_at
    done = service.complete_session(made.id)
    assert done.status is UserSessionStatus.COMPLETED
    assert service.complete_session(made.id).status is UserSessionStatus.COMPLETED
    assert service.get_active_session(user) is None
    with pytest.raises(IllegalState):
        service.update_session_activity(made.id)


def test_the_one_that_was_active_last_is_the_active_one(
    service: UserSessionService, user: int
) -> None:
    first, second = (service.create_user_session(user, name=name) for name in ("a", "b"))
    active = service.get_active_session(user)
    assert active is not None and active.id == second.id

    def touched() -> bool:
        service.update_session_activity(first.id)
        page, _ = service.list_user_sessions(user)
        at = {one.id: one.last_activity_at for one in page}
        return at[first.id] > at[second.id]

    eventually(touched)
    active = service.get_active_session(user)
    assert active is not None and active.id == first.id


def test_a_session_has_one_mission_and_a_mission_its_sessions(
    service: UserSessionService, user: int
) -> None:
    made = service.create_user_session(user)
    service.link_mission_to_session(made.id, f"old-{user}")
    assert service.link_mission_to_session(made.id, f"new-{user}").mission_id == f"new-{user}"
    assert service.sessions_of_mission(f"old-{user}") == []
    assert [one.id for one in service.sessions_of_mission(f"new-{user}")] == [made.id]


def test_metadata_is_merged(service: UserSessionService, user: int) -> None:
    made = service.create_user_session(user, session_metadata={"a": 1, "b": 2})
    updated = service.update_session(made.id, name="N", session_metadata={"b": None, "c": 3})
    assert (updated.name, updated.session_metadata) == ("N", {"a": 1, "c": 3})


def test_an_inactive_session_is_abandoned_counted_once_and_revived_or_archived(
    worker: Worker,
) -> None:
    with worker.client() as client:
        service = UserSessionService(client, abandon=0.05, archive=3600)
        made = [service.create_user_session(user) for user in (1, 2)]
        client.open("3", abandon=0.05)  # of another caller
        count = [0]

        def abandoned() -> bool:
            count[0] += service.abandon_inactive_sessions()
            return count[0] >= 2

        eventually(abandoned)
        assert count[0] == 2
        found = service.get_session(made[0].id)
        assert found is not None and found.status is UserSessionStatus.ABANDONED
        assert service.get_active_session(1) is None
        assert service.update_session_activity(made[0].id).status is UserSessionStatus.ACTIVE
        archived = service.archive_session(made[1].id)
        assert archived.status is UserSessionStatus.ARCHIVED
        with pytest.raises(IllegalState):
            service.update_session_activity(made[1].id)


def test_the_clocks_are_a_day_and_a_week(
    service: UserSessionService, client: Client, user: int
) -> None:
    made = service.create_user_session(user)
    record = client.get(str(user))
    assert record is not None and made.id.endswith(record["session"])
    clocks = record["clocks"]
    assert (clocks["abandon_ms"], clocks["archive_ms"]) == (86_400_000, 7 * 86_400_000)
    assert (clocks["idle_ms"], clocks["life_ms"]) == (0, 0)


def test_another_users_session_is_not_found(service: UserSessionService, user: int) -> None:
    made = service.create_user_session(user)
    stranger = user + 100_000
    assert service.get_session(made.id, stranger) is None
    for call in (
        service.update_session_activity,
        service.complete_session,
        service.archive_session,
        service.update_session,
        service.get_messages,
    ):
        with pytest.raises(NotFound):
            call(made.id, stranger)
    assert service.get_session("no id", user) is None


def test_a_large_chat_is_read_in_pages(service: UserSessionService, user: int) -> None:
    made = service.create_user_session(user)
    last = service.add_messages(made.id, [{"n": n} for n in range(1, 251)])
    assert last == 250
    page = service.get_messages(made.id)
    assert [page[0]["n"], page[-1]["n"]] == [151, 250]
    page = service.get_messages(made.id, before=page[0]["seq"])
    assert [page[0]["n"], page[-1]["n"]] == [51, 150]


def test_the_number_of_live_sessions_is_bounded(service: UserSessionService, user: int) -> None:
    for _ in range(10):
        service.create_user_session(user)
    with pytest.raises(Quota, match="10 of 10"):
        service.create_user_session(user)


# --- the routes

Call = Callable[..., tuple[int, Any]]


def _validate(token: str) -> int | None:
    return int(token.removeprefix("user-")) if token.startswith("user-") else None


def _asgi(routes: SessionRoutes) -> Call:
    def call(
        method: str, path: str, headers: Mapping[str, str], body: bytes = b"", query: str = ""
    ) -> tuple[int, Any]:
        sent: list[dict[str, Any]] = []
        parts = [body[:3], body[3:]]

        async def receive() -> dict[str, Any]:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
        asyncio.run(routes(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])

    return call


def _wsgi(routes: SessionRoutes) -> Call:
    def call(
        method: str, path: str, headers: Mapping[str, str], body: bytes = b"", query: str = ""
    ) -> tuple[int, Any]:
        began: list[Any] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **{f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()},
        }
        shown = b"".join(routes.wsgi(environ, lambda status, headers: began.append(status)))
        return int(began[0].split()[0]), json.loads(shown)

    return call


@pytest.fixture(params=[_asgi, _wsgi], ids=["asgi", "wsgi"])
def call(request: pytest.FixtureRequest, service: UserSessionService, user: int) -> Call:
    """A request of the user, whose body is JSON."""
    send = request.param(SessionRoutes(service, _validate))

    def ask(
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        query: str = "",
        of: int = 0,
    ) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer user-{of or user}"}
        if key is not None:
            headers["idempotency-key"] = key
        data = b"" if body is None else json.dumps(body).encode()
        result: tuple[int, Any] = send(method, path, headers, data, query)
        return result

    return ask


def test_each_route_does_its_work(call: Call, user: int) -> None:
    status, made = call("POST", "/api/sessions/", {"name": "N"})
    session = made["session"]
    assert status == 201 and session["user_id"] == user and session["status"] == "active"
    at = f"/api/sessions/{session['id']}"
    assert call("GET", "/api/sessions/")[1]["sessions"][0]["id"] == session["id"]
    assert call("GET", "/api/sessions/active")[1]["id"] == session["id"]
    assert call("GET", at)[1]["chat_messages"] == []
    changes = {"name": "M", "session_metadata": {"v": [1.5]}, "mission_id": 5, "status": "active"}
    status, updated = call("PUT", at, changes)
    assert (status, updated["name"], updated["session_metadata"]) == (200, "M", {"v": [1.5]})
    assert updated["mission_id"] == "5"
    assert call("POST", f"{at}/link-mission/müll/17")[1]["mission_id"] == "müll/17"
    assert call("POST", f"{at}/activity")[0] == 200
    assert call("POST", f"{at}/messages", {"role": "user"}) == (201, {"seq": 1})
    assert call("POST", f"{at}/messages", {"messages": [{"n": 2}, {"n": 3}]}) == (201, {"seq": 3})
    page = call("GET", f"{at}/messages", query="before=3&limit=1")[1]["messages"]
    assert [one["n"] for one in page] == [2]
    assert call("POST", f"{at}/complete")[1]["status"] == "completed"
    assert call("GET", "/api/sessions/active") == (200, None)
    assert call("GET", "/api/sessions", query="status=completed")[1]["sessions"][0]["id"]
    assert call("PUT", at, {"session_metadata": {"late": 1}})[0] == 409


def test_a_repeated_creation_makes_one_session(call: Call) -> None:
    first, again = (call("POST", "/api/sessions/", {"name": "N"}, key="k-1") for _ in range(2))
    assert first[1]["session"]["id"] == again[1]["session"]["id"]
    assert call("POST", "/api/sessions/", {"name": "other"}, key="k-1")[0] == 409


def test_what_is_not_allowed_is_refused(call: Call, user: int) -> None:
    made = call("POST", "/api/sessions/")[1]["session"]["id"]
    assert call("GET", f"/api/sessions/{made}", of=user + 500_000)[0] == 404
    assert call("GET", "/api/sessions/nonsense")[0] == 404
    assert call("PATCH", f"/api/sessions/{made}")[0] == 404
    assert call("PUT", f"/api/sessions/{made}", [1])[0] == 422
    assert call("PUT", f"/api/sessions/{made}", {"color": 1})[0] == 422
    assert call("PUT", f"/api/sessions/{made}", {"status": "abandoned"})[0] == 422
    assert call("PUT", f"/api/sessions/{made}", {"name": 5})[0] == 422
    assert call("PUT", f"/api/sessions/{made}", {"name": "x" * BODY_BYTES_MAX})[0] == 413
    assert call("PUT", f"/api/sessions/{made}", {"status": "archived"})[1]["status"] == "archived"


def test_a_token_is_needed_and_an_outage_is_said() -> None:
    with Client("127.0.0.1:1", timeout=0.05) as away:
        routes = SessionRoutes(UserSessionService(away), _validate)
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic user-1"}):
            assert routes.handle("GET", "/api/sessions/", "", headers, b"")[0] == 401
        known = {"authorization": "Bearer user-1"}
        assert routes.handle("GET", "/api/sessions/", "", known, b"")[0] == 503
