"""The sessions of Google's Agent Development Kit in Latchkey.

    pip install latchkey[adk]

    service = LatchkeySessionService()
    runner = Runner(agent=agent, app_name="support", session_service=service)

A session is a device of its own: its events are the messages of a chat, its state are the session's
fields. The state of the app and of the user are profiles, into which writers merge.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from google.adk.errors._stale_session_error import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import BaseSessionService, ListSessionsResponse
from google.adk.sessions.session import Session
from pydantic_core import to_jsonable_python

from . import verbs
from .adapting import (
    PAGE,
    Adapter,
    Steps,
    bound,
    linked,
    messages,
    optional,
    part,
    profile,
    removed,
)
from .client import Client
from .errors import Conflict, IllegalState, NotFound, Quota, Stale
from .names import Address

if TYPE_CHECKING:
    from .aio import AsyncClient

_APP = "adk-app"
_USER = "adk-user"
_CHAT = "events"
_UPDATED = "adk:updated"
"""The field with the time of the latest event, in seconds."""
_NONE = {"latchkey.none": True}
"""Stands for None in a field, which null would remove."""


class LatchkeySessionService(Adapter, BaseSessionService):
    """Implements `BaseSessionService`, with `get_user_state`."""

    def __init__(
        self,
        async_client: AsyncClient | None = None,
        *,
        name: str = "adk",
        client: Client | None = None,
        **opening: Any,
    ) -> None:
        """`name`: services with another name have nothing in common. `client` is for `turn`, which
        blocks. `opening`: parameters of `Client.open` for new sessions, such as `policy`."""
        super().__init__(client, async_client, **opening)
        self.name = name

    def device(self, of: Any) -> str:
        """The device of a session, or of a tuple of app, user and session id."""
        app, user, id = of if isinstance(of, tuple) else (of.app_name, of.user_id, of.id)
        return self._ref(app, user, id.strip())

    def _ref(self, *parts: str) -> str:
        return f"{part(self.name)}:" + "/".join(part(one) for one in parts)

    # --- the framework's methods

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Creates a session. Raises AlreadyExistsError, LatchkeyError."""
        id = (session_id or "").strip() or str(uuid.uuid4())
        return await self.arun(self._create(app_name, user_id, id, state or {}))

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: Any = None
    ) -> Session | None:
        """A session with its state, and its events as `config` chooses them; None if there is
        none."""
        return await self.aread(self._get(app_name, user_id, session_id.strip(), config))

    async def list_sessions(
        self, *, app_name: str, user_id: str | None = None
    ) -> ListSessionsResponse:
        """The sessions of an app, or of its user, the latest event last; without events."""
        found = await self.aread(self._list(app_name, user_id))
        return ListSessionsResponse(sessions=found)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Removes a session, if it is there; the state of app and user stays."""
        await self.arun(removed(self._ref(app_name, user_id, session_id.strip())))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """The state of a user, without the prefix `user:`."""
        found = await self.awaiting().ask(profile(_USER, self._ref(app_name, user_id)))
        return _loaded(found["fields"])

    async def append_event(self, session: Session, event: Event) -> Event:
        """Appends an event, and merges its changes of state, in one step.

        Raises StaleSessionError if there are events that this session does not have, or the turn
        was lost; SessionNotFoundError, LatchkeyError."""
        if event.partial:
            return event
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        await self.arun(self._append(session, event))
        return self._commit_event_to_session(session, event)

    # --- their steps

    def _create(self, app: str, user: str, id: str, state: Mapping[str, Any]) -> Steps[Session]:
        device = self._ref(app, user, id)
        own, of_app, of_user = _deltas(state)
        fields = _dumped({**own, _UPDATED: time.time()})
        links = {_APP: self._ref(app), _USER: self._ref(app, user)}
        opening = {**self._opening, "link": {**(self._opening.get("link") or {}), **links}}
        record = yield bound(verbs.recover(device, fields, chat="none", **opening), device)
        if record["how"] != "new":
            yield from self._claimed(device, record, fields, opening["link"])
        with suppress(Conflict):  # a creation that was cut short has made it
            yield bound(verbs.chat(device, name=_name(1), full="refuse"), device)
        yield from self._share(app, user, of_app, of_user)
        profiles = yield self._profiles(app, user)
        return _session(app, user, id, fields, profiles, [], "1:0")

    def _claimed(
        self, device: str, record: Any, fields: dict[str, Any], link: dict[str, Any]
    ) -> Steps[None]:
        """Makes a session that a turn has begun one of the service. Raises AlreadyExistsError."""
        exists = AlreadyExistsError(f"{device}: the session exists already")
        if record["links"].get(_APP):
            raise exists
        try:
            # Of two callers, one is the first to write the field with the time.
            yield bound(verbs.set(device, fields, link=link, rev=record["rev"]), device)
        except Stale as error:
            raise (exists if error.rev is not None else error) from error

    def _get(self, app: str, user: str, id: str, config: Any) -> Steps[Session | None]:
        device = self._ref(app, user, id)
        count = config.num_recent_events if config else None
        since = config.after_timestamp if config else None
        last = PAGE if count is None or since or count > PAGE else max(count, 1)
        record, chats, *profiles = yield [
            verbs.get(device, last=last), optional(verbs.chats(device)), *self._profiles(app, user),
        ]  # fmt: skip
        if record is None or not record["links"].get(_APP):
            return None
        part, is_current = _last_part(chats)
        found = record["recent"] if is_current else (yield from self._events(device, part))
        seq = found[-1]["seq"] if found else 0
        wanted = record["messages"] if count is None or since else count
        if len(found) < min(wanted, record["messages"]):
            found = yield from self._events(device, part)
        for earlier in range(part - 1, 0, -1):
            if len(found) < wanted:
                found = [*(yield from self._events(device, earlier)), *found]
        events = [
            Event.model_validate(one["message"]) for one in found if one["message"] is not None
        ]
        if since:
            events = [event for event in events if event.timestamp >= since]
        if count is not None:
            events = events[-count:] if count else []
        return _session(app, user, id, record["fields"], profiles, events, f"{part}:{seq}")

    def _events(self, device: str, part: int) -> Steps[list[Any]]:
        try:
            found = yield from messages(_chat(device, part))
        except NotFound:
            return []
        return found

    def _list(self, app: str, user: str | None) -> Steps[list[Session]]:
        link = (_APP, self._ref(app)) if user is None else (_USER, self._ref(app, user))
        records = yield from linked(*link)
        users: dict[str, Any] = {}
        found: list[Session] = []
        for record in records:
            _, owner, id = map(unquote, record["device"].rsplit(":", 1)[1].split("/"))
            if owner not in users:
                users[owner] = yield self._profiles(app, owner)
            found.append(_session(app, owner, id, record["fields"], users[owner], [], None))
        return sorted(found, key=lambda one: (one.last_update_time, one.user_id, one.id))

    def _append(self, session: Session, event: Event) -> Steps[None]:
        device = self.device(session)
        delta = event.actions.state_delta if event.actions else None
        own, of_app, of_user = _deltas(delta or {})
        changes = {
            "say": [event.model_dump(mode="json", exclude_none=True)],
            "set": _dumped({**own, _UPDATED: event.timestamp}),
        }
        try:
            marker = yield from self._said(device, changes, session._storage_update_marker)
        except Stale as error:
            raise StaleSessionError(
                f"{device}: superseded by a newer stored revision: {error}"
            ) from error
        except (NotFound, IllegalState) as error:
            raise SessionNotFoundError(f"{device}: there is no such session") from error
        session._storage_update_marker = marker
        session.last_update_time = event.timestamp
        yield from self._share(session.app_name, session.user_id, of_app, of_user)

    def _said(self, device: str, changes: Any, marker: str | None) -> Steps[str]:
        """Applies changes behind the event that a marker names; returns the marker of the new one.

        When the chat is full, the session goes on in another one. Raises Stale, NotFound, Quota."""
        seq: int | None = None
        if marker is None:
            part, _ = _last_part((yield verbs.chats(device)))
        else:
            part, seq = map(int, marker.split(":"))
        while True:
            try:
                done = yield bound(verbs.apply(_chat(device, part), changes, seq=seq), device)
                return f"{part}:{done['seq']}"
            except Quota as error:
                if "messages in this chat" not in error.text:
                    raise
            # Nothing is appended to a full chat: if this is its newest event, it stays so.
            newest = (yield verbs.history(_chat(device, part), last=0))["last_seq"]
            if seq is not None and newest != seq:
                raise Stale(f"{device}: its newest event is number {newest}", "STALE")
            part += 1
            seq = None if seq is None else 0
            with suppress(Conflict):
                yield bound(verbs.chat(device, name=_name(part), full="refuse"), device)

    def _share(
        self, app: str, user: str, of_app: dict[str, Any], of_user: dict[str, Any]
    ) -> Steps[None]:
        """Merges changes into the state of the app and of the user."""
        writes = []
        if of_app:
            writes.append(profile(_APP, self._ref(app), _dumped(of_app)))
        if of_user:
            writes.append(profile(_USER, self._ref(app, user), _dumped(of_user)))
        if writes:
            yield writes

    def _profiles(self, app: str, user: str) -> list[Any]:
        return [
            profile(_APP, self._ref(app)),
            profile(_USER, self._ref(app, user)),
        ]


def _name(part: int) -> str:
    """The name of the chat with a part of a session's events."""
    return _CHAT if part == 1 else f"{_CHAT}.{part}"


def _chat(device: str, part: int) -> Address:
    return Address(device, "current", f"@{_name(part)}")


def _last_part(chats: Any) -> tuple[int, bool]:
    """The last part of a session's events, and whether its chat is the current one."""
    names = {one["name"]: one["chat"] for one in chats["chats"]}
    part = 1
    while _name(part + 1) in names:
        part += 1
    return part, names.get(_name(part)) == chats["current"]


def _session(
    app: str,
    user: str,
    id: str,
    fields: Mapping[str, Any],
    profiles: Sequence[Any],
    events: list[Event],
    marker: str | None,
) -> Session:
    """A session of the framework; `marker` is the chat and the number of its newest event."""
    of_app, of_user = (_loaded(found["fields"]) for found in profiles)
    state = _loaded(fields)
    updated = state.pop(_UPDATED, 0.0)
    state.update({f"app:{name}": value for name, value in of_app.items()})
    state.update({f"user:{name}": value for name, value in of_user.items()})
    made = Session(
        app_name=app, user_id=user, id=id, state=state, events=events, last_update_time=updated
    )
    made._storage_update_marker = marker
    return made


def _deltas(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Changes of state: the session's own, the app's and the user's, the latter without prefix."""
    own: dict[str, Any] = {}
    of_app: dict[str, Any] = {}
    of_user: dict[str, Any] = {}
    for name, value in state.items():
        if name.startswith("app:"):
            of_app[name[4:]] = value
        elif name.startswith("user:"):
            of_user[name[5:]] = value
        elif not name.startswith("temp:"):
            own[name] = value
    return own, of_app, of_user


def _dumped(state: Mapping[str, Any]) -> dict[str, Any]:
    """State as fields; what JSON cannot express is stored as its text."""
    fields: dict[str, Any] = to_jsonable_python(dict(state), fallback=str)
    return {name: _NONE if value is None else value for name, value in fields.items()}


def _loaded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """State from fields."""
    return {name: None if value == _NONE else value for name, value in fields.items()}
