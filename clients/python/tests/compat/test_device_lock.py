"""The serverless bot's SessionService, called as its callers called it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from conftest import eventually

from latchkey import Client, LatchkeyError
from latchkey.compat.device_lock import (
    ConversationState,
    SessionLocal,
    SessionService,
    validate_device_id,
)
from latchkey.testing import Worker


@pytest.fixture
def db(latchkey_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("LATCHKEY_TO", latchkey_worker.to)
    with SessionLocal() as made:
        yield made


@pytest.fixture
def session_service(db: Client) -> SessionService:
    return SessionService(db)


def test_a_lock_is_set_read_and_cleared(session_service: SessionService, device: str) -> None:
    assert session_service.set_session_lock(device, "scheduling") is True
    assert session_service.get_session_lock(device) == "scheduling"
    assert session_service.clear_session_lock(device) is True
    assert session_service.get_session_lock(device) is None
    assert session_service.clear_session_lock(device) is False


def test_another_agent_is_refused_unless_the_service_takes_over(
    session_service: SessionService, db: Client, device: str
) -> None:
    assert session_service.set_session_lock(device, "scheduling")
    assert session_service.set_session_lock(device, "billing") is False
    assert session_service.get_session_lock(device) == "scheduling"
    former = SessionService(db, takeover=True)
    assert former.set_session_lock(device, "billing") is True
    assert former.get_session_lock(device) == "billing"
    # Its own lock is renewed, not taken anew: writes under its token go on.
    token = db.lock(device, "billing").token
    assert former.set_session_lock(device, "billing") is True
    assert db.lock(device, "billing").token == token


def test_the_agent_of_a_manager_stays_between_two_invocations(db: Client, device: str) -> None:
    def invocation(text: str, wa_id: str) -> str | None:
        service = SessionService(db)  # a function has nothing of the one before
        if "schedule" in text:
            service.set_session_lock(wa_id, "scheduling")
        return service.get_session_lock(wa_id)

    assert invocation("Hello", device) is None
    assert invocation("I would like to schedule", device) == "scheduling"
    assert invocation("Tuesday", device) == "scheduling"


def test_a_hundred_devices_at_once_have_a_lock_each(
    session_service: SessionService, device: str
) -> None:
    async def run(name: str) -> bool:
        return await asyncio.to_thread(session_service.set_session_lock, name, "scheduling")

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(run(f"{device}-{n}") for n in range(100)))

    assert asyncio.run(all_of_them()) == [True] * 100
    held = {session_service.get_session_lock(f"{device}-{n}") for n in range(100)}
    assert held == {"scheduling"}


def test_the_ttl_is_a_day_or_the_variables_or_the_calls(
    db: Client, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ttl() -> int:
        holder = db.holder(device)
        assert holder is not None
        return round(holder["ttl_ms"] / 1000)

    SessionService(db).set_session_lock(device, "a")
    assert ttl() == 86400
    monkeypatch.setenv("DEFAULT_SESSION_TTL", "7200")
    service = SessionService(db)
    service.set_session_lock(device, "a")
    assert ttl() == 7200
    service.set_session_lock(device, "a", ttl=3600)
    assert ttl() == 3600
    state = service.conversation_state(device)
    assert state is not None and abs(state.session_ttl - 3600) <= 1
    state.session_ttl = 604800
    assert ttl() == 604800


def test_expired_locks_are_counted_once(worker: Worker, device: str) -> None:
    with worker.client() as client:
        service, other = SessionService(client), SessionService(client)
        assert service.cleanup_expired_sessions() == 0
        for n in range(3):
            assert service.set_session_lock(f"{device}-{n}", "scheduling", ttl=0.05)
        counts: list[int] = []

        def expired() -> bool:
            counts.extend(one.cleanup_expired_sessions() for one in (service, other))
            return sum(counts) >= 3

        eventually(expired)
        assert sum(counts) == 3
        assert service.get_session_lock(f"{device}-0") is None
        assert service.cleanup_expired_sessions() == 0


def test_a_row_is_expired_when_its_ttl_has_ended(session_service: SessionService) -> None:
    now = datetime.now(timezone.utc)
    row = ConversationState(patient_profile_id="d", active_agent="a", locked_at=now, session_ttl=60)
    assert not session_service._is_session_expired(row)
    row.locked_at = now - timedelta(seconds=60)
    assert session_service._is_session_expired(row)
    row.locked_at = datetime.now() - timedelta(seconds=30)  # a local time
    assert not session_service._is_session_expired(row)
    row.active_agent = None
    assert session_service._is_session_expired(row)


def test_a_failure_is_not_no_agent() -> None:
    with Client("127.0.0.1:1", timeout=0.1) as away:
        service = SessionService(away)
        for call in (service.get_session_lock, service.clear_session_lock):
            with pytest.raises(LatchkeyError):
                call("d")
        with pytest.raises(LatchkeyError):
            service.set_session_lock("d", "a")


def test_ids_are_checked_and_operations_logged(
    session_service: SessionService, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert validate_device_id(str(uuid.uuid4()))
    assert not validate_device_id("device-123")
    with caplog.at_level(logging.DEBUG, "session_service"):
        session_service.set_session_lock(device, "scheduling")
        session_service.get_session_lock(device)
    assert len(caplog.records) == 2 and all(device in one.getMessage() for one in caplog.records)
