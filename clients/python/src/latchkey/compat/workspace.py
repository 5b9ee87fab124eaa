"""The workspace's UserSessionService: a session with a chat and a mission for each user.

A user's id is the device as well. The job that marked sessions as abandoned and archived is the
worker's: the clocks `abandon` and `archive` of each session.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import verbs
from ..client import Client
from ..errors import IllegalState, NotFound
from ..names import Address, Duration
from ..request import Request
from .common import STORE, address, count_events, moment, session_id

LIVE = ("active", "paused")

MESSAGES = 100
"""How many of the newest messages a session is loaded with."""


class UserSessionStatus(str, enum.Enum):
    """The states of a session, in the earlier system's words."""

    ACTIVE = "active"
    COMPLETED = "completed"
    ABANDONED = "abandoned"
    ARCHIVED = "archived"


_STATUS = {
    "active": UserSessionStatus.ACTIVE,
    "paused": UserSessionStatus.ACTIVE,
    "completed": UserSessionStatus.COMPLETED,
    "failed": UserSessionStatus.COMPLETED,
    "expired": UserSessionStatus.ABANDONED,
    "abandoned": UserSessionStatus.ABANDONED,
    "archived": UserSessionStatus.ARCHIVED,
}

_STATES = {
    status: [state for state, other in _STATUS.items() if other is status]
    for status in UserSessionStatus
}


@dataclass
class UserSession:
    """A session as it was when it was read."""

    id: str
    user_id: int | str
    name: str | None
    status: UserSessionStatus
    chat_id: str | None
    mission_id: str | None
    session_metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime
    chat_messages: list[dict[str, Any]] | None = field(default=None, repr=False)
    """The newest messages, oldest first; None where a session was read without them."""

    def to_dict(self) -> dict[str, Any]:
        """The session as JSON has it: times as ISO 8601 in UTC."""
        shown = {name: value for name, value in vars(self).items() if value is not None}
        for name, value in shown.items():
            if isinstance(value, datetime):
                shown[name] = value.isoformat()
        nothing = dict.fromkeys(("name", "chat_id", "mission_id"))
        return {**nothing, **shown, "status": self.status.value}


class UserSessionService:
    """Sessions of users, for any number of threads and processes.

    With `user_id` a method reaches the sessions of that user alone: others are not found.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        name: str = "user_sessions",
        abandon: Duration = 86400,
        archive: Duration = 7 * 86400,
        **opening: Any,
    ) -> None:
        """`client`: stays open; without it one is made, configured by LATCHKEY_TO.

        `name`: of the set of sessions that `abandon_inactive_sessions` counts. `abandon`: after so
        long without activity a session is abandoned; `archive`: after so much longer archived.
        `opening`: further parameters of `Client.open` for new sessions, such as `policy`."""
        self._client = Client() if client is None else client
        self._name = name
        links = {STORE: name, **opening.pop("link", {})}
        clocks = {"idle": 0, "life": 0, "abandon": abandon, "archive": archive}
        self._opening: dict[str, Any] = {**clocks, **opening, "link": links}

    # --- making and finding

    def create_user_session(
        self,
        user_id: int | str,
        name: str | None = None,
        session_metadata: Mapping[str, Any] | None = None,
        *,
        req: str | None = None,
    ) -> UserSession:
        """A new session with an empty chat, now the user's active one.

        `req`: an idempotency key. Raises Quota if the user has too many that are live."""
        user = str(user_id)
        record = self._client.open(
            user, session_metadata, user=user, name=name, req=req, **self._opening
        )
        return _session(record, messages=[])

    def get_active_session(self, user_id: int | str) -> UserSession | None:
        """The user's session that was active last, with its messages; None if none is live.

        This is activity of the session."""
        user = str(user_id)
        for _ in range(3):
            page = self._client.list(user=user, state=LIVE, order="active", limit=1, fields="none")
            if not page["sessions"]:
                return None
            record = page["sessions"][0]
            where = Address(record["device"], record["session"])
            try:
                _, shown = self._client.ask_all(
                    [verbs.touch(where, as_=user), verbs.get(where, last=MESSAGES, as_=user)]
                )
            except (NotFound, IllegalState):
                continue  # it has ended meanwhile
            if shown is not None:
                return _session(shown)
        return None

    def get_session(
        self, session_id: str, user_id: int | str | None = None, *, messages: int = MESSAGES
    ) -> UserSession | None:
        """A session in any state, with its newest messages; None if there is none."""
        try:
            where = address(session_id)
        except NotFound:
            return None
        record = self._client.get(where, last=messages, as_=_as(user_id))
        return None if record is None else _session(record)

    def list_user_sessions(
        self,
        user_id: int | str,
        *,
        status: UserSessionStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[UserSession], str | None]:
        """A page of the user's sessions without messages, newest first, and the next page's
        cursor."""
        state = None if status is None else _STATES[UserSessionStatus(status)]
        page = self._client.list(user=str(user_id), state=state, limit=limit, cursor=cursor)
        return [_session(record) for record in page["sessions"]], page["cursor"]

    # --- changing

    def update_session(
        self,
        session_id: str,
        user_id: int | str | None = None,
        *,
        name: str | None = None,
        session_metadata: Mapping[str, Any] | None = None,
        mission_id: int | str | None = None,
        req: str | None = None,
    ) -> UserSession:
        """Merges metadata into a session: only the given members change, None removes one.

        All changes are made in one step. Raises NotFound; IllegalState if the session has ended."""
        where, user = address(session_id), _as(user_id)
        link = None if mission_id is None else {"mission": str(mission_id)}
        self._client.set(where, session_metadata, name=name, link=link, req=req, as_=user)
        return self._shown(where, user)

    def update_session_activity(
        self, session_id: str, user_id: int | str | None = None
    ) -> UserSession:
        """Records activity; an abandoned session is active again.

        Raises NotFound; IllegalState if the session is completed or archived."""
        where, user = address(session_id), _as(user_id)
        try:
            self._client.touch(where, as_=user)
        except IllegalState:
            self._client.recover(where, as_=user)
        return self._shown(where, user)

    def link_mission_to_session(
        self, session_id: str, mission_id: int | str, user_id: int | str | None = None
    ) -> UserSession:
        """Makes a mission the session's only one. Raises NotFound, IllegalState."""
        where, user = address(session_id), _as(user_id)
        self._client.set(where, link={"mission": str(mission_id)}, as_=user)
        return self._shown(where, user)

    def sessions_of_mission(self, mission_id: int | str) -> list[UserSession]:
        """The sessions that are linked to a mission, newest first, 1,000 at most."""
        page = self._client.list(mission=str(mission_id), limit=1000)
        return [_session(record) for record in page["sessions"]]

    def complete_session(self, session_id: str, user_id: int | str | None = None) -> UserSession:
        """Ends a session; once more is no error. Raises NotFound, IllegalState."""
        return self._moved(verbs.close(address(session_id), as_=_as(user_id)))

    def archive_session(self, session_id: str, user_id: int | str | None = None) -> UserSession:
        """Archives a session now, in any state. Raises NotFound."""
        return self._moved(verbs.archive(address(session_id), as_=_as(user_id)))

    def abandon_inactive_sessions(self) -> int:
        """How many sessions have been abandoned since the last call by any process, each counted
        once.

        Nothing is marked here: the worker does it at the deadline. Needs a principal that may read
        all events."""
        return count_events(self._client, self._name, "session.abandoned", self._name)

    # --- the chat

    def add_messages(
        self,
        session_id: str,
        messages: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        user_id: int | str | None = None,
        *,
        req: str | None = None,
    ) -> int:
        """Appends messages to the session's chat, together; returns the number of the last one.

        Raises NotFound; IllegalState if the session has ended."""
        said = self._client.say(address(session_id), messages, req=req, as_=_as(user_id))
        return said["seq"]

    def get_messages(
        self,
        session_id: str,
        user_id: int | str | None = None,
        *,
        before: int | None = None,
        limit: int = MESSAGES,
    ) -> list[dict[str, Any]]:
        """A page of the chat, oldest first: the newest messages, or those before a number.

        Raises NotFound."""
        last = limit if before is None else None
        page = self._client.history(
            address(session_id), last=last, before=before, limit=limit, as_=_as(user_id)
        )
        return [_message(one) for one in page["messages"]]

    # --- their steps

    def _shown(self, where: Address, user: str | None) -> UserSession:
        record = self._client.get(where, last=MESSAGES, as_=user)
        if record is None:
            raise NotFound("the session is gone", "NONE")
        return _session(record)

    def _moved(self, request: Request[Any]) -> UserSession:
        return _session(self._client.ask(request))


def _as(user_id: int | str | None) -> str | None:
    return None if user_id is None else str(user_id)


def _session(record: Any, messages: list[Any] | None = None) -> UserSession:
    id = session_id(record)
    missions = record["links"].get("mission") or [None]
    shown = record.get("recent", messages)
    return UserSession(
        id=id,
        user_id=_user_id((record["links"].get("user") or [record["device"]])[0]),
        name=record["name"],
        status=_STATUS[record["state"]],
        chat_id=None if record["chat"] is None else f"{id}.{record['chat']}",
        mission_id=missions[0],
        session_metadata=record.get("fields") or {},
        created_at=moment(record["created_at"]),
        updated_at=moment(record["updated_at"]),
        last_activity_at=moment(record["active_at"]),
        chat_messages=None if shown is None else [_message(one) for one in shown],
    )


def _message(found: Any) -> dict[str, Any]:
    return {"seq": found["seq"], "at": moment(found["at"]).isoformat(), **(found["message"] or {})}


def _user_id(text: str) -> int | str:
    """A number where the earlier system had one."""
    is_number = text.isascii() and text.isdecimal() and text == str(int(text))
    return int(text) if is_number else text
