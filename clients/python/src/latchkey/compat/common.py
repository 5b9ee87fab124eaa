"""What the modules for earlier systems share: session ids that have their device, and times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from ..client import Client
from ..errors import NotFound
from ..names import Address, encode_id

_ULID_LENGTH = 26

STORE = "store"
"""The kind of the link that the sessions of one adapter have, with its name as the reference."""


def session_id(record: Mapping[str, Any]) -> str:
    """The id of a session for callers who know no devices: the device's, a dot and the session's.

    It has no character that a segment of a URL has to encode, except for `%`."""
    return f"{encode_id(record['device'])}.{record['session']}"


def address(id: str) -> Address:
    """The address of such an id. Raises NotFound for a text that is none."""
    device, dot, session = id.rpartition(".")
    if not device or not dot or len(session) != _ULID_LENGTH or not session.isalnum():
        raise NotFound(f"no session has the id {id!r}", "NONE")
    return Address(unquote(device), session)


def moment(at_ms: int) -> datetime:
    """A time of a record, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc)


def count_events(client: Client, group: str, kind: str, store: str | None = None) -> int:
    """How many events of a type have come since the last call with this group, by any process.

    With `store` those alone whose session has this link. Each event is counted once."""
    count = 0
    for event in client.consume(group, types=[kind], limit=1000, idle=0):
        if event["type"] != kind:
            continue  # the group has lost events
        links: Mapping[str, Any] = event.get("links") or {}
        if store is None or store in links.get(STORE, ()):
            count += 1
    return count
