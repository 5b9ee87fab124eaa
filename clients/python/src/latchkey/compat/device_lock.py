"""The serverless bot's SessionService: which agent owns a device's conversation.

A lock of the service is Latchkey's lock of the device. Its TTL is kept by Redis, so nothing has to
look for locks that have expired.
"""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ..client import Client
from ..errors import Held, NotFound
from ..names import Duration, seconds
from .common import count_events, moment

log = logging.getLogger("session_service")

DEFAULT_SESSION_TTL = 86400
"""Seconds for which a lock is kept, unless the variable of this name or a parameter says other."""


def SessionLocal() -> Client:
    """What a service works on: a client, configured by LATCHKEY_TO and LATCHKEY_SECRET.

    Make one at module scope and keep it: each has connections of its own."""
    return Client()


def validate_device_id(device_id: str) -> bool:
    """True for a UUID. Any other text is a device, too, unless the worker has `--device-ids
    uuid`."""
    try:
        uuid.UUID(device_id)
    except ValueError:
        return False
    return True


@dataclass
class ConversationState:
    """The lock of a device as a row of the earlier system's table."""

    patient_profile_id: str
    """The device."""
    active_agent: str | None = None
    locked_at: datetime | None = None
    """When the agent acquired it, in UTC; a time without a zone is local time."""
    session_ttl: int = DEFAULT_SESSION_TTL
    """Seconds. Of a state that a service has read, setting it starts the lock's TTL again."""
    _service: SessionService | None = field(default=None, repr=False, compare=False)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        service = self.__dict__.get("_service")
        if name == "session_ttl" and service is not None and self.active_agent is not None:
            service.set_session_lock(self.patient_profile_id, self.active_agent, ttl=value)


class SessionService:
    """Locks of devices, for any number of threads and processes."""

    def __init__(
        self, db: Client, *, takeover: bool = False, group: str = "session-service"
    ) -> None:
        """`db`: a client, such as `SessionLocal()`; it stays open.

        `takeover`: `set_session_lock` takes the device from another agent, as the earlier system
        did. `group`: the consumer group that counts for `cleanup_expired_sessions`."""
        self._client = db
        self._takeover = takeover
        self._group = group
        self._ttl_s = float(os.environ.get("DEFAULT_SESSION_TTL", DEFAULT_SESSION_TTL))

    def get_session_lock(self, device_id: str) -> str | None:
        """The agent that holds the device, or None.

        Raises LatchkeyError if no worker can say: a failure is not 'no agent'."""
        holder = self._client.holder(device_id)
        agent = None if holder is None else holder["agent"]
        log.info("lock of %s: %s", device_id, agent)
        return agent

    def set_session_lock(self, device_id: str, agent_key: str, ttl: Duration | None = None) -> bool:
        """Acquires the device for an agent, or starts its TTL again; false if another agent has it.

        `ttl`: seconds; DEFAULT_SESSION_TTL unless given. Raises LatchkeyError if the outcome is not
        known."""
        kept = self._ttl_s if ttl is None else seconds(ttl)
        if self._takeover:
            # A renewal keeps the token of an agent that has the device already.
            try:
                self._client.lock(device_id, agent_key, ttl=kept)
            except Held:
                self._client.seize(device_id, agent_key, ttl=kept)
        else:
            try:
                self._client.lock(device_id, agent_key, ttl=kept)
            except Held as held:
                log.info("lock of %s: %s has it, not %s", device_id, held.agent, agent_key)
                return False
        log.info("lock of %s: set to %s", device_id, agent_key)
        return True

    def clear_session_lock(self, device_id: str) -> bool:
        """Releases the device, whichever agent holds it; false if none does.

        An agent that acquires it meanwhile keeps it."""
        holder = self._client.holder(device_id)
        if holder is None or holder["agent"] is None:
            return False
        try:
            self._client.unlock(device_id, holder["agent"])
        except (NotFound, Held):
            return False
        log.info("lock of %s: cleared", device_id)
        return True

    def cleanup_expired_sessions(self) -> int:
        """How many locks have expired since the last call by any process; each is counted once.

        Nothing is removed: an expired lock is gone already. Needs a principal that may read all
        events."""
        count = count_events(self._client, self._group, "lock.abandoned")
        log.info("locks that have expired: %d", count)
        return count

    def conversation_state(self, device_id: str) -> ConversationState | None:
        """The lock as a row; None if no agent holds the device."""
        holder = self._client.holder(device_id)
        if holder is None:
            return None
        acquired = moment(holder["acquired_at"])
        now = datetime.now(timezone.utc)
        ttl = now - acquired + timedelta(milliseconds=holder["ttl_ms"])
        kept = round(ttl.total_seconds())
        return ConversationState(device_id, holder["agent"], acquired, kept, _service=self)

    def _is_session_expired(self, state: ConversationState) -> bool:
        """True if a row has no agent, or its TTL has ended since `locked_at`."""
        if state.active_agent is None or state.locked_at is None:
            return True
        ends = state.locked_at.astimezone(timezone.utc) + timedelta(seconds=state.session_ttl)
        return ends <= datetime.now(timezone.utc)
